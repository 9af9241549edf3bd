//! What commands about one picture refuse: models of another kind, foreign checkpoints, regions that do not fit.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::checkpoints::{
    END_AT_2, ENDS_AT_102, Marks, PICTURE, REGIONS, SENTENCES, STARTS_AND_ENDS, checkpoint, configure,
    regions, sights,
};
use crate::place::{Place, halve};

const CASES: &[(&str, (&str, Marks))] = &[
    ("space", ("clip-quickgelu", STARTS_AND_ENDS)),
    ("answers", ("vilt-vqa", SENTENCES)),
    ("masks", ("vilt-mlm", SENTENCES)),
    ("captions", ("blip-caption", ENDS_AT_102)),
    ("questions", ("blip-vqa", ENDS_AT_102)),
    ("phrases", ("blip_2-opt", END_AT_2)),
    ("regions", ("uniter-mlm-itm", SENTENCES)),
    ("region-answers", ("uniter-vqa", SENTENCES)),
];

fn place() -> Place {
    let place = Place::new();
    sights(&place.path(""));
    for (name, case) in CASES {
        checkpoint(&place.path(name), *case, ".safetensors");
    }
    place.model("talks");
    place
}

#[test]
fn a_model_that_cannot_says_which_families_can() {
    let place = place();
    // What is asked of which model, what it cannot do, and a family that can.
    let cases: &[(&[&str], &str, &str)] = &[
        (
            &["score", "-m", "./masks", PICTURE, "a"],
            "family vilt, cannot score",
            "clip",
        ),
        (
            &["score", "-m", "./talks", PICTURE, "a"],
            "family qwen2_5_vl, cannot score",
            "uniter",
        ),
        (
            &["classify", "-m", "./masks", PICTURE, "a"],
            "cannot tell which label",
            "clip",
        ),
        (
            &["classify", "-m", "./regions", PICTURE, "a"],
            "cannot tell which label",
            "clip",
        ),
        (
            &["embed", "-m", "./answers", "a"],
            "cannot turn pictures and texts into vectors",
            "clip",
        ),
        (
            &["fill", "-m", "./space", PICTURE, "[MASK]"],
            "family clip, cannot find words",
            "vilt",
        ),
        (
            &["fill", "-m", "./region-answers", PICTURE, "[MASK]"],
            "cannot find words",
            "uniter",
        ),
        (
            &["caption", "-m", "./space", PICTURE],
            "cannot write captions",
            "blip",
        ),
        (
            &["caption", "-m", "./questions", PICTURE],
            "cannot write captions",
            "blip",
        ),
        (
            &["caption", "-m", "./answers", PICTURE],
            "cannot write captions",
            "blip",
        ),
        (
            &["caption", "-m", "nano", PICTURE],
            "cannot write captions",
            "blip",
        ),
        (
            &["ask", "-m", "./space", "--image", PICTURE, "a"],
            "cannot answer questions",
            "vilt",
        ),
        (
            &["ask", "-m", "./masks", "--image", PICTURE, "a"],
            "cannot answer questions",
            "qwen2_vl",
        ),
        (
            &["chat", "-m", "./captions"],
            "family blip, cannot hold a conversation",
            "qwen2_vl",
        ),
        (
            &["chat", "-m", "./space"],
            "family clip, cannot hold a conversation",
            "qwen2_vl",
        ),
        (
            &["ocr", "-m", "./phrases", PICTURE],
            "family blip-2, cannot read pages",
            "qwen2_vl",
        ),
        (
            &["ocr", "-m", "./regions", PICTURE],
            "family uniter, cannot read pages",
            "qwen2_vl",
        ),
    ];
    for (arguments, text, able) in cases {
        let outcome = place.run(arguments);
        outcome.refused(text);
        assert!(outcome.hint().contains(able), "{arguments:?}: {}", outcome.hint());
    }
}

