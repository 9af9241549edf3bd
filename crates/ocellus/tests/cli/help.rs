//! Every help page as one text, so that a change of the command line is seen in review.
//!
//! After an intended change: `OCELLUS_UPDATE=1 cargo test -p ocellus --test cli`.

use crate::support::Place;

const PAGES: &[&[&str]] = &[
    &[],
    &["ask"],
    &["chat"],
    &["ocr"],
    &["caption"],
    &["score"],
    &["classify"],
    &["fill"],
    &["embed"],
    &["detect"],
    &["models"],
    &["models", "list"],
    &["models", "pull"],
    &["models", "show"],
    &["models", "rm"],
    &["models", "families"],
    &["models", "plan"],
    &["models", "quantize"],
    &["verify"],
    &["data", "synth"],
    &["train"],
    &["bench"],
    &["doctor"],
    &["completions"],
];

#[test]
fn help_pages_are_as_recorded() {
    let place = Place::new();
    let mut pages = String::new();
    for page in PAGES {
        let outcome = place.run(&[page, &["--help"][..]].concat(), &[]);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{page:?}");
        let text = outcome.stdout.replace("ocellus.exe", "ocellus");
        // The options that every command has are shown once.
        let own = if page.is_empty() {
            &text[..]
        } else {
            text.split("Global options:").next().unwrap_or_default()
        };
        pages.push_str(&format!(
            "$ ocellus {}\n{}\n\n",
            [page, &["--help"][..]].concat().join(" "),
            own.trim_end()
        ));
    }
    let recorded = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/help.txt");
    if std::env::var_os("OCELLUS_UPDATE").is_some() {
        std::fs::write(recorded, &pages).expect("the record can be written");
    }
    let expected = std::fs::read_to_string(recorded)
        .unwrap_or_default()
        .replace("\r\n", "\n");
    if let Some((found, expected)) = pages
        .lines()
        .zip(expected.lines())
        .find(|(found, expected)| found != expected)
    {
        panic!("recorded: {expected}\n   found: {found}");
    }
    assert_eq!(pages.lines().count(), expected.lines().count());
}

#[test]
fn the_version_and_the_completions_are_results() {
    let place = Place::new();
    let version = place.run(&["--version"], &[]);
    assert_eq!(
        (version.code, version.stdout.trim_end()),
        (0, concat!("ocellus ", env!("CARGO_PKG_VERSION")))
    );
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = place.run(&["completions", shell], &[]);
        assert_eq!((script.code, script.stderr.as_str()), (0, ""), "{shell}");
        assert!(script.stdout.contains("families"), "{shell}");
    }
}
