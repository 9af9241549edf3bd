//! Where a checkpoint folder keeps its chat template.

use crate::{Result, Template, TextError};
use serde::Deserialize;
use serde_json::{Map, Value};

/// One template, or several by name.
#[derive(Deserialize)]
#[serde(untagged)]
enum Source {
    One(String),
    Named(Vec<Named>),
    Map(Map<String, Value>),
}

#[derive(Deserialize)]
struct Named {
    name: String,
    template: String,
}

impl Source {
    /// The template called `default`, or the only one.
    fn choose(self) -> Option<String> {
        let named = match self {
            Source::One(source) => return Some(source),
            Source::Named(list) => list,
            Source::Map(map) => map
                .into_iter()
                .filter_map(|(name, value)| {
                    Some(Named {
                        name,
                        template: value.as_str()?.to_string(),
                    })
                })
                .collect(),
        };
        let only = named.len() == 1;
        named
            .into_iter()
            .find(|entry| only || entry.name == "default")
            .map(|entry| entry.template)
    }
}

impl Template {
    /// The source of a chat template as files state it: a text, or several by name, of which one is called `default` or there is
    /// only one. Messages call the file `file`.
    ///
    /// # Errors
    /// What states none.
    pub fn chosen(source: Value, file: &str) -> Result<String> {
        let damaged = |reason: String| TextError::Damaged {
            file: file.to_owned(),
            reason,
        };
        let source: Source = serde_json::from_value(source).map_err(|e| damaged(e.to_string()))?;
        let none = || damaged("of several chat templates none is called `default`".to_owned());
        source.choose().ok_or_else(none)
    }

    /// The same with the texts of the special tokens of `tokenizer_config.json`, which templates read by name.
    pub fn with_tokens_of(mut self, config: &Value) -> Template {
        for name in ["bos_token", "eos_token", "pad_token", "unk_token"] {
            if let Some(text) = config.get(name).and_then(token_text) {
                self = self.with_text(name, text);
            }
        }
        self
    }
}

/// A token is written as its text, or as an object with its text under `content`.
fn token_text(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value.get("content")?.as_str())
}
