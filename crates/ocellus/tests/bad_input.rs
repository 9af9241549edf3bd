//! Input that is wrong on purpose: every case ends with exit code 1, one sentence, one hint, and nothing half-written.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use image::{ImageFormat, RgbImage};
use ocellus_text::Tokenizer;
use ocellus_weights::{Dtype, TensorBytes, Weights};
use serde_json::{Map, Value, json};

/// A folder of the test's own, in which the program runs with an empty environment.
struct Place(tempfile::TempDir);

struct Outcome {
    arguments: String,
    code: i32,
    stdout: String,
    stderr: String,
}

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Outcome {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ocellus"));
        command
            .args(arguments)
            .current_dir(self.0.path())
            .stdin(Stdio::null())
            .env_clear();
        // Windows programs cannot start without this one.
        command.envs(std::env::var_os("SystemRoot").map(|value| ("SystemRoot", value)));
        command.env("HF_HOME", self.path("hf")).env("HF_HUB_OFFLINE", "1");
        let Output {
            status,
            stdout,
            stderr,
        } = command.output().unwrap();
        Outcome {
            arguments: format!("{arguments:?}"),
            code: status.code().expect("an exit code, not a signal"),
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: String::from_utf8(stderr).unwrap(),
        }
    }

    /// Everything in the folder, without what the program must never touch.
    fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<_> = fs::read_dir(self.0.path())
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        files.sort();
        files
    }

    /// A folder with a small model that answers, of the golden case; its characters are its tokens.
    fn model(&self, name: &str) -> PathBuf {
        let folder = self.path(name);
        fs::create_dir(&folder).unwrap();
        let golden = goldens().join("qwen2_5_vl-multi-449/model");
        for file in ["config.json", "generation_config.json", "model.safetensors"] {
            fs::copy(golden.join(file), folder.join(file)).unwrap();
        }
        let special = [
            "<|endoftext|>",
            "<|im_start|>",
            "<|im_end|>",
            "<|3|>",
            "<|4|>",
            "<|5|>",
            "<|vision_end|>",
            "<|vision_start|>",
            "<|image_pad|>",
            "<|video_pad|>",
        ];
        let characters: Vec<char> = ('\n'..='\n').chain(' '..='~').collect();
        fs::write(
            folder.join("tokenizer.json"),
            Tokenizer::characters(&characters, &special),
        )
        .unwrap();
        folder
    }
}

impl Outcome {
    /// One sentence that contains `text`, one hint, nothing else.
    fn refused(&self, text: &str) {
        assert_eq!(self.code, 1, "{}: {}", self.arguments, self.stderr);
        let lines: Vec<&str> = self.stderr.lines().collect();
        assert!(
            matches!(&lines[..], [error, hint] if error.starts_with("error: ") && hint.starts_with("hint: ")),
            "{}: {}",
            self.arguments,
            self.stderr
        );
        assert!(
            lines[0].contains(text),
            "{}: `{text}` is not in {}",
            self.arguments,
            self.stderr
        );
        assert_eq!(self.stdout, "", "{}", self.arguments);
    }

    fn fine(&self) {
        assert_eq!(
            (self.code, self.stderr.as_str()),
            (0, ""),
            "{}: {}",
            self.arguments,
            self.stdout
        );
    }
}

fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/goldens")
}

fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    RgbImage::from_pixel(width, height, image::Rgb([255; 3]))
        .write_to(&mut bytes, ImageFormat::Png)
        .unwrap();
    bytes.into_inner()
}

/// A PNG whose header states another size; the checksum is right, so that only the size can be refused.
fn png_that_states(width: u32, height: u32, mut bytes: Vec<u8>) -> Vec<u8> {
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    let mut crc = u32::MAX;
    for byte in &bytes[12..29] {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
        }
    }
    bytes[29..33].copy_from_slice(&(!crc).to_be_bytes());
    bytes
}

/// Adds fields to a JSON file; null takes a field away.
fn edit(file: &Path, changes: Value) {
    let mut object: Map<String, Value> = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    for (key, value) in changes.as_object().unwrap() {
        object.insert(key.clone(), value.clone());
    }
    object.retain(|_, value| !value.is_null());
    fs::write(file, serde_json::to_vec(&object).unwrap()).unwrap();
}

