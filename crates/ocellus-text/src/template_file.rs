//! Where a checkpoint folder keeps its chat template.

use crate::files::{parse, read};
use crate::{Result, Template, TextError};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::path::Path;

/// The part of `tokenizer_config.json` or `chat_template.json` that concerns templates.
#[derive(Deserialize)]
struct Config {
    chat_template: Option<Source>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

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
    /// The chat template of the checkpoint folder `dir`: `chat_template.jinja`, else `chat_template.json`, else the
    /// `chat_template` of `tokenizer_config.json`; `None` when there is none. Of several named ones, `default` is taken.
    /// Texts such as `bos_token` are defined as `tokenizer_config.json` gives them.
    pub fn from_dir(dir: &Path) -> Result<Option<Template>> {
        let (plain, json, config) = (
            dir.join("chat_template.jinja"),
            dir.join("chat_template.json"),
            dir.join("tokenizer_config.json"),
        );
        let mut source = None;
        if plain.exists() {
            let damaged = |reason: String| TextError::Damaged {
                file: plain.display().to_string(),
                reason,
            };
            source = Some(String::from_utf8(read(&plain)?).map_err(|e| damaged(e.to_string()))?);
        } else if json.exists() {
            source = chosen(parse::<Config>(&json)?.chat_template, &json)?;
        }
        let mut rest = Map::new();
        if config.exists() {
            let config_file: Config = parse(&config)?;
            rest = config_file.rest;
            if source.is_none() {
                source = chosen(config_file.chat_template, &config)?;
            }
        }
        let Some(source) = source else { return Ok(None) };
        let mut template = Template::new(&source)?;
        for name in ["bos_token", "eos_token", "pad_token", "unk_token"] {
            if let Some(text) = rest.get(name).and_then(token_text) {
                template = template.with_text(name, text);
            }
        }
        Ok(Some(template))
    }
}

fn chosen(source: Option<Source>, file: &Path) -> Result<Option<String>> {
    let Some(source) = source else { return Ok(None) };
    source.choose().map(Some).ok_or_else(|| TextError::Damaged {
        file: file.display().to_string(),
        reason: "of several chat templates none is called `default`".to_string(),
    })
}

/// A token is written as its text, or as an object with its text under `content`.
fn token_text(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value.get("content")?.as_str())
}
