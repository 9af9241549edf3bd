//! Kind `smart_resize`: `{height, width, factor, min_pixels, max_pixels}` → `[height, width]`.

use ocellus_media::{Recipe, smart_resize};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Input {
    height: u32,
    width: u32,
    factor: u32,
    min_pixels: Option<u64>,
    max_pixels: Option<u64>,
}

/// The rule of transformers. Other programs let a side vanish or refuse small pictures.
pub fn answer(program: &str, input: &Value) -> Option<Result<Value, String>> {
    if !program.starts_with("transformers ") {
        return None;
    }
    let input = match Input::deserialize(input) {
        Ok(input) => input,
        Err(error) => return Some(Err(error.to_string())),
    };
    let published = Recipe::default();
    let min = input.min_pixels.unwrap_or(published.min_pixels);
    let max = input.max_pixels.unwrap_or(published.max_pixels);
    Some(Ok(
        match smart_resize(input.height, input.width, input.factor, min, max) {
            Ok((height, width)) => json!([height, width]),
            Err(error) => json!({ "error": error.to_string() }),
        },
    ))
}
