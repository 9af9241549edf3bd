//! A folder to break things in, what the program said about it, and ways to break pictures and checkpoints.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use image::{ImageFormat, RgbImage};
use ocellus_text::Tokenizer;
use ocellus_weights::{TensorBytes, Weights};
use serde_json::{Map, Value};

/// A folder of the test's own, in which the program runs with an empty environment.
pub struct Place(tempfile::TempDir);

pub struct Outcome {
    arguments: String,
    code: i32,
    pub stdout: String,
    stderr: String,
}

impl Place {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    pub fn run(&self, arguments: &[&str]) -> Outcome {
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
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<_> = fs::read_dir(self.0.path())
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        files.sort();
        files
    }

    /// A folder with a small model that answers, of the golden case; its characters are its tokens.
    pub fn model(&self, name: &str) -> PathBuf {
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
    pub fn refused(&self, text: &str) {
        assert_eq!(self.code, 1, "{}: {}", self.arguments, self.stderr);
        self.says(text);
    }

    fn says(&self, text: &str) {
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

    pub fn stderr(&self) -> &str {
        &self.stderr
    }

    /// The line of the hint.
    pub fn hint(&self) -> &str {
        self.stderr.lines().nth(1).unwrap_or_default()
    }

    /// As [`refused`](Self::refused), for what can never be meant.
    pub fn misused(&self, text: &str) {
        assert_eq!(self.code, 2, "{}: {}", self.arguments, self.stderr);
        self.says(text);
    }

    /// Without a word but that an answer was cut.
    pub fn fine(&self) {
        let cut = |line: &&str| line.starts_with("warning: the ") && line.contains(" was cut after ");
        let said: Vec<&str> = self.stderr.lines().filter(|line| !cut(line)).collect();
        assert_eq!(
            (self.code, said.join("\n").as_str()),
            (0, ""),
            "{}: {}",
            self.arguments,
            self.stdout
        );
    }
}

pub fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/goldens")
}

pub fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    RgbImage::from_pixel(width, height, image::Rgb([255; 3]))
        .write_to(&mut bytes, ImageFormat::Png)
        .unwrap();
    bytes.into_inner()
}

/// A PNG whose header states another size; the checksum is right, so that only the size can be refused.
pub fn png_that_states(width: u32, height: u32, mut bytes: Vec<u8>) -> Vec<u8> {
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
pub fn edit(file: &Path, changes: Value) {
    let mut object: Map<String, Value> = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    for (key, value) in changes.as_object().unwrap() {
        object.insert(key.clone(), value.clone());
    }
    object.retain(|_, value| !value.is_null());
    fs::write(file, serde_json::to_vec(&object).unwrap()).unwrap();
}

/// Writes the model's weights again, changed.
pub fn reweigh(folder: &Path, change: impl Fn(&mut Vec<TensorBytes>)) {
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

pub fn halve(file: &Path) {
    let bytes = fs::read(file).unwrap();
    fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
}
