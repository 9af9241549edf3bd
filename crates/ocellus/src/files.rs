//! The text files of a checkpoint, wherever they are.

use std::collections::BTreeMap;
use std::path::Path;

use ocellus_text::{Template, TextError, Tokenizer};
use serde_json::Value;

use crate::builtin;
use crate::error::Failure;

/// A checkpoint's text files, wherever they are.
pub enum Files<'a> {
    BuiltIn,
    Folder(&'a Path),
    /// Made of the metadata of other files.
    Made(BTreeMap<&'static str, String>),
}

impl Files<'_> {
    /// The file's text; nothing when there is no such file.
    pub fn text(&self, name: &str) -> Result<Option<String>, Failure> {
        match self {
            Files::BuiltIn => {
                Ok(builtin::file(name).map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
            }
            Files::Made(texts) => Ok(texts.get(name).cloned()),
            Files::Folder(folder) => {
                let path = folder.join(name);
                match std::fs::read_to_string(&path) {
                    Ok(text) => Ok(Some(text)),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                    Err(error) => Err(Failure::io("read", &path, &error)),
                }
            }
        }
    }

    /// The text of the file that says what the model is.
    pub fn config(&self) -> Result<String, Failure> {
        for name in ocellus_models::CONFIG_FILES {
            if let Some(text) = self.text(name)? {
                return Ok(text);
            }
        }
        Err(Failure::new("config.json is missing")
            .hint("a model folder holds config.json, or params.json in the layout of some publishers"))
    }

    pub fn json(&self, name: &str) -> Result<Option<Value>, Failure> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        let parsed = serde_json::from_str(&text);
        parsed.map(Some).map_err(|error| {
            Failure::new(format!("{name} is not valid JSON: {error}")).hint("download the model again")
        })
    }

    /// Tokenizer and template, from files of their own.
    pub fn words(&self) -> Result<(Tokenizer, Option<Template>), TextError> {
        match self {
            Files::Folder(folder) => Ok((Tokenizer::from_dir(folder)?, Template::from_dir(folder)?)),
            Files::BuiltIn | Files::Made(_) => {
                let bytes = |name| builtin::file(name).unwrap_or_default();
                let source = String::from_utf8_lossy(bytes("chat_template.jinja"));
                let template = Some(source).filter(|source| !source.is_empty());
                Ok((
                    Tokenizer::from_json(bytes("tokenizer.json"))?,
                    template.map(|source| Template::new(&source)).transpose()?,
                ))
            }
        }
    }
}
