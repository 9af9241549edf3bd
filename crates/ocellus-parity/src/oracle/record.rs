//! One line of a file of records.

use serde::Deserialize;
use serde_json::{Map, Value};

/// How far numbers may be apart.
const TOLERANCE: f64 = 1e-9;

#[derive(Debug, Deserialize)]
pub struct Record {
    pub id: String,
    #[serde(rename = "in")]
    pub input: Value,
    /// The answer of every program by its name and version; `{"error": …}` where it refuses.
    #[serde(rename = "ref")]
    pub answers: Map<String, Value>,
}

/// Whether an answer says that the input is refused.
fn refuses(answer: &Value) -> bool {
    answer.get("error").is_some()
}

/// Whether two answers agree: both refuse, or all of the expected values are there and equal. Fields beyond those are not compared.
pub fn agree(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        _ if refuses(expected) || refuses(found) => refuses(expected) && refuses(found),
        (Value::Object(expected), Value::Object(found)) => expected
            .iter()
            .all(|(name, value)| found.get(name).is_some_and(|found| agree(value, found))),
        (Value::Array(expected), Value::Array(found)) => {
            expected.len() == found.len() && expected.iter().zip(found).all(|(e, f)| agree(e, f))
        }
        (Value::Number(expected), Value::Number(found)) => match (expected.as_i64(), found.as_i64()) {
            (Some(expected), Some(found)) => expected == found,
            _ => matches!(
                (expected.as_f64(), found.as_f64()),
                (Some(e), Some(f)) if (e - f).abs() <= TOLERANCE
            ),
        },
        _ => expected == found,
    }
}

#[cfg(test)]
mod tests {
    use super::agree;
    use serde_json::json;

    #[test]
    fn answers_agree_in_value_or_in_refusing() {
        for (expected, found, same) in [
            (json!([56, 84]), json!([56, 84]), true),
            (json!([56, 84]), json!([56, 84, 1]), false),
            (json!([56, 84]), json!([56, 85]), false),
            (json!(0.1), json!(0.1 + 1e-12), true),
            (json!(0.1), json!(0.2), false),
            (json!(2), json!(2.0), true),
            (json!({"a": [1]}), json!({"a": [1], "b": 2}), true),
            (json!({"a": [1], "b": 2}), json!({"a": [1]}), false),
            (
                json!({"error": "ValueError"}),
                json!({"error": "too narrow"}),
                true,
            ),
            (json!({"error": "ValueError"}), json!([1, 2]), false),
            (json!([1, 2]), json!({"error": "too narrow"}), false),
            (json!("nan"), json!("nan"), true),
            (json!("nan"), json!(1), false),
        ] {
            assert_eq!(agree(&expected, &found), same, "{expected} and {found}");
        }
    }
}
