//! The text files of a checkpoint, wherever they are.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use ocellus_hub::built_in;
use ocellus_text::{Template, Tokenizer};
use serde_json::Value;

use crate::error::{ProcessorError, Result};
use crate::places::{self, Part};

/// A checkpoint's text files, wherever they are.
pub enum TextFiles {
    /// Compiled into the program.
    BuiltIn,
    Folder(PathBuf),
    /// Made of the metadata of other files, by their names.
    Made(BTreeMap<&'static str, String>),
}

impl TextFiles {
    /// The file's text; nothing when there is no such file.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn text(&self, name: &str) -> Result<Option<String>> {
        match self {
            Self::BuiltIn => {
                Ok(built_in::file(name).map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
            }
            Self::Made(texts) => Ok(texts.get(name).cloned()),
            Self::Folder(folder) => {
                let path = folder.join(name);
                match std::fs::read_to_string(&path) {
                    Ok(text) if text.starts_with(LFS_POINTER) => Err(ProcessorError::LfsPointer { path }),
                    Ok(text) => Ok(Some(text)),
                    Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                    Err(error) => Err(ProcessorError::io("read", &path, error)),
                }
            }
        }
    }

    /// The text of the file that says what the model is.
    ///
    /// # Errors
    /// [`ProcessorError::NoConfig`], and a file that cannot be read.
    pub fn config(&self) -> Result<String> {
        for name in ocellus_models::CONFIG_FILES {
            if let Some(text) = self.text(name)? {
                return Ok(text);
            }
        }
        Err(ProcessorError::NoConfig)
    }

    /// The file's JSON; nothing when there is no such file.
    ///
    /// # Errors
    /// A file that cannot be read or is not JSON.
    pub fn json(&self, name: &str) -> Result<Option<Value>> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        let parsed = serde_json::from_str(&text);
        parsed.map(Some).map_err(|error| ProcessorError::Json {
            file: name.to_owned(),
            reason: error.to_string(),
        })
    }

    /// The chat template, with the texts that it reads by name; nothing where the checkpoint has none.
    ///
    /// # Errors
    /// Files that cannot be used.
    pub fn template(&self) -> Result<Option<Template>> {
        let Some((file, source)) = places::find(self, Part::Template)? else {
            return Ok(None);
        };
        let template = Template::new(&Template::chosen(source, file)?)?;
        let tokens = self.json("tokenizer_config.json")?.unwrap_or_default();
        Ok(Some(template.with_tokens_of(&tokens)))
    }

    /// Tokenizer and chat template, from files of their own.
    ///
    /// # Errors
    /// Files that cannot be used.
    pub fn tokenizer_and_template(&self) -> Result<(Tokenizer, Option<Template>)> {
        match self {
            Self::Folder(folder) => {
                pointers(folder)?;
                Ok((Tokenizer::from_dir(folder)?, self.template()?))
            }
            Self::BuiltIn | Self::Made(_) => {
                let bytes = built_in::file("tokenizer.json").unwrap_or_default();
                Ok((Tokenizer::from_json(bytes)?, self.template()?))
            }
        }
    }
}

/// How a file begins that Git LFS would replace by another.
const LFS_POINTER: &str = "version https://git-lfs";
/// Ends of the names of files that tokenizers are read from.
const OF_TOKENIZERS: &[&str] = &[".json", ".txt", ".model", ".tiktoken"];
/// No pointer is longer.
const LONGEST_POINTER: u64 = 1024;

/// Fails where a file of a tokenizer was not fetched.
fn pointers(folder: &Path) -> Result<()> {
    let entries = std::fs::read_dir(folder).map_err(|error| ProcessorError::io("read", folder, error))?;
    for path in entries.flatten().map(|entry| entry.path()) {
        let named = path.to_string_lossy();
        let small = path
            .metadata()
            .is_ok_and(|data| data.is_file() && data.len() <= LONGEST_POINTER);
        if small && OF_TOKENIZERS.iter().any(|end| named.ends_with(end)) {
            let bytes = std::fs::read(&path).unwrap_or_default();
            if bytes.starts_with(LFS_POINTER.as_bytes()) {
                return Err(ProcessorError::LfsPointer { path });
            }
        }
    }
    Ok(())
}
