//! Pictures that are damaged, hostile or odd: each is read, or refused in one sentence; none ends the program.

mod golden;

use std::io::Cursor;

use golden::{read, root};
use image::{DynamicImage, ImageFormat};
use ocellus_media::{Limits, MediaError, decode, dimensions};

/// A picture of one grey level, encoded.
fn encoded(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    let picture = DynamicImage::ImageRgb8(image::RgbImage::from_pixel(width, height, image::Rgb([90; 3])));
    picture
        .write_to(&mut out, format)
        .expect("a picture can be encoded");
    out.into_inner()
}

/// The head of a PNG file that claims a size; `IDAT` holds a few bytes at most.
fn claiming_png(width: u32, height: u32) -> Vec<u8> {
    let mut file = encoded(1, 1, ImageFormat::Png);
    file[16..20].copy_from_slice(&width.to_be_bytes());
    file[20..24].copy_from_slice(&height.to_be_bytes());
    let checksum = crc32(&file[12..29]);
    file[29..33].copy_from_slice(&checksum.to_be_bytes());
    file
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| {
        if crc & 1 == 1 {
            (crc >> 1) ^ 0xedb8_8320
        } else {
            crc >> 1
        }
    };
    !bytes
        .iter()
        .fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), step))
}

fn small() -> Limits {
    Limits {
        picture_px: 1 << 16,
        side_px: 1024,
        decode_bytes: 1 << 20,
        ..Limits::default()
    }
}

const ALL: [ImageFormat; 6] = [
    ImageFormat::Bmp,
    ImageFormat::Gif,
    ImageFormat::Jpeg,
    ImageFormat::Png,
    ImageFormat::Tiff,
    ImageFormat::WebP,
];

#[test]
fn refusals_say_what_was_expected_and_what_was_found() {
    let limits = Limits::default();
    for (name, file, sentence) in [
        (
            "empty",
            vec![],
            "the picture is empty: expected an image file, found 0 bytes",
        ),
        (
            "text named .png",
            b"This is not a picture.".to_vec(),
            "not a picture: expected JPEG, PNG, WebP, GIF, BMP or TIFF content, found text: \"This is not a pi\"",
        ),
        (
            "PDF",
            b"%PDF-1.7 ...".to_vec(),
            "not a picture: expected JPEG, PNG, WebP, GIF, BMP or TIFF content, found a PDF document",
        ),
        (
            "AVIF",
            b"\0\0\0\x1cftypavif\0\0\0\0".to_vec(),
            "picture format not supported: expected JPEG, PNG, WebP, GIF, BMP or TIFF, found avif",
        ),
        (
            "30000 x 30000",
            claiming_png(30_000, 30_000),
            "the picture is too large: expected at most 100000000 pixels, found 30000 x 30000 = 900000000",
        ),
        (
            "40000 x 1000",
            claiming_png(40_000, 1000),
            "the picture is too long: expected sides of at most 32768 px, found 40000 x 1000 px",
        ),
        (
            "1 x 300",
            encoded(1, 300, ImageFormat::Png),
            "the picture is too narrow: expected an aspect ratio of at most 200, found 1 x 300 px",
        ),
        (
            "201 x 1",
            encoded(201, 1, ImageFormat::Bmp),
            "the picture is too narrow: expected an aspect ratio of at most 200, found 201 x 1 px",
        ),
    ] {
        let error = decode(&file, &limits).expect_err(name);
        assert_eq!(error.to_string(), sentence, "{name}");
        // The header alone may be right, but never of another format.
        if let Err(error) = dimensions(&file, &limits) {
            assert_eq!(error.to_string(), sentence, "{name}");
        }
    }
}

