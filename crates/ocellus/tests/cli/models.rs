//! `models` from end to end against a small hub on 127.0.0.1, and `doctor`.

use std::io::{Read, Write};
use std::net::TcpListener;

use crate::support::{Place, small_model};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Two tensors, 6 and 2 elements.
fn weights() -> Vec<u8> {
    let header = json!({
        "model.layers.0.weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        "visual.bias": {"dtype": "BF16", "shape": [2], "data_offsets": [24, 28]},
    })
    .to_string();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend([0; 28]);
    bytes
}

const KNOWN: &str = "Qwen2VLForConditionalGeneration";

fn files(architecture: &str) -> Vec<(&'static str, Vec<u8>)> {
    let config = json!({
        "architectures": [architecture], "model_type": "tiny", "hidden_size": 48,
        "num_hidden_layers": 2, "vision_config": {"depth": 3},
    });
    vec![
        ("config.json", config.to_string().into_bytes()),
        ("model.safetensors", weights()),
        ("tokenizer.json", b"{}".to_vec()),
    ]
}

/// Serves one repository until the test program ends; returns its address.
fn hub() -> String {
    hub_of(KNOWN)
}

/// The same with a model of this architecture.
fn hub_of(architecture: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let siblings: Vec<Value> = files(architecture)
        .iter()
        .map(|(name, bytes)| {
            let sha256: String = Sha256::digest(bytes)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            json!({"rfilename": name, "lfs": {"sha256": sha256, "size": bytes.len()}})
        })
        .collect();
    let list = json!({"sha": COMMIT, "siblings": siblings}).to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count == 1) {
                head.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&head).into_owned();
            let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
            let file = target
                .strip_prefix(&format!("/org/tiny/resolve/{COMMIT}/"))
                .map(str::to_owned);
            let body = match files(architecture)
                .into_iter()
                .find(|(name, _)| Some(*name) == file.as_deref())
            {
                Some((_, bytes)) => Some(bytes),
                None => target
                    .starts_with("/api/models/org/tiny/revision/main")
                    .then(|| list.clone().into_bytes()),
            };
            let status = if body.is_some() { "200 OK" } else { "404 Not Found" };
            let body = body.unwrap_or_default();
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(&body);
        }
    });
    address
}

