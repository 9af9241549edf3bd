//! A checkpoint's text side: tokenizer, prompt format, defaults of generation.

use std::sync::Arc;

use serde_json::Value;

use ocellus_models::InputSpec;
use ocellus_text::{Template, TextError, TextForm, Tokenizer};

use crate::error::{ProcessorError, Result};
use crate::formatter::PromptFormatter;
use crate::generation::GenerationDefaults;
use crate::text_files::TextFiles;

/// Tokenizer and prompt formatter.
pub struct TextProcessor {
    pub tokenizer: Arc<Tokenizer>,
    pub formatter: PromptFormatter,
    pub generation: GenerationDefaults,
}

impl TextProcessor {
    /// Reads the files. `made` is tokenizer and template where no file of their own has them; `picture_tokens` is how many tokens
    /// stand for every picture, where all pictures take as many.
    ///
    /// # Errors
    /// Files that cannot be used.
    pub fn open(
        files: &TextFiles,
        made: Option<(Tokenizer, Option<Template>)>,
        config: &Value,
        picture_tokens: Option<usize>,
        input: &InputSpec,
        image_token: Option<u32>,
    ) -> Result<Self> {
        let (tokenizer, template) = match made {
            Some(made) => made,
            None => files.tokenizer_and_template()?,
        };
        if let Some(id) = image_token.filter(|id| tokenizer.token(*id).is_none()) {
            return Err(ProcessorError::NoImageToken { id });
        }
        let tokenizer = match picture_tokens {
            Some(count) => tokenizer.with_span_ids(count)?,
            None => tokenizer,
        };
        let mut generation = GenerationDefaults::read(files, config, &tokenizer)?;
        let formatter = match template {
            Some(template) => PromptFormatter::Template(Box::new(template)),
            None => {
                // A stand-in template closes turns with this token, whatever the checkpoint's file calls its end.
                let turn_end = tokenizer.token_id("<|im_end|>");
                let ends = &mut generation.end;
                ends.extend(turn_end.filter(|id| !ends.contains(id)));
                PromptFormatter::without_template(&tokenizer, input.system)
            }
        };
        Ok(Self {
            tokenizer: Arc::new(tokenizer),
            formatter,
            generation,
        })
    }

    /// Ids of texts in a model's own form, special tokens in them taken as plain text.
    ///
    /// # Errors
    /// A vocabulary without the tokens of the form.
    pub fn texts(&self, form: &TextForm, texts: &[impl AsRef<str>]) -> Result<Vec<Vec<u32>>> {
        let ids = texts.iter().map(|text| form.ids(&self.tokenizer, text.as_ref()));
        Ok(ids.collect::<std::result::Result<_, _>>()?)
    }

    /// Ids of a text in which `special` stands for itself and every other special token is plain text.
    ///
    /// # Errors
    /// A vocabulary without `special` or the tokens of the form.
    pub fn text_with(&self, form: &TextForm, text: &str, special: &str) -> Result<Vec<u32>> {
        let id = |token: &str| {
            self.tokenizer.token_id(token).ok_or_else(|| TextError::NoToken {
                token: token.to_owned(),
            })
        };
        let mut ids: Vec<u32> = form.first.map(id).transpose()?.into_iter().collect();
        for (i, part) in text.split(special).enumerate() {
            if i > 0 {
                ids.push(id(special)?);
            }
            ids.extend(TextForm::BARE.ids(&self.tokenizer, &form.clean(part))?);
        }
        let ends = usize::from(form.last.is_some());
        if let Some(most) = form.max_tokens {
            ids.truncate(most.saturating_sub(ends));
        }
        ids.extend(form.last.map(id).transpose()?);
        Ok(ids)
    }
}
