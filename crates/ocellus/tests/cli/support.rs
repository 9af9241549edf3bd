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
        command.envs(environment.iter().copied());
        let Output {
            status,
            stdout,
            stderr,
        } = command.output().expect("the program starts");
        Outcome {
            code: status.code().expect("an exit code"),
            stdout: String::from_utf8(stdout).expect("UTF-8"),
            stderr: String::from_utf8(stderr).expect("UTF-8"),
        }
    }
}
