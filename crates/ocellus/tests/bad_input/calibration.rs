//! Calibration sets that cannot be used: the folder to write does not come into being.

use std::fs;

use crate::checkpoints::{ENDS_AT_102, PICTURE, STARTS_AND_ENDS, checkpoint, sights};
use crate::place::{Place, goldens, png};

#[test]
fn calibration_sets_that_cannot_be_used() {
    let place = Place::new();
    place.model("talks");
    sights(&place.path(""));
    checkpoint(
        &place.path("space"),
        ("clip-quickgelu", STARTS_AND_ENDS),
        ".safetensors",
    );
    checkpoint(
        &place.path("phrases"),
        ("blip-caption", ENDS_AT_102),
        ".safetensors",
    );
    let good = fs::read(goldens().join("images/d0_shapes.png")).unwrap();
    place.write("half.png", &good[..good.len() / 2]);
    place.write("letter.png", "To whom it may concern\n");
    place.write("row.png", png(300, 1));
    place.write("words.txt", "what is this");
    place.write("empty.txt", "");
    place.write("bytes.txt", [0xff, 0xfe]);
    fs::create_dir(place.path("nothing")).unwrap();
    let before = place.files();
    // The model, the set, and what is said.
    let cases = [
        ("./talks", "absent.png", "absent.png: cannot read"),
        ("./talks", "absent.txt", "absent.txt: cannot read"),
        (
            "./talks",
            "nothing",
            "nothing: the folder holds no pictures or texts",
        ),
        ("./talks", "letter.png", "letter.png: not a picture"),
        ("./talks", "row.png", "row.png: the picture is too narrow"),
        (
            "./talks",
            "half.png",
            "half.png: the PNG picture is damaged or cut off",
        ),
        (
            "./talks",
            "empty.txt",
            "empty.txt: the text has fewer than two tokens",
        ),
        ("./talks", "bytes.txt", "bytes.txt: cannot read"),
        ("./space", PICTURE, "space does not write text"),
        (
            "./phrases",
            "words.txt",
            "words.txt: ./phrases reads no text without a picture",
        ),
    ];
    for (model, set, text) in cases {
        let outcome = place.run(&[
            "models",
            "quantize",
            model,
            "-o",
            "out",
            "-q",
            "--calibration",
            set,
        ]);
        outcome.refused(text);
        assert_eq!(place.files(), before, "nothing is left behind by {set}");
    }
    for (model, text) in [
        ("./talks", "weights of 8 bits are rounded the same"),
        ("./absent", "8 bits"),
    ] {
        place
            .run(&[
                "models",
                "quantize",
                model,
                "-o",
                "out",
                "--quant",
                "q8",
                "--calibration",
                PICTURE,
            ])
            .misused(text);
    }
    assert_eq!(place.files(), before);
}
