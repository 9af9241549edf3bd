//! The kinds of records that can be answered.

use serde_json::Value;

use super::{smart_resize, time_ids};

/// One kind: how its files are called, and its answers.
pub struct Kind {
    /// What the names of its files start with.
    pub name: &'static str,
    /// What this program answers where it follows `program`; `None` where it does not follow it. The error says what is wrong
    /// with the input.
    pub answer: fn(program: &str, input: &Value) -> Option<Result<Value, String>>,
}

const KINDS: [Kind; 2] = [
    Kind {
        name: "smart_resize",
        answer: smart_resize::answer,
    },
    Kind {
        name: "mrope_time_ids",
        answer: time_ids::answer,
    },
];

/// The kind of a file by its name without the ending.
pub fn of(stem: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| stem.starts_with(kind.name))
}

/// All names, for errors.
pub fn names() -> String {
    KINDS.map(|kind| kind.name).join(", ")
}
