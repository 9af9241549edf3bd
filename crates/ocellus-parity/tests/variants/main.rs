//! Checkpoints as they circulate: golden checkpoints that are changed as publishers, trainers, compilers and converters leave
//! theirs. One that loads must compute what the golden computes, token for token.
//!
//! The table is `docs/checkpoints.md` as well: with `OCELLUS_UPDATE=1` in the environment the file is written again.

mod adapters;
mod checkpoint;
mod config;
mod names;
mod page;
mod quantised;
mod variant;

use std::fs;

use ocellus_parity::{Vocabularies, verify_with_warnings};
use ocellus_session::Quant;
use ocellus_testkit::case::goldens_dir;

use crate::checkpoint::Checkpoint;
use crate::variant::{Treatment, Variant};

fn variants() -> Vec<Variant> {
    [
        config::variants(),
        names::variants(),
        quantised::variants(),
        adapters::variants(),
    ]
    .concat()
}

/// What is wrong with a variant, if anything.
fn tried(variant: &Variant) -> Option<String> {
    let place = tempfile::tempdir().expect("a folder");
    let (from, to) = (goldens_dir().join(variant.base), place.path().join("case"));
    fs::create_dir_all(to.join("model")).unwrap();
    for folder in [Some(&from), variant.expected.as_ref()].into_iter().flatten() {
        for file in ["case.json", "inputs.safetensors", "expected.safetensors"] {
            if folder.join(file).exists() {
                fs::copy(folder.join(file), to.join(file)).unwrap();
            }
        }
    }
    // Paths of pictures start in the folder of the set.
    let case = fs::read_to_string(from.join("case.json")).unwrap();
    if case.contains("images/") {
        fs::create_dir(place.path().join("images")).unwrap();
        for picture in fs::read_dir(goldens_dir().join("images"))
            .unwrap()
            .map(|file| file.unwrap().path())
        {
            fs::copy(
                &picture,
                place.path().join("images").join(picture.file_name().unwrap()),
            )
            .unwrap();
        }
    }
    let mut checkpoint = Checkpoint::read(variant.base);
    (variant.edit)(&mut checkpoint);
    checkpoint.write(&to.join("model"));
    let vocabularies = Vocabularies {
        files: &[],
        how_to_give: "",
    };
    let report = verify_with_warnings(&to, &vocabularies, Quant::F32);
    let said = report.warnings.join("; ");
    let told = |what: &str| Some(format!("{}, of {}: {what}", variant.name, variant.base));
    match (&variant.treatment, &report.trouble) {
        (Treatment::Refused(part), Some(error)) if error.contains(part) => None,
        (Treatment::Refused(part), found) => told(&format!("not refused with `{part}`: {found:?}")),
        (_, Some(error)) => told(error),
        (_, None) if !report.pass() => told(&format!("computes something else: {:?}", report.first_wrong())),
        (Treatment::Equal, None) if said.is_empty() => None,
        (Treatment::Warns(part), None) if said.contains(part) => None,
        (_, None) => told(&format!("warns of `{said}`")),
    }
}

#[test]
fn every_variant_is_treated_as_the_table_says() {
    let variants = variants();
    let wrong: Vec<String> = variants.iter().filter_map(tried).collect();
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        variants.len(),
        wrong.join("\n")
    );
}

#[test]
fn the_page_is_the_table() {
    let path = goldens_dir().join("../../docs/checkpoints.md");
    let page = page::page(&variants());
    if std::env::var_os("OCELLUS_UPDATE").is_some() {
        fs::write(&path, &page).expect("the page can be written");
    }
    let written = fs::read_to_string(&path)
        .unwrap_or_default()
        .replace("\r\n", "\n");
    assert!(
        written == page,
        "docs/checkpoints.md is not what the table says: run this test with OCELLUS_UPDATE=1"
    );
}
