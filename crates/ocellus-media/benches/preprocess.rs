//! Pictures per second from file to patches, for a page of 1092 x 784 px, and step by step.
//!
//! `from-file/same-size` is the case of a page that needs no resize; `from-file/resized` shrinks a 1560 x 1120 px
//! page to the same size, so that every step takes part.

use std::hint::black_box;
use std::io::Cursor;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use image::{DynamicImage, ImageFormat};
use ocellus_media::{Limits, Recipe, Rgb, decode, patchify, patchify_exact, resize, resize_gray, strip};

const WIDTH: u32 = 1092;
const HEIGHT: u32 = 784;

/// Something like a page: light ground, dark strokes, a little noise.
fn page(width: u32, height: u32) -> Rgb {
    let mut seed = 1u32;
    let mut data = Vec::with_capacity((width * height * 3) as usize);
    for y in 0..height {
        for x in 0..width {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let ink = y % 24 < 12 && (x / 3 * 7 + y / 24 * 5) % 11 < 4;
            let level = if ink { 40 } else { 235 } + (seed >> 29) as u8;
            data.extend([level, level, level.saturating_sub(9)]);
        }
    }
    Rgb::new(width, height, data).expect("the buffer has the right length")
}

fn encode(page: &Rgb, format: ImageFormat) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    let pixels =
        image::RgbImage::from_raw(page.width, page.height, page.data.clone()).expect("the right length");
    DynamicImage::ImageRgb8(pixels)
        .write_to(&mut out, format)
        .expect("a picture can be encoded");
    out.into_inner()
}

fn from_file(criterion: &mut Criterion) {
    let recipe = Recipe {
        max_pixels: u64::from(WIDTH * HEIGHT),
        ..Recipe::default()
    };
    let limits = Limits::default();
    let mut group = criterion.benchmark_group("from-file");
    group.throughput(Throughput::Elements(1));
    for (name, size) in [("same-size", (WIDTH, HEIGHT)), ("resized", (1560, 1120))] {
        let page = page(size.0, size.1);
        for (kind, format) in [("jpeg", ImageFormat::Jpeg), ("png", ImageFormat::Png)] {
            let file = encode(&page, format);
            group.bench_function(format!("{name}/{kind}"), |bencher| {
                bencher.iter(|| {
                    let picture = decode(black_box(&file), &limits).expect("a picture");
                    let patches = patchify(&picture.image, &recipe).expect("patches");
                    assert_eq!(patches.resized, (WIDTH, HEIGHT));
                    patches
                });
            });
        }
    }
    group.finish();
}

fn steps(criterion: &mut Criterion) {
    let (large, exact) = (page(1560, 1120), page(WIDTH, HEIGHT));
    let grey = strip::luma(&large);
    let line = grey.crop(0, 0, 700, 48);
    let recipe = Recipe::default();
    let mut group = criterion.benchmark_group("step");
    group.throughput(Throughput::Elements(1));
    group.bench_function("resize/rgb", |bencher| {
        bencher.iter(|| resize(black_box(&large), WIDTH, HEIGHT))
    });
    group.bench_function("resize/gray", |bencher| {
        bencher.iter(|| resize_gray(black_box(&grey), WIDTH, HEIGHT))
    });
    group.bench_function("patchify", |bencher| {
        bencher.iter(|| patchify_exact(black_box(&exact), &recipe))
    });
    group.bench_function("luma", |bencher| bencher.iter(|| strip::luma(black_box(&large))));
    group.bench_function("line/to-height", |bencher| {
        bencher.iter(|| strip::to_height(black_box(&line), 28, 448))
    });
    group.bench_function("line/normalise", |bencher| {
        bencher.iter(|| strip::normalise(black_box(&line)))
    });
    group.finish();
}

criterion_group!(benches, from_file, steps);
criterion_main!(benches);
