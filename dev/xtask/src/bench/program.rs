//! Building ours, and running one program for its line of JSON.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

/// How often to look whether a program has ended. Rare, so that looking costs nothing.
const LOOK_MS: u64 = 100;

/// Builds our program in release mode; returns where it lies.
pub fn build(root: &Path) -> Result<PathBuf, String> {
    let status = Command::new("cargo")
        .args(["build", "--release", "--quiet", "-p", "ocellus"])
        .current_dir(root)
        .status()
        .map_err(|e| format!("cargo cannot be started: {e}"))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    match status.success() {
        true => Ok(target.join("release/ocellus")),
        false => Err("the release build of ocellus failed".into()),
    }
}

/// Reads files once, folders with everything directly in them, so that the system holds them in memory.
pub fn warm(paths: &[PathBuf]) -> Result<(), String> {
    for path in paths {
        let read = match path.is_dir() {
            true => path.read_dir().and_then(|entries| {
                let files = entries.collect::<io::Result<Vec<_>>>()?;
                files
                    .iter()
                    .map(|file| file.path())
                    .filter(|p| p.is_file())
                    .try_for_each(|p| pass_over(&p))
            }),
            false => pass_over(path),
        };
        read.map_err(|e| format!("{}: cannot be read: {e}", path.display()))?;
    }
    Ok(())
}

fn pass_over(path: &Path) -> io::Result<()> {
    io::copy(&mut File::open(path)?, &mut io::sink()).map(drop)
}

/// Runs `command` with `environment` on top of ours; what it prints on standard error is passed on.
///
/// # Errors
/// When the program cannot be started, takes longer than `limit_s`, fails, or prints no object as a line of JSON.
pub fn run(
    command: &[String],
    environment: &[(String, String)],
    limit_s: u64,
) -> Result<Map<String, Value>, String> {
    let (program, arguments) = command.split_first().ok_or("an empty command")?;
    let mut child = Command::new(program)
        .args(arguments)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| format!("`{program}` cannot be started: {e}"))?;
    let mut stdout = child.stdout.take().ok_or("no standard output")?;
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        stdout.read_to_end(&mut bytes).map(|_| bytes)
    });
    let ended = wait(&mut child, Duration::from_secs(limit_s));
    let status = ended.map_err(|e| format!("`{program}`: {e}"))?;
    let printed = reader
        .join()
        .map_err(|_| "the reader of the output broke off".to_owned())?
        .map_err(|e| format!("`{program}`: its output cannot be read: {e}"))?;
    if !status.success() {
        return Err(format!("`{program}` ended with {status}"));
    }
    last_object(&String::from_utf8_lossy(&printed))
        .ok_or_else(|| format!("`{program}` printed no line of JSON that is an object"))
}

fn wait(child: &mut Child, limit: Duration) -> Result<std::process::ExitStatus, String> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().map_err(|e| e.to_string())? {
            return Ok(status);
        }
        if start.elapsed() > limit {
            // It may have ended meanwhile; then there is nothing to kill.
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("not done after {} s", limit.as_secs()));
        }
        thread::sleep(Duration::from_millis(LOOK_MS));
    }
}

/// Some programs print of themselves before the line that counts.
fn last_object(text: &str) -> Option<Map<String, Value>> {
    text.lines()
        .rev()
        .find_map(|line| serde_json::from_str(line.trim()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    fn shell(script: &str, limit_s: u64) -> Result<Map<String, Value>, String> {
        let command = ["sh", "-c", script].map(str::to_owned);
        run(&command, &[("SPEED".into(), "4.5".into())], limit_s)
    }

    #[test]
    #[cfg(unix)]
    fn the_last_line_of_json_counts() {
        let told = shell(
            "echo loading; echo '{\"a\": 1}'; echo '{\"a\": '$SPEED'}'; echo done",
            60,
        )
        .unwrap();
        assert_eq!(told["a"], 4.5);
    }

    #[test]
    #[cfg(unix)]
    fn what_went_wrong_is_told() {
        for (script, expected) in [
            ("echo 3", "printed no line of JSON that is an object"),
            ("echo '{}'; exit 3", "ended with exit status: 3"),
            ("exec sleep 60", "not done after 0 s"),
        ] {
            let limit_s = if script.contains("sleep") { 0 } else { 60 };
            let found = shell(script, limit_s).unwrap_err();
            assert!(found.contains(expected), "{script}: {found}");
        }
        let found = run(&["no-such-program-at-all".to_owned()], &[], 1).unwrap_err();
        assert!(found.contains("cannot be started"), "{found}");
    }

    #[test]
    fn files_are_read_and_missing_ones_named() {
        let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(warm(&[here.clone(), here.join("Cargo.toml")]), Ok(()));
        let found = warm(&[here.join("no-such-file")]).unwrap_err();
        assert!(found.contains("no-such-file: cannot be read"), "{found}");
    }
}
