//! What a `tokenizer.json` may ask for, checked before the library that runs it sees it.
//!
//! The file is a program by a stranger: rules that rewrite text may make it grow a thousandfold, patterns may take gigabytes once
//! compiled. Published files stay far within these bounds.

use crate::sentence_piece::check_charsmap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ocellus_base::limits::{VOCABULARY_ADDED, VOCABULARY_TOKENS};
use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// Steps of all parts together.
const MOST_STEPS: usize = 64;
/// How many times longer a text may get by all replacements together.
const MOST_GROWTH: usize = 32;
/// Bytes of one pattern, and of a text that is put in.
const MOST_TEXT_BYTES: usize = 4096;
/// The sum of all counts of repetitions (`{3}`, `{1,3}`) in one pattern: each is compiled as so many copies.
const MOST_REPETITIONS: usize = 64;

/// The parts of the file that are checked; what they leave out is the library's to check.
#[derive(Deserialize)]
struct Parts {
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    #[serde(default)]
    post_processor: Value,
    #[serde(default)]
    decoder: Value,
    #[serde(default)]
    added_tokens: Count,
    model: Model,
}

#[derive(Deserialize)]
struct Model {
    #[serde(default)]
    vocab: Count,
    #[serde(default)]
    merges: Count,
}

/// How many entries a list or object has; they are read and not kept.
#[derive(Default)]
struct Count(usize);

/// Fails with a sentence where the file asks for more than any published one.
pub(crate) fn check(json: &[u8]) -> Result<(), String> {
    let parts: Parts = serde_json::from_slice(json).map_err(|e| e.to_string())?;
    for (what, count, limit) in [
        ("added tokens", parts.added_tokens, VOCABULARY_ADDED),
        ("tokens", parts.model.vocab, VOCABULARY_TOKENS),
        ("merges", parts.model.merges, 4 * VOCABULARY_TOKENS),
    ] {
        if count.0 > limit {
            return Err(format!(
                "it has {} {what}, more than the {limit} that are accepted",
                count.0
            ));
        }
    }
    let mut cost = Cost::default();
    for part in [
        &parts.normalizer,
        &parts.pre_tokenizer,
        &parts.post_processor,
        &parts.decoder,
    ] {
        cost.growth = 1;
        cost.walk(part)?;
    }
    Ok(())
}

/// What the steps seen so far may cost.
#[derive(Default)]
struct Cost {
    steps: usize,
    growth: usize,
}

impl Cost {
    fn walk(&mut self, value: &Value) -> Result<(), String> {
        match value {
            Value::Array(values) => values.iter().try_for_each(|value| self.walk(value)),
            Value::Object(step) => {
                if step.get("type").is_some_and(Value::is_string) {
                    self.step(step)?;
                }
                step.values().try_for_each(|value| self.walk(value))
            }
            _ => Ok(()),
        }
    }

    fn step(&mut self, step: &Map<String, Value>) -> Result<(), String> {
        self.steps += 1;
        if self.steps > MOST_STEPS {
            return Err(format!("it has more than {MOST_STEPS} steps"));
        }
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let pattern = step.get("pattern");
        let regex = text(pattern.and_then(|p| p.get("Regex")));
        if let Some(regex) = &regex {
            check_regex(regex)?;
        }
        for name in [
            "content",
            "prepend",
            "prefix",
            "suffix",
            "replacement",
            "cls",
            "sep",
        ] {
            if text(step.get(name)).is_some_and(|text| text.len() > MOST_TEXT_BYTES) {
                return Err(format!("`{name}` has more than {MOST_TEXT_BYTES} bytes"));
            }
        }
        match step.get("type").and_then(Value::as_str) {
            Some("Replace") => {
                // A pattern matches one byte at least, or every place where it can match none.
                let shortest = text(pattern.and_then(|p| p.get("String"))).map_or(1, |s| s.len().max(1));
                let content = text(step.get("content")).unwrap_or_default().len();
                self.growth = self.growth.saturating_mul(content.div_ceil(shortest).max(1));
                if self.growth > MOST_GROWTH {
                    return Err(format!(
                        "its replacements make text more than {MOST_GROWTH} times longer"
                    ));
                }
            }
            Some("Precompiled") => {
                let map = text(step.get("precompiled_charsmap")).unwrap_or_default();
                let map = STANDARD
                    .decode(map)
                    .map_err(|e| format!("precompiled_charsmap: {e}"))?;
                check_charsmap(&map).map_err(|reason| format!("precompiled_charsmap: {reason}"))?;
            }
            _ => {}
        }
        Ok(())
    }
}

