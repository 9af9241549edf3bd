//! Pictures that are broken, too large, too narrow, or no pictures; and odd ones that are fine.

use std::fs;

use serde_json::Value;

use crate::place::{Place, goldens, png, png_that_states};

#[test]
fn pictures() {
    let place = Place::new();
    place.model("model");
    let good = fs::read(goldens().join("images/d0_shapes.png")).unwrap();
    let photo = fs::read(goldens().join("images/d5_exif.jpg")).unwrap();
    let bad: [(&str, Vec<u8>, &str); 13] = [
        ("empty.png", vec![], "empty.png: the picture is empty"),
        (
            "half.png",
            good[..good.len() / 2].to_vec(),
            "half.png: the PNG picture is damaged or cut off",
        ),
        (
            "head.png",
            good[..20].to_vec(),
            "the PNG picture is damaged or cut off",
        ),
        (
            "half.jpg",
            photo[..photo.len() / 2].to_vec(),
            "the JPEG picture is damaged or cut off",
        ),
        (
            "head.jpg",
            photo[..40].to_vec(),
            "the JPEG picture is damaged or cut off",
        ),
        (
            "text.png",
            b"To whom it may concern\n".to_vec(),
            "text.png: not a picture",
        ),
        (
            "riff.png",
            b"RIFF\x10\0\0\0WEBPVP8 ".to_vec(),
            "the WebP picture is damaged or cut off",
        ),
        (
            "column.png",
            png(1, 300),
            "the picture is too narrow: expected an aspect ratio of at most 200, found 1 x 300",
        ),
        ("row.png", png(300, 1), "the picture is too narrow"),
        (
            "none.png",
            png_that_states(0, 5, png(1, 1)),
            "none.png: the PNG picture is damaged",
        ),
        (
            "vast.png",
            png_that_states(30_000, 30_000, png(1, 1)),
            "at most 100000000 pixels, found 30000 x 30000",
        ),
        (
            "long.png",
            png_that_states(40_000, 400, png(1, 1)),
            "sides of at most 32768 px, found 40000 x 400",
        ),
        // Within all bounds, and not there: memory is taken for it, and only for it.
        (
            "bomb.png",
            png_that_states(2_000, 2_000, png(100, 1_000)),
            "bomb.png: the PNG picture is damaged",
        ),
    ];
    for (name, bytes, text) in &bad {
        place.write(name, bytes);
        place.run(&["ocr", name]).refused(text);
        place
            .run(&["ask", "-m", "./model", "--image", name, "hi"])
            .refused(text);
    }
    for (name, bytes, text) in [
        (
            "doc.jpg",
            &b"%PDF-1.7\n"[..],
            "doc.jpg: PDF documents are not supported yet",
        ),
        (
            "clip.png",
            b"\0\0\0\x20ftypisom\0\0\0\0",
            "clip.png: video is not supported yet",
        ),
    ] {
        place.write(name, bytes);
        place.run(&["ocr", name]).refused(text);
        place
            .run(&["ask", "-m", "./model", "--image", name, "hi"])
            .refused(text);
    }
}

#[test]
fn odd_pictures_that_are_fine() {
    let place = Place::new();
    place.model("model");
    place.write("dot.png", png(1, 1));
    // The content decides, not the name.
    place.write(
        "photo.png",
        fs::read(goldens().join("images/d5_exif.jpg")).unwrap(),
    );
    let blank = place.run(&["ocr", "dot.png", "--format", "json"]);
    blank.fine();
    let document: Value = serde_json::from_str(&blank.stdout).unwrap();
    assert_eq!(document["pages"][0]["blank"], true, "{}", blank.stdout);
    // What holds conversations also describes.
    place
        .run(&["caption", "-m", "./model", "dot.png", "--max-tokens", "2"])
        .fine();
    for name in ["dot.png", "photo.png"] {
        place
            .run(&[
                "ask",
                "-m",
                "./model",
                "--image",
                name,
                "hi",
                "--max-tokens",
                "2",
                "--max-pixels",
                "9000",
            ])
            .fine();
    }
}
