//! Runs the program in an empty environment and a folder of its own.

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Where a test's commands run. Its hub cache is empty and nothing of the user's environment is seen.
pub struct Place {
    pub folder: tempfile::TempDir,
}

/// What came of a command.
pub struct Outcome {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code().expect("an exit code"),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    /// Standard error without the warnings of answers that were cut.
    pub fn said(&self) -> String {
        let lines = self
            .stderr
            .lines()
            .filter(|line| !(line.starts_with("warning: the ") && line.contains(" was cut after ")));
        lines.map(|line| format!("{line}\n")).collect()
    }
}

impl Place {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, bytes).expect("a file");
    }

    pub fn run(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Outcome {
        let mut command = self.command(arguments);
        command.envs(environment.iter().copied());
        Outcome::of(command.output().expect("the program starts"))
    }

    /// The program in this place, not started yet.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ocellus"));
        command
            .args(arguments)
            .current_dir(self.path())
            .stdin(Stdio::null())
            .env_clear();
        // Windows programs cannot start without this one.
        command.envs(std::env::var_os("SystemRoot").map(|value| ("SystemRoot", value)));
        // No test may leave the machine: there is nobody at this address.
        command
            .env("HF_HOME", self.path().join("hf"))
            .env("HF_ENDPOINT", "http://127.0.0.1:1");
        command
    }

    /// Names of everything in the folder, in order.
    pub fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path()).expect("a folder");
        let name = |entry: std::io::Result<std::fs::DirEntry>| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        };
        let mut names: Vec<String> = entries.map(name).collect();
        names.sort();
        names
    }
}

/// A file of this source tree.
pub fn golden(path: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A white picture as PNG.
pub fn blank(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::RgbImage::from_pixel(width, height, image::Rgb([255; 3]))
        .write_to(&mut bytes, image::ImageFormat::Png)
        .expect("a picture");
    bytes.into_inner()
}

/// A folder with a small model that answers; its characters are its tokens.
pub fn small_model(place: &Place, name: &str) {
    for file in ["config.json", "generation_config.json", "model.safetensors"] {
        let golden = golden(&format!("tests/goldens/qwen2_5_vl-multi-449/model/{file}"));
        place.write(&format!("{name}/{file}"), golden);
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
    let tokenizer = ocellus_text::Tokenizer::characters(&characters, &special);
    place.write(&format!("{name}/tokenizer.json"), tokenizer);
}
