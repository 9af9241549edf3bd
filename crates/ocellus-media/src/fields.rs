//! Fields of a JSON configuration, read with their bounds; errors name the field.

use serde_json::{Map, Value};

use crate::MediaError;

/// Fields about the file's author, tensor transport or the choice of video frames: nothing that happens here
/// depends on them.
pub(crate) const WITHOUT_EFFECT: &[&str] = &[
    "_processor_class",
    "_valid_processor_keys",
    "auto_map",
    "cap_pixels_per_frame",
    "data_format",
    "device",
    "disable_grouping",
    "do_sample_frames",
    "feature_extractor_type",
    "fps",
    "image_processor_type",
    "input_data_format",
    "max_frames",
    "min_frames",
    "num_frames",
    "processor_class",
    "return_metadata",
    "return_tensors",
    "video_metadata",
    "video_processor_type",
];

/// The fields of a JSON text that must be an object.
pub(crate) fn object(text: &str) -> Result<Map<String, Value>, MediaError> {
    match serde_json::from_str(text) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(other) => Err(MediaError::RecipeJson {
            found: kind(&other).into(),
        }),
        Err(error) => Err(MediaError::RecipeJson {
            found: error.to_string(),
        }),
    }
}

/// Fails when there are fields of a JSON text that we do not know.
pub(crate) fn known(text: &str, unknown: Vec<String>) -> Result<(), MediaError> {
    match unknown.first() {
        None => Ok(()),
        Some(name) => {
            let value = object(text)?.remove(name).unwrap_or_default();
            Err(refused(name, "no such field", &value))
        }
    }
}

pub(crate) fn first_unknown<'a>(
    fields: &'a Map<String, Value>,
    known: &[&str],
) -> Option<(&'a String, &'a Value)> {
    fields
        .iter()
        .find(|(name, value)| !value.is_null() && !known.contains(&name.as_str()))
}

/// A side or count: 1 to 1024, so that products of a few stay far from overflow.
pub(crate) fn side(name: &str, value: &Value) -> Result<u32, MediaError> {
    let side = value.as_u64().filter(|side| (1..=1024).contains(side));
    side.map(|side| side as u32)
        .ok_or_else(|| refused(name, "an integer from 1 to 1024", value))
}

pub(crate) fn area(name: &str, value: &Value) -> Result<u64, MediaError> {
    let area = value.as_u64().filter(|area| (1..=1 << 40).contains(area));
    area.ok_or_else(|| refused(name, "a number of pixels from 1 to 2^40", value))
}

/// A side of a picture, px. Far above what any tower takes, far below where areas overflow.
pub(crate) fn extent(name: &str, value: &Value) -> Result<u32, MediaError> {
    let side = value.as_u64().filter(|side| (1..=16_384).contains(side));
    side.map(|side| side as u32)
        .ok_or_else(|| refused(name, "a number of pixels from 1 to 16384", value))
}

pub(crate) fn number(name: &str, value: &Value) -> Result<f32, MediaError> {
    let number = value
        .as_f64()
        .map(|number| number as f32)
        .filter(|number| number.is_finite());
    number.ok_or_else(|| refused(name, "a number", value))
}

pub(crate) fn channels(name: &str, value: &Value) -> Result<[f32; 3], MediaError> {
    let list = value.as_array().filter(|list| list.len() == 3);
    let list = list.ok_or_else(|| refused(name, "a list of 3 numbers", value))?;
    Ok([
        number(name, &list[0])?,
        number(name, &list[1])?,
        number(name, &list[2])?,
    ])
}

pub(crate) fn refused(name: &str, expected: &str, found: &Value) -> MediaError {
    let mut found = found.to_string();
    if let Some((end, _)) = found.char_indices().nth(60) {
        found.replace_range(end.., "…");
    }
    field(name, expected.into(), found)
}

pub(crate) fn field(name: &str, expected: String, found: String) -> MediaError {
    MediaError::RecipeField {
        field: name.into(),
        expected,
        found,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