/// Writes the model's weights again, changed.
fn reweigh(folder: &Path, change: impl Fn(&mut Vec<TensorBytes>)) {
    let file = folder.join("model.safetensors");
    let weights = Weights::from_bytes(fs::read(&file).unwrap(), "model").unwrap();
    let mut tensors: Vec<TensorBytes> = weights
        .names()
        .map(|name| {
            let view = weights.view(name).unwrap();
            (
                name.to_owned(),
                view.dtype,
                view.shape.clone(),
                view.bytes.to_vec(),
            )
        })
        .collect();
    change(&mut tensors);
    ocellus_weights::write(&file, &tensors, &Default::default()).unwrap();
}

fn halve(file: &Path) {
    let bytes = fs::read(file).unwrap();
    fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
}

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

/// What is damaged, how, and what is said about it.
type Damage = (&'static str, fn(&Path), &'static str);

#[test]
fn checkpoints() {
    let cases: &[Damage] = &[
        (
            "no config",
            |f| fs::remove_file(f.join("config.json")).unwrap(),
            "not a model folder",
        ),
        (
            "half a config",
            |f| halve(&f.join("config.json")),
            "not valid JSON",
        ),
        (
            "dynamic rotary scaling",
            |f| {
                let scaling = json!({ "type": "dynamic", "factor": 2.0, "mrope_section": [1, 2, 3] });
                edit(&f.join("config.json"), json!({ "rope_scaling": scaling }));
            },
            "`rope_scaling.type` is \"dynamic\"",
        ),
        (
            "sliding windows",
            |f| edit(&f.join("config.json"), json!({ "use_sliding_window": true })),
            "`use_sliding_window` is true, expected false",
        ),
        (
            "another activation",
            |f| edit(&f.join("config.json"), json!({ "hidden_act": "gelu" })),
            "`hidden_act` is \"gelu\", expected \"silu\"",
        ),
        (
            "an unknown field",
            |f| edit(&f.join("config.json"), json!({ "some_new_field": 1 })),
            "`some_new_field` = 1 is not known to family `qwen2_5_vl`",
        ),
        (
            "a field that is missing",
            |f| edit(&f.join("config.json"), json!({ "hidden_size": null })),
            "`hidden_size` is missing",
        ),
        (
            "no heads",
            |f| edit(&f.join("config.json"), json!({ "num_attention_heads": 0 })),
            "`num_attention_heads` is 0",
        ),
        (
            "an absurd size",
            |f| {
                edit(
                    &f.join("config.json"),
                    json!({ "intermediate_size": 2_000_000_000 }),
                )
            },
            "has shape [72, 48], the config asks for [2000000000, 48]",
        ),
        (
            "an unknown architecture",
            |f| {
                edit(
                    &f.join("config.json"),
                    json!({ "model_type": "x", "architectures": ["XForY"] }),
                )
            },
            "no family reads the architecture `XForY`",
        ),
        (
            "no weights",
            |f| fs::remove_file(f.join("model.safetensors")).unwrap(),
            "no weights in",
        ),
        (
            "empty weights",
            |f| fs::write(f.join("model.safetensors"), "").unwrap(),
            "is not a safetensors file",
        ),
        (
            "half the weights",
            |f| halve(&f.join("model.safetensors")),
            "lies at bytes",
        ),
        (
            "a missing shard",
            |f| {
                fs::remove_file(f.join("model.safetensors")).unwrap();
                let map = json!({ "lm_head.weight": "model-00001-of-00002.safetensors" });
                let index = json!({ "metadata": { "total_size": 1 }, "weight_map": map });
                fs::write(f.join("model.safetensors.index.json"), index.to_string()).unwrap();
            },
            "lists the shard `model-00001-of-00002.safetensors`, which is missing",
        ),
        (
            "a missing tensor",
            |f| reweigh(f, |tensors| tensors.retain(|t| t.0 != "model.norm.weight")),
            "has no tensor `model.norm.weight`",
        ),
        (
            "a tensor of the wrong shape",
            |f| {
                reweigh(f, |tensors| {
                    let norm = tensors.iter_mut().find(|t| t.0 == "model.norm.weight").unwrap();
                    norm.2 = vec![2, 24];
                });
            },
            "tensor `model.norm.weight` has shape [2, 24], the config asks for [48]",
        ),
        (
            "a tensor too many",
            |f| {
                reweigh(f, |tensors| {
                    tensors.push(("model.extra.weight".into(), Dtype::F32, vec![1], vec![0; 4]))
                });
            },
            "nobody takes the tensors model.extra.weight",
        ),
        (
            "no tokenizer",
            |f| fs::remove_file(f.join("tokenizer.json")).unwrap(),
            "no tokenizer in",
        ),
        (
            "half a tokenizer",
            |f| halve(&f.join("tokenizer.json")),
            "tokenizer.json",
        ),
        (
            "a template that loops",
            |f| {
                let inner =
                    "{% for b in range(100000) %}{% for c in range(100000) %}{% endfor %}{% endfor %}";
                fs::write(f.join("chat_template.jinja"), inner).unwrap();
            },
            "the chat template was stopped",
        ),
        (
            "a template that calls itself",
            |f| {
                let text = "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}";
                fs::write(f.join("chat_template.jinja"), text).unwrap();
            },
            "nested too deeply",
        ),
        (
            "half a template",
            |f| fs::write(f.join("chat_template.jinja"), "{% if").unwrap(),
            "the chat template is not valid",
        ),
        (
            "a template that refuses",
            |f| {
                fs::write(
                    f.join("chat_template.jinja"),
                    "{{ raise_exception('no questions') }}",
                )
                .unwrap()
            },
            "refuses this conversation: no questions",
        ),
        (
            "a template without pictures",
            |f| fs::write(f.join("chat_template.jinja"), "x").unwrap(),
            "0 placeholders",
        ),
        (
            "a broken generation config",
            |f| fs::write(f.join("generation_config.json"), "{}{").unwrap(),
            "generation_config.json is not valid JSON",
        ),
        (
            "patches of another model",
            |f| {
                let recipe = json!({ "patch_size": 14, "merge_size": 2, "temporal_patch_size": 2 });
                fs::write(f.join("preprocessor_config.json"), recipe.to_string()).unwrap();
            },
            "preprocessor_config.json makes patches of 1176 values",
        ),
    ];
    let place = Place::new();
    place.write("dot.png", png(1, 1));
    let ask = |name: &str| {
        let folder = format!("./{name}");
        place.run(&[
            "ask",
            "-m",
            &folder,
            "--image",
            "dot.png",
            "hi",
            "--max-tokens",
            "1",
        ])
    };
    place.model("sound");
    ask("sound").fine();
    for (name, damage, text) in cases {
        damage(&place.model(name));
        ask(name).refused(text);
    }
}

#[test]
fn a_batch_goes_on_after_a_bad_picture() {
    let place = Place::new();
    for name in ["a.png", "c.png"] {
        place.write(name, png(40, 30));
    }
    place.write("b.png", "no picture");
    let outcome = place.run(&[
        "ocr", "a.png", "b.png", "c.png", "--format", "json", "-o", "out.json",
    ]);
    outcome.refused("b.png: not a picture");
    let document: Value = serde_json::from_slice(&fs::read(place.path("out.json")).unwrap()).unwrap();
    let sources: Vec<_> = document["pages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| &p["source"])
        .collect();
    assert_eq!(sources, ["a.png", "c.png"]);
}

#[test]
fn places_that_cannot_be_written() {
    let place = Place::new();
    place.write("dot.png", png(1, 1));
    fs::create_dir(place.path("folder")).unwrap();
    let before = place.files();
    for flag in ["--output", "--draw"] {
        place
            .run(&["ocr", "dot.png", flag, "nowhere/out.png"])
            .refused("nowhere/out.png: cannot write");
        place
            .run(&["ocr", "dot.png", flag, "folder"])
            .refused("folder: cannot write");
    }
    assert_eq!(place.files(), before, "nothing is left behind");
}
