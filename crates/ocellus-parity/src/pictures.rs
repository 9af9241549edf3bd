//! Picture files of a case, what its processor is set to, and what a case keeps of many pixels.

use std::path::PathBuf;

use ocellus_base::limits::ENCODED_BYTES;
use ocellus_media::{Limits, Recipe, Rgb, decode};
use serde_json::{Map, Value};

use crate::array::Array;
use crate::case::{Case, read_text};
use crate::error::CaseError;

/// A picture file of the set.
pub fn picture(case: &Case, source: &str) -> Result<Rgb, CaseError> {
    let places: [PathBuf; 2] = [case.in_set("images").join(source), case.in_set(source)];
    let path = places.iter().find(|p| p.is_file()).unwrap_or(&places[0]);
    let bytes = ocellus_base::files::read(path, ENCODED_BYTES).map_err(|e| CaseError::file(path, e))?;
    Ok(decode(&bytes, &Limits::default())?.image)
}

/// The recipe of a case whose pictures become rows of patches.
pub fn recipe(case: &Case) -> Result<Recipe, CaseError> {
    Ok(Recipe::from_json(&settings(case)?)?)
}

/// What the checkpoint's `preprocessor_config.json` says, with the fields of `options.config` over it.
pub fn settings(case: &Case) -> Result<String, CaseError> {
    let path = case.model().join("preprocessor_config.json");
    let mut fields = Map::new();
    if path.exists() {
        let file: Value = serde_json::from_str(&read_text(&path)?).map_err(|e| CaseError::file(&path, e))?;
        fields.extend(
            file.as_object()
                .cloned()
                .ok_or_else(|| CaseError::file(&path, "expected a JSON object"))?,
        );
    }
    if let Some(over) = case.options.get("config").filter(|v| !v.is_null()) {
        let over = over
            .as_object()
            .ok_or_else(|| case.wrong_option("config", "an object"))?;
        fields.extend(over.iter().map(|(k, v)| (k.clone(), v.clone())));
    }
    Ok(Value::Object(fields).to_string())
}

/// What a case keeps of many values: `mean_std`, or every n-th of them.
pub fn sample(values: &[f32], what: &str) -> Option<Array> {
    if what == "mean_std" {
        return Some(Array::floats([2], mean_and_deviation(values).to_vec()));
    }
    let n: Option<usize> = what.strip_prefix("pixel_values_every_")?.parse().ok();
    let values: Vec<f32> = values.iter().copied().step_by(n.filter(|n| *n > 0)?).collect();
    Some(Array::floats([values.len()], values))
}

fn mean_and_deviation(values: &[f32]) -> [f32; 2] {
    let count = values.len() as f64;
    let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / count;
    let variance = values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / count;
    [mean as f32, variance.sqrt() as f32]
}
