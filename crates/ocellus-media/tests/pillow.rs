//! Resizing and decoding, pixel by pixel, against Pillow.

mod golden;

use golden::{Case, levels, read};
use ocellus_media::{Gray, Limits, MediaError, Rgb, decode, resize, resize_gray};

#[test]
fn resize_equals_pillow_to_the_last_bit() {
    let case = Case::open("../pixels/resize-pillow");
    let inputs = read(&case.folder.join("inputs.safetensors"));
    let stages = case.stages();
    assert!(stages.len() >= 40);
    for stage in stages {
        let (source, _) = stage.split_once('/').expect("source/target");
        let (from, pixels) = levels(&inputs, source);
        let (to, expected) = case.levels(stage);
        let ([height, width], [new_height, new_width]) = ([from[0], from[1]], [to[0], to[1]]);
        let (width, height, new_width, new_height) =
            (width as u32, height as u32, new_width as u32, new_height as u32);
        let found = if from[2] == 3 {
            resize(
                &Rgb::new(width, height, pixels).expect(stage),
                new_width,
                new_height,
            )
            .data
        } else {
            resize_gray(
                &Gray::new(width, height, pixels).expect(stage),
                new_width,
                new_height,
            )
            .data
        };
        assert!(
            found == expected,
            "{stage}: {} levels differ",
            differing(&found, &expected)
        );
    }
}

fn differing(found: &[u8], expected: &[u8]) -> usize {
    found
        .iter()
        .zip(expected)
        .filter(|(found, expected)| found != expected)
        .count()
}

/// Levels by which a lossy file may differ: decoders round and upsample in their own ways.
fn tolerance(file: &str) -> u8 {
    match file {
        "subsampled.jpg" | "lossy.webp" => 12,
        _ if file.ends_with(".jpg") => 3,
        _ => 0,
    }
}

#[test]
fn every_kind_of_file_decodes_like_pillow() {
    let case = Case::open("../pixels/decode-pillow");
    let mut faults = Vec::new();
    for file in case.stages() {
        let (shape, expected) = case.levels(file);
        let picture = match decode(&read(&case.folder.join(file)), &Limits::default()) {
            Ok(picture) => picture,
            // The one kind here that is refused: palette colours in TIFF.
            Err(MediaError::UnsupportedPixels { format: "TIFF", .. }) if file == "palette.tiff" => continue,
            Err(error) => {
                faults.push(format!("{file}: {error}"));
                continue;
            }
        };
        let size = (picture.image.width as usize, picture.image.height as usize);
        assert_eq!(size, (shape[1], shape[0]), "{file}");
        assert_eq!(
            picture.oriented,
            (picture.image.width, picture.image.height),
            "{file}"
        );
        assert_eq!(picture.original, (21, 13), "{file}: the stored size");
        let pairs = picture.image.data.iter().zip(&expected);
        let worst = pairs
            .map(|(found, expected)| found.abs_diff(*expected))
            .max()
            .unwrap_or(0);
        if worst > tolerance(file) {
            faults.push(format!("{file}: off by up to {worst} levels"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