/// A folder whose weights have a name that a terminal would obey, and lines in it.
#[test]
fn names_of_others_reach_no_terminal_and_stay_in_json() {
    let place = Place::new();
    small_model(&place, "odd");
    let name = "\u{1b}]0;x\u{7}\u{9b}31m\u{202e}evil\nhead.b";
    let header =
        serde_json::json!({name: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).to_string();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(&[0; 4]);
    std::fs::write(place.path().join("odd/model.safetensors"), bytes).unwrap();
    for arguments in [
        &["models", "show", "./odd"][..],
        &["models", "show", "./odd", "--format", "json"],
    ] {
        let run = place.command(arguments).output().unwrap();
        for text in [run.stdout, run.stderr] {
            let text = String::from_utf8(text).unwrap();
            let obeyed = ['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}'];
            assert!(!text.contains(obeyed), "{arguments:?}: {text:?}");
            assert!(!text.lines().any(|line| line.starts_with("head.b")), "{text}");
        }
    }
}

#[test]
fn a_model_is_pulled_listed_shown_and_removed() {
    let (place, address) = (Place::new(), hub());
    let online = [("HF_ENDPOINT", address.as_str())];

    let pull = place.run(&["models", "pull", "org/tiny"], &online);
    assert_eq!(pull.code, 0, "{}", pull.stderr);
    let folder = place
        .path()
        .join("hf/hub/models--org--tiny/snapshots")
        .join(COMMIT);
    assert_eq!(
        pull.stdout,
        format!("{}\n", folder.display()),
        "the result is the folder"
    );
    assert!(
        pull.stderr.contains("downloaded model.safetensors"),
        "{}",
        pull.stderr
    );
    let quiet = place.run(&["--quiet", "models", "pull", "org/tiny"], &online);
    assert_eq!((quiet.code, quiet.stderr.as_str()), (0, ""));

    // From here on nobody is asked.
    let list = place.run(&["models", "list"], &[]);
    let row = list
        .stdout
        .lines()
        .find(|line| line.starts_with("org/tiny"))
        .expect("a row");
    assert!(
        row.contains("main (01234567)") && row.contains("huggingface") && row.ends_with("complete"),
        "{row}"
    );
    assert!(
        list.stdout.lines().any(|line| line.starts_with("nano")),
        "{}",
        list.stdout
    );
    let list = place.run(&["models", "list", "--format", "json"], &[]);
    let list: Value = serde_json::from_str(&list.stdout).expect("JSON");
    assert_eq!(list["models"][1]["name"], "org/tiny");
    assert_eq!(
        list["models"][1]["bytes"],
        files(KNOWN).iter().map(|(_, bytes)| bytes.len()).sum::<usize>()
    );

    let show = place.run(&["models", "show", "org/tiny", "--format", "json"], &[]);
    let card: Value = serde_json::from_str(&show.stdout).expect("JSON");
    assert_eq!(card["parameters"], 8);
    assert_eq!(card["parts"], json!({"model.layers": 6, "visual": 2}));
    assert_eq!(card["dtypes"]["BF16"], json!({"tensors": 1, "parameters": 2}));
    assert_eq!(card["commit"], COMMIT);
    assert_eq!(card["files"].as_array().map(Vec::len), Some(3));
    let show = place.run(&["models", "show", "org/tiny@main"], &[]);
    for text in [KNOWN, "layers 2, width 48", "layers 3", "F32: 1 tensors, 6"] {
        assert!(show.stdout.contains(text), "{text}: {}", show.stdout);
    }

    let remove = place.run(&["models", "rm", "org/tiny"], &[]);
    assert_eq!(
        (remove.code, remove.stdout.as_str()),
        (0, ""),
        "{}",
        remove.stderr
    );
    assert!(!place.path().join("hf/hub/models--org--tiny").exists());
}

#[test]
fn a_repository_that_is_not_there_is_said_to_be_so() {
    let (place, address) = (Place::new(), hub());
    let pull = place.run(
        &["models", "pull", "org/absent", "org/tiny"],
        &[("HF_ENDPOINT", &address)],
    );
    assert_eq!(pull.code, 1);
    assert!(
        pull.stderr.contains("has no org/absent at main"),
        "{}",
        pull.stderr
    );
    assert!(
        pull.stdout.trim_end().ends_with(COMMIT),
        "the second one is pulled all the same"
    );
}

#[test]
fn a_model_that_cannot_be_run_is_refused_before_its_weights() {
    let (place, address) = (Place::new(), hub_of("TinyForConditionalGeneration"));
    for command in [
        &["models", "pull", "org/tiny"][..],
        &["ask", "-m", "org/tiny", "hi"],
    ] {
        let pull = place.run(command, &[("HF_ENDPOINT", &address)]);
        assert_eq!((pull.code, pull.stdout.as_str()), (1, ""), "{}", pull.stderr);
        assert!(
            pull.stderr.contains("TinyForConditionalGeneration") && pull.stderr.contains("models families"),
            "{}",
            pull.stderr
        );
        assert!(!pull.stderr.contains("downloaded model"), "{}", pull.stderr);
    }
}

#[test]
fn a_host_that_is_down_is_reported_once() {
    let place = Place::new();
    // Nobody listens at this address.
    let pull = place.run(&["models", "pull", "org/tiny"], &[]);
    assert_eq!(pull.code, 1);
    assert_eq!(pull.stderr.matches("trying again").count(), 1, "{}", pull.stderr);
}

#[test]
fn the_doctor_finds_what_is_wrong() {
    let place = Place::new();
    let finding = |arguments: &[&str], environment: &[(&str, &str)], subject: &str| {
        let outcome = place.run(
            &[&["doctor", "--format", "json"], arguments].concat(),
            environment,
        );
        let report: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
        let findings = report["findings"].as_array().cloned().unwrap_or_default();
        let found = findings.into_iter().find(|finding| finding["subject"] == subject);
        let found = found.unwrap_or_else(|| panic!("nothing about {subject}"));
        assert_eq!(outcome.code == 0, !report.to_string().contains("\"FAIL\""));
        (
            found["state"].as_str().unwrap_or_default().to_owned(),
            found["text"].as_str().unwrap_or_default().to_owned(),
        )
    };
    assert_eq!(finding(&[], &[], "cache folder").0, "ok");
    place.write("file", "");
    let path = place.path().join("file");
    let path = path.to_str().expect("UTF-8");
    assert_eq!(finding(&[], &[("HF_HUB_CACHE", path)], "cache folder").0, "FAIL");
    let (state, text) = finding(&[], &[("HF_TOKEN", "hf_secret")], "token");
    assert!(
        state == "ok" && text.starts_with("set") && !text.contains("secret"),
        "{text}"
    );
    assert_eq!(
        finding(&["--online"], &[("HF_ENDPOINT", &hub())], "hub connection").0,
        "ok"
    );
    assert_eq!(finding(&["--online"], &[], "hub connection").0, "FAIL");
    let machine = std::thread::available_parallelism().map_or(1, usize::from);
    for (arguments, environment, expected) in [
        (&[][..], &[("OCELLUS_THREADS", "1")][..], 1),
        (&["--threads", "1"], &[("OCELLUS_THREADS", "1000")], 1),
        (&["--threads", "1000"], &[], machine),
    ] {
        let (_, text) = finding(arguments, environment, "threads");
        let expected = expected.to_string();
        assert_eq!(text.split(' ').next(), Some(expected.as_str()), "{arguments:?}");
    }
    let (_, kernels) = finding(&[], &[("OCELLUS_ISA", "portable")], "kernels");
    assert!(!kernels.is_empty());
    assert!(finding(&[], &[], "devices").1.starts_with("cpu"));
    #[cfg(unix)]
    {
        let cache = [("HF_HUB_CACHE", "/proc/none/hub")];
        assert_eq!(
            finding(&[], &cache, "cache folder").0,
            "FAIL",
            "it cannot be made there"
        );
    }
    let weights = crate::support::golden("models/nano/model.safetensors");
    let sum: String = Sha256::digest(weights)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert!(finding(&[], &[], "built-in model").1.contains(&sum));
}

/// Ctrl-C in the middle of a download.
#[cfg(unix)]
#[test]
fn an_interruption_is_exit_code_130() {
    let place = Place::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_ocellus"))
        .args(["models", "pull", "org/tiny"])
        .env("HF_HOME", place.path())
        .env("HF_ENDPOINT", &address)
        .env_remove("HF_HUB_OFFLINE")
        .env_remove("HTTP_PROXY")
        .env_remove("http_proxy")
        .spawn()
        .expect("the program starts");
    // It is connected and waits for an answer that does not come.
    let connection = listener.accept().expect("a connection");
    let kill = std::process::Command::new("kill")
        .args(["-INT", &program.id().to_string()])
        .status();
    assert!(kill.expect("kill is there").success());
    assert_eq!(program.wait().expect("it ends").code(), Some(130));
    drop(connection);
}
