//! The reference library's configuration classes: their fields, and what a field is where a file leaves it out.
//!
//! `classes.json` is made by `tools/reference/config_fields.py` from five versions of the library.

use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// A version of the library: its first two numbers.
pub type Version = (u32, u32);

/// The fields of a class, each with its defaults and the versions from which on they hold; null is no default.
pub struct Class {
    fields: BTreeMap<String, Vec<(Version, Value)>>,
}

static TABLE: LazyLock<BTreeMap<String, Class>> = LazyLock::new(|| {
    read(include_str!("classes.json")).expect("the table is checked in, and a test reads it")
});

/// Classes by their names.
fn read(table: &str) -> Option<BTreeMap<String, Class>> {
    let table: Value = serde_json::from_str(table).ok()?;
    let entry = |entry: &Value| Some((parse_version(entry.get(0)?.as_str()?)?, entry.get(1)?.clone()));
    let field = |(name, entries): (&String, &Value)| {
        let entries = entries.as_array()?.iter().map(entry);
        Some((name.clone(), entries.collect::<Option<_>>()?))
    };
    let class = |(name, fields): (&String, &Value)| {
        let fields = fields.as_object()?.iter().map(field).collect::<Option<_>>()?;
        Some((name.clone(), Class { fields }))
    };
    table.get("classes")?.as_object()?.iter().map(class).collect()
}

impl Class {
    /// # Panics
    /// When the table has no class of this name, which only a family can ask for.
    pub fn named(name: &str) -> &'static Self {
        TABLE.get(name).expect("families name classes of the table")
    }

    pub fn has(&self, field: &str) -> bool {
        self.fields.contains_key(field)
    }

    /// What `field` is in a file that leaves it out, written by this version; by the first that has the field for files that do
    /// not say who wrote them.
    pub fn default(&self, field: &str, version: Option<Version>) -> Option<&Value> {
        let entries = self.fields.get(field)?;
        let held = |entry: &&(Version, Value)| version.is_some_and(|version| entry.0 <= version);
        let entry = entries.iter().rev().find(held).or(entries.first())?;
        Some(&entry.1).filter(|value| !value.is_null())
    }

    /// Whether `value` is a default of `field` in any version.
    pub fn is_default(&self, field: &str, value: &Value) -> bool {
        let entries = self.fields.get(field);
        entries.is_some_and(|entries| entries.iter().any(|(_, default)| same(default, value)))
    }
}

/// The first two numbers of a version's name.
pub fn parse_version(name: &str) -> Option<Version> {
    let mut numbers = name.split('.').map(|part| part.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// Whether two values are the same, whole numbers and others alike.
pub fn same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn defaults_are_those_of_the_version_that_wrote_the_file() {
        let class = Class::named("ViltConfig");
        let tied = |version: &str| {
            class
                .default("tie_word_embeddings", parse_version(version))
                .cloned()
        };
        for (version, expected) in [
            ("4.31.0", false),
            ("4.45.2", false),
            ("4.57.0.dev0", false),
            ("5.24.0", true),
            ("6.0.1", true),
            ("unknown", false),
        ] {
            assert_eq!(tied(version), Some(json!(expected)), "{version}");
        }
        assert_eq!(class.default("pad_token_id", None), None);
        assert!(
            class.is_default("layer_norm_eps", &json!(1e-12)) && class.is_default("num_images", &json!(-1.0))
        );
        assert!(!class.is_default("num_images", &json!(2)) && !class.has("qk_norm"));
    }
}
