//! The programs of `examples/` run, and a program without a command line is not given one.

use std::process::Command;

#[allow(dead_code, reason = "its `main` is not called")]
#[path = "../examples/library.rs"]
mod library;

#[test]
fn the_example_reads_the_page() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let read = library::text_of(&format!("{root}/examples/page.png")).unwrap();
    let truth = std::fs::read_to_string(format!("{root}/examples/page.txt")).unwrap();
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let (read, truth) = (words(&read), words(&truth));
    let found = truth.iter().filter(|word| read.contains(word)).count();
    assert!(
        found * 10 >= truth.len() * 9,
        "{found} of {} words were read",
        truth.len()
    );

    let source = include_str!("../examples/library.rs");
    let code = source
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("//"));
    assert!(code.count() <= 15, "a program that fits on a card");
}

/// What `cargo add ocellus --no-default-features` brings.
#[test]
fn without_the_feature_cli_nothing_of_a_command_line_is_built() {
    let tree = |features: &[&str]| {
        let output = Command::new(env!("CARGO"))
            .args([
                "tree",
                "--offline",
                "-p",
                "ocellus",
                "-e",
                "normal",
                "--prefix",
                "none",
                "-f",
                "{lib}",
            ])
            .args(features)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    let of_commands = [
        "clap",
        "clap_complete",
        "ctrlc",
        "indicatif",
        "mimalloc",
        "sysinfo",
        "ocellus_train",
        "ocellus_data",
        "ocellus_parity",
    ];
    let (all, library) = (tree(&[]), tree(&["--no-default-features"]));
    let has = |tree: &str, name: &str| tree.lines().any(|line| line.trim() == name);
    for name in of_commands {
        assert!(has(&all, name), "{name} is not of the command line any more");
        assert!(!has(&library, name), "{name} is in the library");
    }
    assert!(has(&library, "ocellus_session"));
}