#[test]
fn what_a_model_has_no_use_for_is_wrong_usage() {
    let place = place();
    place.write("answers.txt", "a\n");
    let cases: &[(&[&str], &str)] = &[
        (
            &["score", "-m", "./space", PICTURE, "a", "--regions", REGIONS],
            "looks at pictures, not at region features",
        ),
        (
            &["fill", "-m", "./masks", PICTURE, "[MASK]", "--regions", REGIONS],
            "not at region features",
        ),
        (
            &[
                "ask",
                "-m",
                "./answers",
                "a",
                "--image",
                PICTURE,
                "--regions",
                REGIONS,
            ],
            "not at region features",
        ),
        (
            &["ask", "-m", "./answers", "a", "--regions", REGIONS],
            "not at region features",
        ),
        (
            &[
                "ask",
                "-m",
                "./questions",
                "a",
                "--image",
                PICTURE,
                "--regions",
                REGIONS,
            ],
            "no use for --regions",
        ),
        (
            &[
                "ask",
                "-m",
                "./questions",
                "a",
                "--image",
                PICTURE,
                "--system",
                "x",
            ],
            "no use for --system",
        ),
        (
            &[
                "ask",
                "-m",
                "./answers",
                "a",
                "--image",
                PICTURE,
                "--answers",
                "answers.txt",
            ],
            "no use for --answers",
        ),
        (
            &["ask", "-m", "./talks", "a", "--answers", "answers.txt"],
            "no use for --answers",
        ),
        (&["ask", "-m", "./answers", "a"], "exactly one picture, not 0"),
        (&["ask", "-m", "./questions", "a"], "exactly one picture, not 0"),
        (
            &[
                "ask",
                "-m",
                "./phrases",
                "a",
                "--image",
                PICTURE,
                "--image",
                PICTURE,
            ],
            "exactly one picture, not 2",
        ),
        (
            &["fill", "-m", "./masks", PICTURE, "nothing missing"],
            "the text has no [MASK] to fill",
        ),
        (
            &["score", "-m", "./space", PICTURE, "a", "--kv-cache", "q8"],
            "no keys and values that can be kept in fewer bits",
        ),
        (
            &["classify", "-m", "./space", PICTURE, "a", "--template", "a"],
            "--template has no {}",
        ),
    ];
    for (arguments, text) in cases {
        place.run(arguments).misused(text);
    }
}

#[test]
fn files_beside_the_question() {
    let place = place();
    place.write("none.txt", "\n  \n");
    place.write("bytes.txt", [0xff, 0xfe, 0x00]);
    place.write("long.txt", "dog ".repeat(500));
    place.write("text.png", "no picture");
    let ask = ["ask", "-m", "./questions", "a", "--image", PICTURE, "--answers"];
    for (file, text) in [
        ("absent.txt", "absent.txt: cannot read"),
        ("none.txt", "none.txt: the file has no answers"),
        ("bytes.txt", "bytes.txt: cannot read"),
    ] {
        place.run(&[&ask[..], &[file]].concat()).refused(text);
    }
    place
        .run(&[&ask[..], &["long.txt"]].concat())
        .refused("long.txt: an answer of 501 tokens does not fit");
    for command in [
        &["score", "-m", "./space", "text.png", "a"][..],
        &["fill", "-m", "./masks", "text.png", "[MASK]"],
        &["classify", "-m", "./space", "text.png", "a"],
        &["ask", "-m", "./answers", "--image", "text.png", "a"],
        &["caption", "-m", "./captions", "text.png"],
        &["embed", "-m", "./space", "text.png"],
    ] {
        place.run(command).refused("text.png: not a picture");
    }
    place
        .run(&["score", "-m", "./space", "absent.png", "a"])
        .refused("absent.png: cannot read");
}

#[test]
fn region_files() {
    let place = place();
    regions(&place.path("narrow.safetensors"), 3, 7);
    regions(&place.path("many.safetensors"), 5000, 20);
    regions(&place.path("half.safetensors"), 3, 20);
    halve(&place.path("half.safetensors"));
    place.write("counts.safetensors", counts());
    place.write("text.npz", "no archive");
    let goldens = crate::checkpoints::goldens().join("regions");
    fs::copy(goldens.join("stored.npz"), place.path("stored.npz")).unwrap();
    fs::copy(goldens.join("objects.npz"), place.path("objects.npz")).unwrap();
    fs::copy(goldens.join("single.npy"), place.path("single.npy")).unwrap();
    let cases = [
        ("absent.npz", "absent.npz: "),
        (
            "narrow.safetensors",
            "the model takes feature vectors of 20 numbers, found 7",
        ),
        (
            "stored.npz",
            "the model takes feature vectors of 20 numbers, found 4",
        ),
        ("many.safetensors", "expected 1 to 4096 regions, found 5000"),
        ("counts.safetensors", "3 feature vectors, but 2 boxes"),
        ("half.safetensors", "half.safetensors"),
        ("text.npz", "text.npz holds no regions"),
        ("objects.npz", "objects.npz, array `features`"),
        ("single.npy", "single.npy holds no regions"),
        (PICTURE, "shapes.png holds no regions"),
    ];
    for (file, text) in cases {
        place
            .run(&["score", "-m", "./regions", PICTURE, "a", "--regions", file])
            .refused(text);
        place
            .run(&["ask", "-m", "./region-answers", "a", "--regions", file])
            .refused(text);
        place
            .run(&["fill", "-m", "./regions", PICTURE, "[MASK]", "--regions", file])
            .refused(text);
    }
    for command in [
        &["score", "-m", "./regions", PICTURE, "a"][..],
        &["fill", "-m", "./regions", PICTURE, "[MASK]"],
        &["ask", "-m", "./region-answers", "--image", PICTURE, "a"],
    ] {
        place
            .run(command)
            .refused("does not look at pictures but at what a detector found in them");
    }
}