#[test]
fn the_smallest_and_the_narrowest_pictures_are_read() {
    for format in ALL {
        for size in [(1, 1), (200, 1), (1, 200)] {
            let file = encoded(size.0, size.1, format);
            let picture = decode(&file, &Limits::default()).expect("a picture");
            assert_eq!(dimensions(&file, &Limits::default()), Ok(size), "{format:?}");
            assert_eq!((picture.original, picture.oriented), (size, size), "{format:?}");
            let level = picture.image.pixel(0, 0)[1];
            assert!(level.abs_diff(90) <= 2, "{format:?}: {level}");
        }
    }
}

#[test]
fn every_bound_is_inclusive_and_checked() {
    let file = encoded(40, 20, ImageFormat::Png);
    let exact = Limits {
        encoded_bytes: file.len() as u64,
        picture_px: 800,
        side_px: 40,
        aspect_ratio: 2,
        decode_bytes: 1 << 20,
        ..Limits::default()
    };
    assert!(decode(&file, &exact).is_ok());
    let refusal = |limits: Limits| decode(&file, &limits).expect_err("over a bound");
    assert!(matches!(
        refusal(Limits {
            encoded_bytes: exact.encoded_bytes - 1,
            ..exact
        }),
        MediaError::TooManyBytes { .. }
    ));
    assert!(matches!(
        refusal(Limits {
            picture_px: 799,
            ..exact
        }),
        MediaError::TooManyPixels { .. }
    ));
    assert!(matches!(
        refusal(Limits { side_px: 39, ..exact }),
        MediaError::SideTooLong { .. }
    ));
    assert!(matches!(
        refusal(Limits {
            aspect_ratio: 1,
            ..exact
        }),
        MediaError::TooNarrow { .. }
    ));
    assert!(matches!(
        refusal(Limits {
            decode_bytes: 2399,
            ..exact
        }),
        MediaError::TooMuchMemory { .. }
    ));
}

#[test]
fn a_file_cut_off_anywhere_is_refused() {
    for format in ALL {
        let whole = encoded(24, 16, format);
        assert!(decode(&whole, &small()).is_ok(), "{format:?}");
        // The last bytes of some formats carry no pixels; without them the picture is still whole.
        for length in 0..whole.len().saturating_sub(16) {
            let cut = decode(&whole[..length], &small());
            assert!(cut.is_err(), "{format:?}: {length} of {} bytes", whole.len());
        }
    }
    for file in ["d0_shapes.png", "d5_exif.jpg", "d7_tiny.webp", "d8_large.jpg"] {
        let whole = read(&root().join("images").join(file));
        for tenth in 0..10 {
            let error = decode(&whole[..whole.len() * tenth / 10], &Limits::default()).expect_err(file);
            assert!(!error.to_string().contains('\n'), "{file}: {error}");
        }
    }
}

#[test]
fn a_picture_that_holds_less_than_it_claims_is_refused() {
    // Far more pixels than the compressed data can yield, yet within all bounds.
    assert!(matches!(
        decode(&claiming_png(4000, 4000), &Limits::default()),
        Err(MediaError::Damaged { .. })
    ));
    assert!(decode(&claiming_png(0, 4), &Limits::default()).is_err());
}

#[test]
fn metadata_cannot_take_more_memory_than_a_picture_may() {
    // A compressed text that expands to 64 MB, in front of one pixel.
    let mut file = encoded(1, 1, ImageFormat::Png);
    let zeros = DynamicImage::ImageLuma8(image::GrayImage::new(8191, 8191));
    let mut bomb = Cursor::new(Vec::new());
    zeros
        .write_to(&mut bomb, ImageFormat::Png)
        .expect("a picture can be encoded");
    let bomb = bomb.into_inner();
    let data = bomb.windows(4).position(|name| name == b"IDAT").expect("pixels");
    let length = u32::from_be_bytes(bomb[data - 4..data].try_into().expect("4 bytes")) as usize;
    let mut body = b"iCCPname\0\0".to_vec();
    body.extend_from_slice(&bomb[data + 4..data + 4 + length]);
    let mut chunk = (body.len() as u32 - 4).to_be_bytes().to_vec();
    let checksum = crc32(&body);
    chunk.append(&mut body);
    chunk.extend_from_slice(&checksum.to_be_bytes());
    file.splice(33..33, chunk);
    // Read or refused; the point is that neither takes 64 MB nor ends the program.
    match decode(&file, &small()) {
        Ok(picture) => assert_eq!(picture.oriented, (1, 1)),
        Err(error) => assert!(matches!(
            error,
            MediaError::TooMuchMemory { .. } | MediaError::Damaged { .. }
        )),
    }
}

