//! Tokenizer and chat template of a checkpoint.

use std::path::Path;

use ocellus_hub::built_in;
use ocellus_text::{Template, Tokenizer};

use crate::error::{ProcessorError, Result};
use crate::places::{self, Part};
use crate::text_files::{LFS_POINTER, TextFiles};

impl TextFiles {
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
            let bytes =
                ocellus_base::files::read(&path, ocellus_base::limits::VOCABULARY_BYTES).unwrap_or_default();
            if bytes.starts_with(LFS_POINTER.as_bytes()) {
                return Err(ProcessorError::LfsPointer { path });
            }
        }
    }
    Ok(())
}
