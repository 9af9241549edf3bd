# The command line on a small system; models are kept in the volume /models.
#
#   docker build -t ocellus .
#   docker run --rm -v ocellus-models:/models -v "$PWD":/work ocellus ocr scan.png

FROM rust:1-slim-trixie AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked -p ocellus --bin ocellus

FROM debian:trixie-slim
COPY --from=build /src/target/release/ocellus /usr/local/bin/ocellus
ENV HF_HOME=/models
VOLUME /models
WORKDIR /work
ENTRYPOINT ["ocellus"]
CMD ["--help"]
