//! Kinds of file beyond the usual: coded as faxes, with palettes, of several pages, of twelve bits, white on nothing. What
//! they show is known from a plain file of the same picture (`formats/make.py`).

use std::path::Path;

use ocellus_media::{Limits, MediaError, Rgb, decode, decode_page, dimensions, frames, pages};

fn file(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/formats")
        .join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn picture(name: &str) -> Rgb {
    let decoded = decode(&file(name), &Limits::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(
        dimensions(&file(name), &Limits::default()),
        Ok(decoded.original),
        "{name}"
    );
    decoded.image
}

/// The largest difference of two pictures' levels.
fn difference(a: &Rgb, b: &Rgb) -> u8 {
    assert_eq!((a.width, a.height), (b.width, b.height));
    a.data
        .iter()
        .zip(&b.data)
        .map(|(a, b)| a.abs_diff(*b))
        .max()
        .unwrap_or(0)
}

#[test]
fn fax_codings_and_palettes_are_exact() {
    for (name, like) in [
        ("group3.tif", "letters.png"),
        ("group3-fill.tif", "letters.png"),
        ("group3-2d.tif", "letters.png"),
        ("group3-reversed.tif", "letters.png"),
        ("group4-reversed.tif", "letters.png"),
        ("huffman.tif", "letters.png"),
        ("palette.tif", "colours.png"),
        ("palette-big.tif", "colours.png"),
    ] {
        assert_eq!(difference(&picture(name), &picture(like)), 0, "{name}");
    }
}

#[test]
fn colours_of_jpeg_data_in_a_tiff_are_those_of_a_jpeg() {
    for name in ["ycbcr.tif", "old-jpeg.tif"] {
        let (found, like) = (picture(name), picture("colours.jpg"));
        // Chroma is halved, so colours run at edges: in both alike.
        assert!(
            difference(&found, &like) <= 24,
            "{name}: {}",
            difference(&found, &like)
        );
    }
}

#[test]
fn grey_with_alpha_and_twelve_bits_are_the_letters() {
    let letters = picture("letters.png").crop(0, 0, 60, 20);
    for name in ["twelve-bits.png", "twelve-bits.tif", "grey-alpha.tif"] {
        assert_eq!(difference(&picture(name), &letters), 0, "{name}");
    }
}

#[test]
fn white_letters_on_nothing_are_seen() {
    let inverted = picture("white-letters.png");
    let letters = picture("letters.png").crop(0, 0, 60, 20);
    let back = Rgb {
        data: inverted.data.iter().map(|level| 255 - level).collect(),
        ..inverted
    };
    assert_eq!(difference(&back, &letters), 0);
}

#[test]
fn every_page_of_a_tiff_is_read() {
    let limits = Limits::default();
    let whole = file("three-pages.tif");
    assert_eq!(pages(&whole, &limits), Ok(3));
    for page in 0..3 {
        let found = decode_page(&whole, page, &limits).expect("a page").image;
        assert_eq!((found.width, found.height), (20 + 10 * page, 8 + page));
        assert_eq!(found.pixel(1, 1), [60 * page as u8 + 50; 3]);
    }
    let refused = decode_page(&whole, 3, &limits).expect_err("no such page");
    assert_eq!(
        refused.to_string(),
        "the file has no such page: expected a page of 1 to 3, found 4"
    );
    for name in ["letters.png", "group3.tif"] {
        assert_eq!(pages(&file(name), &limits), Ok(1), "{name}");
        let refused = decode_page(&file(name), 1, &limits);
        assert!(
            matches!(refused, Err(MediaError::NoSuchPage { page: 1, pages: 1 })),
            "{name}"
        );
    }
}

#[test]
fn directories_in_a_circle_end() {
    let mut file = file("three-pages.tif");
    // The last directory's pointer to the next one, which is 0, now leads to the first directory.
    let first = u32::from_le_bytes(file[4..8].try_into().expect("4 bytes"));
    let mut at = first as usize;
    loop {
        let count = usize::from(u16::from_le_bytes([file[at], file[at + 1]]));
        let end = at + 2 + 12 * count;
        match u32::from_le_bytes(file[end..end + 4].try_into().expect("4 bytes")) {
            0 => {
                file[end..end + 4].copy_from_slice(&first.to_le_bytes());
                break;
            }
            next => at = next as usize,
        }
    }
    assert_eq!(pages(&file, &Limits::default()), Ok(3));
}

#[test]
fn frames_are_counted() {
    for (name, count) in [
        ("frames.gif", 4),
        ("frames.png", 4),
        ("frames.webp", 4),
        ("letters.png", 1),
        ("three-pages.tif", 1),
    ] {
        assert_eq!(frames(&file(name), &Limits::default()), Ok(count), "{name}");
    }
}

#[test]
fn damage_anywhere_is_refused_or_read_but_never_fatal() {
    let limits = Limits {
        picture_px: 1 << 16,
        decode_bytes: 1 << 20,
        ..Limits::default()
    };
    let mut random = 7u64;
    let mut below = |bound: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33) as usize % bound
    };
    for name in [
        "group3.tif",
        "group3-2d.tif",
        "group4-reversed.tif",
        "huffman.tif",
        "palette.tif",
        "palette-big.tif",
        "ycbcr.tif",
        "old-jpeg.tif",
        "grey-alpha.tif",
        "three-pages.tif",
        "frames.gif",
        "frames.webp",
        "frames.png",
    ] {
        let whole = file(name);
        for _ in 0..400 {
            let mut file = whole.clone();
            for _ in 0..1 + below(4) {
                let at = below(file.len());
                match below(3) {
                    0 => file[at] ^= 1 << below(8),
                    1 => file[at] = [0, 1, 0x7f, 0x80, 0xff][below(5)],
                    _ => file.truncate(at.max(12)),
                }
            }
            let _ = frames(&file, &limits);
            let _ = dimensions(&file, &limits);
            for page in 0..pages(&file, &limits).unwrap_or(1).min(4) {
                match decode_page(&file, page, &limits) {
                    Ok(picture) => {
                        let (width, height) = picture.oriented;
                        assert_eq!(picture.image.data.len(), width as usize * height as usize * 3);
                    }
                    Err(error) => assert!(!error.to_string().contains('\n'), "{name}: {error}"),
                }
            }
        }
    }
}

#[test]
fn a_fax_that_is_cut_off_is_refused() {
    for name in [
        "group3.tif",
        "group3-2d.tif",
        "huffman.tif",
        "group4-reversed.tif",
    ] {
        let mut cut = file(name);
        // The strip is the first thing in these files; half of it is overwritten with an end.
        let length = cut.len();
        cut[8 + length / 6..length / 2].fill(0);
        assert!(decode(&cut, &Limits::default()).is_err(), "{name}");
    }
}
