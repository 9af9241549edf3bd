//! The text files of a checkpoint, wherever they are.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::PathBuf;

use ocellus_hub::built_in;
use serde_json::Value;

use crate::error::{ProcessorError, Result};

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
                match ocellus_base::files::read_text(&path, ocellus_base::limits::JSON_BYTES) {
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
}

/// How a file begins that Git LFS would replace by another.
pub(crate) const LFS_POINTER: &str = "version https://git-lfs";