/// Whether a pattern stays small when it is compiled.
fn check_regex(pattern: &str) -> Result<(), String> {
    if pattern.len() > MOST_TEXT_BYTES {
        return Err(format!("a pattern has more than {MOST_TEXT_BYTES} bytes"));
    }
    let mut repetitions = 0usize;
    for (at, _) in pattern.match_indices('{') {
        let Some(count) = pattern[at + 1..].split_once('}').map(|(count, _)| count) else {
            continue;
        };
        if !count.starts_with(|c: char| c.is_ascii_digit()) {
            continue;
        }
        let numbers = count
            .split(',')
            .filter(|n| !n.is_empty())
            .map(|n| n.trim().parse().unwrap_or(usize::MAX));
        repetitions = repetitions.saturating_add(numbers.max().unwrap_or(0));
    }
    if repetitions > MOST_REPETITIONS {
        return Err(format!(
            "a pattern repeats its parts more than {MOST_REPETITIONS} times by counts"
        ));
    }
    Ok(())
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Count;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a list or an object")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Count, A::Error> {
                let mut count = 0;
                while entries.next_element::<IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok(Count(count))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Count, A::Error> {
                let mut count = 0;
                while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok(Count(count))
            }

            fn visit_unit<E>(self) -> Result<Count, E> {
                Ok(Count(0))
            }
        }
        deserializer.deserialize_any(Entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn checked(part: &str, value: Value) -> Result<(), String> {
        let mut file = json!({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}});
        file[part] = value;
        check(file.to_string().as_bytes())
    }

    fn replace(pattern: Value, content: &str) -> Value {
        json!({"type": "Replace", "pattern": pattern, "content": content})
    }

    #[test]
    fn what_published_files_do_passes() {
        let space = || replace(json!({"String": " "}), "\u{2581}");
        for (part, value) in [
            ("normalizer", Value::Null),
            ("normalizer", json!({"type": "NFC"})),
            (
                "normalizer",
                json!({"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "\u{2581}"}, space()]}),
            ),
            (
                "normalizer",
                json!({"type": "Sequence", "normalizers": [replace(json!({"Regex": " {2,}"}), "\u{2581}"), space()]}),
            ),
            (
                "pre_tokenizer",
                json!({"type": "Sequence", "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": "(?i:'s|'t)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s+(?!\\S)|\\s+"}, "behavior": "Isolated", "invert": false},
                {"type": "ByteLevel", "add_prefix_space": false}]}),
            ),
            (
                "decoder",
                json!({"type": "Sequence", "decoders": [replace(json!({"String": "\u{2581}"}), " "), {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}),
            ),
        ] {
            assert_eq!(checked(part, value.clone()), Ok(()), "{part}: {value}");
        }
    }

    #[test]
    fn what_costs_too_much_is_refused() {
        let ten = || replace(json!({"String": "i"}), "iiiiiiiiii");
        let many: Vec<Value> = (0..65).map(|_| json!({"type": "NFC"})).collect();
        for (part, value, expected) in [
            (
                "normalizer",
                json!({"type": "Sequence", "normalizers": [ten(), ten()]}),
                "more than 32 times longer",
            ),
            (
                "normalizer",
                json!({"type": "Sequence", "normalizers": [{"type": "Sequence", "normalizers": [ten()]}, ten()]}),
                "more than 32 times longer",
            ),
            (
                "decoder",
                replace(json!({"Regex": ""}), &"x".repeat(33)),
                "more than 32 times longer",
            ),
            (
                "normalizer",
                replace(json!({"String": "a".repeat(5000)}), &"x".repeat(5000)),
                "more than 4096 bytes",
            ),
            (
                "normalizer",
                json!({"type": "Prepend", "prepend": "x".repeat(5000)}),
                "more than 4096 bytes",
            ),
            (
                "normalizer",
                json!({"type": "Sequence", "normalizers": many}),
                "more than 64 steps",
            ),
            (
                "pre_tokenizer",
                json!({"type": "Split", "pattern": {"Regex": "(?=\\w{200})"}}),
                "by counts",
            ),
            (
                "pre_tokenizer",
                json!({"type": "Split", "pattern": {"Regex": "\\w{60}\\d{5,}"}}),
                "by counts",
            ),
            (
                "pre_tokenizer",
                json!({"type": "Split", "pattern": {"Regex": "\\w{99999999999999999999}"}}),
                "by counts",
            ),
            (
                "pre_tokenizer",
                json!({"type": "Split", "pattern": {"Regex": "a".repeat(5000)}}),
                "more than 4096 bytes",
            ),
            (
                "normalizer",
                json!({"type": "Precompiled", "precompiled_charsmap": "AAAAAA=="}),
                "precompiled_charsmap",
            ),
            (
                "normalizer",
                json!({"type": "Precompiled", "precompiled_charsmap": "/////w=="}),
                "precompiled_charsmap",
            ),
            (
                "normalizer",
                json!({"type": "Precompiled", "precompiled_charsmap": "?"}),
                "precompiled_charsmap",
            ),
        ] {
            let found = checked(part, value.clone());
            assert!(
                found.as_ref().is_err_and(|e| e.contains(expected)),
                "{part}: {value}: {found:?}"
            );
        }
    }
}