#[test]
fn an_orientation_that_makes_no_sense_is_ignored() {
    let mut file = read(&root().join("images/d5_exif.jpg"));
    let upright = decode(&file, &Limits::default()).expect("a picture");
    assert_eq!(
        upright.original,
        (upright.oriented.1, upright.oriented.0),
        "this picture lies on its side"
    );
    let exif = file
        .windows(4)
        .position(|name| name == b"Exif")
        .expect("metadata");
    file[exif + 6..exif + 32].fill(0xff);
    let ignored = decode(&file, &Limits::default()).expect("a picture with damaged metadata");
    assert_eq!(ignored.original, ignored.oriented);
}

/// A small generator, so that a failure can be repeated.
struct Lcg(u64);

impl Lcg {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

#[test]
fn random_damage_never_ends_the_program() {
    let folder = root().join("../pixels/decode-pillow");
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .expect("golden files")
        .map(|entry| entry.expect("a file").path())
        .collect();
    files.retain(|path| {
        path.extension()
            .is_some_and(|kind| kind != "json" && kind != "safetensors")
    });
    files.sort();
    assert!(files.len() > 40);
    let mut random = Lcg(7);
    for path in files {
        let whole = read(&path);
        for _ in 0..60 {
            let mut file = whole.clone();
            for _ in 0..1 + random.below(4) {
                let at = random.below(file.len());
                match random.below(3) {
                    0 => file[at] ^= 1 << random.below(8),
                    1 => file[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
                    _ => file.truncate(at.max(12)),
                }
            }
            match decode(&file, &small()) {
                Ok(picture) => {
                    let (width, height) = picture.oriented;
                    assert_eq!(picture.image.data.len(), width as usize * height as usize * 3);
                }
                Err(error) => assert!(!error.to_string().contains('\n'), "{}: {error}", path.display()),
            }
        }
    }
}

#[test]
fn profiles_and_texts_are_not_unpacked() {
    use image::ImageEncoder;
    // A profile of 30 MB, which takes 30 kB in the file, where a decoder may take 1 MB.
    let mut file = Vec::new();
    let mut encoder = image::codecs::png::PngEncoder::new(&mut file);
    encoder.set_icc_profile(vec![0; 30 << 20]).unwrap();
    encoder
        .write_image(&[90; 20 * 10 * 3], 20, 10, image::ExtendedColorType::Rgb8)
        .unwrap();
    assert!(file.len() < 1 << 18, "{}", file.len());
    assert!(file.windows(4).any(|kind| kind == b"iCCP"));
    let picture = decode(&file, &small()).unwrap();
    assert_eq!(picture.oriented, (20, 10));
    assert!(picture.image.data.iter().all(|level| *level == 90));
    assert_eq!(dimensions(&file, &small()).unwrap(), (20, 10));
    // Orientation stands in a chunk that is kept.
    let mut turned = Vec::new();
    let mut encoder = image::codecs::png::PngEncoder::new(&mut turned);
    encoder.set_icc_profile(vec![0; 30 << 20]).unwrap();
    let exif = b"II\x2a\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    encoder.set_exif_metadata(exif.to_vec()).unwrap();
    encoder
        .write_image(&[7; 20 * 10 * 8], 20, 10, image::ExtendedColorType::Rgba16)
        .unwrap();
    let picture = decode(&turned, &small()).unwrap();
    assert_eq!((picture.original, picture.oriented), ((20, 10), (10, 20)));
    assert_eq!(dimensions(&turned, &small()).unwrap(), (10, 20));
}