/// Three feature vectors and two boxes.
fn counts() -> Vec<u8> {
    let header = json!({
        "features": {"dtype": "F32", "shape": [3, 20], "data_offsets": [0, 240]},
        "boxes": {"dtype": "F32", "shape": [2, 4], "data_offsets": [240, 272]},
        "size": {"dtype": "F32", "shape": [2], "data_offsets": [272, 280]},
    })
    .to_string();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend([0; 272]);
    bytes.extend([200f32, 100.].iter().flat_map(|side| side.to_le_bytes()));
    bytes
}

/// What is done to a folder, and what is said about it.
type Damage<'a> = (&'a str, &'a str, fn(&Path), &'a str);

#[test]
fn foreign_and_damaged_checkpoints() {
    let place = place();
    let cases: &[Damage] = &[
        (
            "an unknown architecture",
            "space",
            |f| {
                configure(
                    f,
                    json!({"architectures": ["NewForEverything"], "model_type": "new"}),
                )
            },
            "no family reads the architecture `NewForEverything`; known: CLIPModel, ",
        ),
        (
            "an unknown type",
            "regions",
            |f| fs::write(f.join("config.json"), json!({"model_type": "newest"}).to_string()).unwrap(),
            "no family reads the architecture `newest`; known: ",
        ),
        (
            "no type at all",
            "regions",
            |f| fs::write(f.join("config.json"), "{}").unwrap(),
            "the config names no architecture, by `architectures` or `model_type`; known: ",
        ),
        (
            "a field of the library that is not as it always is",
            "space",
            |f| configure(f, json!({"is_decoder": true})),
            "`is_decoder` is true",
        ),
        (
            "a value that is not supported",
            "captions",
            |f| {
                let mut config: serde_json::Value =
                    serde_json::from_slice(&fs::read(f.join("config.json")).unwrap()).unwrap();
                config["text_config"]["hidden_act"] = "tanhshrink".into();
                fs::write(f.join("config.json"), config.to_string()).unwrap();
            },
            "hidden_act` is ",
        ),
        (
            "a pickle that runs a command",
            "answers",
            |f| {
                fs::remove_file(f.join("model.safetensors")).unwrap();
                // Protocol 2: os.system("touch was-here").
                let pickle = b"\x80\x02cos\nsystem\nX\x0e\0\0\0touch was-here\x85R.";
                fs::write(f.join("pytorch_model.bin"), pickle).unwrap();
            },
            "pytorch_model.bin wants to import `os.system`: only tensors are read",
        ),
        (
            "a word list that was cut off",
            "masks",
            |f| fs::write(f.join("vocab.txt"), "[PAD]\n[UN").unwrap(),
            "vocab.txt is damaged: the token `[UNK]` is missing",
        ),
        (
            "half a tokenizer",
            "space",
            |f| halve(&f.join("tokenizer.json")),
            "tokenizer.json is damaged",
        ),
        (
            "a tokenizer without the marks of the family",
            "answers",
            |f| {
                let list = fs::read_to_string(f.join("vocab.txt"))
                    .unwrap()
                    .replace("[CLS]", "w3");
                fs::write(f.join("vocab.txt"), list).unwrap();
            },
            "[CLS]",
        ),
        (
            "a tokenizer with more words than the model",
            "answers",
            |f| {
                let list = fs::read_to_string(f.join("vocab.txt"))
                    .unwrap()
                    .replace("\na\n", "\nw10\n");
                fs::write(f.join("vocab.txt"), list + "a\n").unwrap();
            },
            "token id 160",
        ),
    ];
    for (name, sound, damage, text) in cases {
        let case = CASES.iter().find(|(own, _)| own == sound).unwrap().1;
        checkpoint(&place.path(name), case, ".safetensors");
        damage(&place.path(name));
        let folder = format!("./{name}");
        let command: &[&str] = match *sound {
            "space" | "regions" => &["score", "-m", &folder, PICTURE, "a"],
            "captions" => &["caption", "-m", &folder, PICTURE],
            "masks" => &["fill", "-m", &folder, PICTURE, "a [MASK]"],
            _ => &["ask", "-m", &folder, "--image", PICTURE, "a"],
        };
        place.run(command).refused(text);
    }
    assert!(!place.path("was-here").exists());
}
