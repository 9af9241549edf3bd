//! `docs/checkpoints.md`.

use std::collections::BTreeMap;

use ocellus_testkit::case::Case;

use crate::variant::{Treatment, Variant};

const HEAD: &str = "\
# Checkpoints as they circulate

Every row is a golden checkpoint that was changed as publishers, trainers, compilers and converters leave theirs, and run: the
page is written by the test `variants` of `ocellus-parity`. *Equal* means that everything the reference computes for the
unchanged checkpoint comes out, generated tokens included. A warning is printed on standard error and stands under `warnings` in
JSON; `--strict` makes it an error, and so does `verify`.

What changes the computation is read or refused by name: fields of the reference's configuration classes that are not at their
defaults, and tensors of the model that no layer takes. Fields of the library's base class, of trainers and of exporters are
accepted without a word; the table with its reasons is `crates/ocellus-models/src/config/accepted.rs`. Anything else is a
warning.

";

/// The whole page: a table for each part, a row for each variant with the families that it was tried on.
pub fn page(variants: &[Variant]) -> String {
    let mut page = format!("{HEAD}{} variants.\n", variants.len());
    let mut parts: Vec<&str> = Vec::new();
    for variant in variants {
        if !parts.contains(&variant.part) {
            parts.push(variant.part);
        }
    }
    for part in parts {
        page += &format!("\n## {part}\n\n| variant | families | treatment |\n|---|---|---|\n");
        let mut rows: Vec<(&str, &Treatment)> = Vec::new();
        let mut families: BTreeMap<(&str, &Treatment), Vec<String>> = BTreeMap::new();
        for variant in variants.iter().filter(|variant| variant.part == part) {
            let row = (variant.name.as_str(), &variant.treatment);
            if !rows.contains(&row) {
                rows.push(row);
            }
            let family = Case::golden(variant.base).family;
            let known = families.entry(row).or_default();
            if !known.contains(&family) {
                known.push(family);
            }
        }
        for row in rows {
            let treatment = match row.1 {
                Treatment::Equal => "equal".to_owned(),
                Treatment::Warns(text) => format!("equal, with a warning: … {text} …"),
                Treatment::Refused(text) => format!("refused: … {text} …"),
            };
            page += &format!("| {} | {} | {treatment} |\n", row.0, families[&row].join(", "));
        }
    }
    page
}
