//! A checkpoint's defaults for sampling and end tokens.

use serde_json::Value;

use ocellus_text::Tokenizer;

use crate::error::Result;
use crate::text_files::TextFiles;

/// The content of `generation_config.json`.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct GenerationDefaults {
    /// Sampling; else greedy.
    pub sample: bool,
    pub temperature: Option<f32>,
    pub top_k: Option<usize>,
    pub top_p: Option<f32>,
    pub min_p: Option<f32>,
    pub repetition_penalty: Option<f32>,
    /// Tokens that end an answer.
    pub end: Vec<u32>,
    /// Texts that end an answer.
    pub stop: Vec<String>,
}

impl GenerationDefaults {
    /// Reads the file; end tokens that it lacks come from the config and the vocabulary.
    ///
    /// # Errors
    /// A file that cannot be read or is not JSON.
    pub fn read(files: &TextFiles, config: &Value, tokenizer: &Tokenizer) -> Result<Self> {
        let file = files.json("generation_config.json")?.unwrap_or_default();
        let number = |key: &str| file.get(key).and_then(Value::as_f64).map(|n| n as f32);
        let ids = |value: Option<&Value>| -> Vec<u32> {
            let id = |v: &Value| v.as_u64().and_then(|n| u32::try_from(n).ok());
            match value {
                Some(Value::Array(list)) => list.iter().filter_map(id).collect(),
                Some(single) => id(single).into_iter().collect(),
                None => Vec::new(),
            }
        };
        let mut end = ids(file.get("eos_token_id"));
        if end.is_empty() {
            end = ids(config
                .get("eos_token_id")
                .or_else(|| config.get("text_config")?.get("eos_token_id")));
            end.extend(tokenizer.token_id("<|im_end|>"));
            // Vocabularies of sentences, whose configs need not say it.
            if end.is_empty() {
                end.extend(tokenizer.token_id("[SEP]"));
            }
        }
        let stop = match file.get("stop_strings") {
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            Some(Value::String(one)) => vec![one.clone()],
            _ => Vec::new(),
        };
        Ok(Self {
            sample: file.get("do_sample").and_then(Value::as_bool).unwrap_or(false),
            temperature: number("temperature"),
            top_k: file.get("top_k").and_then(Value::as_u64).map(|k| k as usize),
            top_p: number("top_p"),
            min_p: number("min_p"),
            repetition_penalty: number("repetition_penalty"),
            end,
            stop,
        })
    }
}
