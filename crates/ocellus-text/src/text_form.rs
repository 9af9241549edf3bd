//! A model's text preprocessing: cleaning, tokens at the ends, maximum length.
//!
//! Every model has one of these as a constant, so that a missing end mark or a forgotten cleaning is a line that can be read.

use crate::{Result, TextError, Tokenizer};
use std::borrow::Cow;

/// The text side of a model.
///
/// ```
/// use ocellus_text::{Cleaning, TextForm};
///
/// const FORM: TextForm = TextForm {
///     first: Some("[CLS]"),
///     last: Some("[SEP]"),
///     max_tokens: Some(40),
///     cleaning: Cleaning::Caption,
///     ..TextForm::BARE
/// };
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextForm {
    /// Token before the text.
    pub first: Option<&'static str>,
    /// Token behind the text.
    pub last: Option<&'static str>,
    /// Maximum number of ids, `first` and `last` counted; the text between them is truncated.
    pub max_tokens: Option<usize>,
    /// Padding token up to `max_tokens`, for models of a fixed length.
    pub pad: Option<&'static str>,
    pub cleaning: Cleaning,
    /// Most words, between single spaces, of the cleaned text.
    pub max_words: Option<usize>,
}

/// What happens to a text before it is encoded. The rules of captions are those of the published data loaders, character by
/// character: models were trained on what they leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cleaning {
    #[default]
    None,
    /// Lower case without `, . ' ! ? " ( ) * # : ; ~`; `-` and `/` become spaces, `<person>` a word.
    Caption,
    /// Lower case, in which `. ! " ( ) * # : ; ~` become spaces.
    CaptionKeepingSome,
    /// Lower case without `. ! " ( ) * # : ; ~`.
    QuestionKeepingSome,
}

impl TextForm {
    /// The text alone, as it is.
    pub const BARE: TextForm = TextForm {
        first: None,
        last: None,
        max_tokens: None,
        pad: None,
        cleaning: Cleaning::None,
        max_words: None,
    };

    /// Ids of a text that a user wrote: special tokens in it are plain text.
    ///
    /// An error when the vocabulary lacks a token of the form, or `max_tokens` leaves no room for its ends.
    pub fn ids(&self, tokenizer: &Tokenizer, text: &str) -> Result<Vec<u32>> {
        let token = |name: Option<&'static str>| match name {
            None => Ok(None),
            Some(name) => tokenizer
                .token_id(name)
                .map(Some)
                .ok_or_else(|| TextError::NoToken {
                    token: name.to_string(),
                }),
        };
        let (first, last, pad) = (token(self.first)?, token(self.last)?, token(self.pad)?);
        let mut ids = tokenizer.encode_plain(&self.clean(text))?;
        let ends = usize::from(first.is_some()) + usize::from(last.is_some());
        if let Some(limit) = self.max_tokens {
            let room = limit.checked_sub(ends).ok_or(TextError::NoRoom { limit, ends })?;
            ids.truncate(room);
        }
        let mut framed: Vec<u32> = first.into_iter().chain(ids).chain(last).collect();
        if let (Some(pad), Some(limit)) = (pad, self.max_tokens) {
            framed.resize(limit, pad);
        }
        Ok(framed)
    }

    /// The text as it is encoded.
    pub fn clean<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let cleaned = match self.cleaning {
            Cleaning::None => Cow::Borrowed(text),
            Cleaning::Caption => {
                let spaced = without(text, ",.'!?\"()*#:;~", "").replace(['-', '/'], " ");
                Cow::Owned(one_space(&spaced.replace("<person>", "person")))
            }
            Cleaning::CaptionKeepingSome => Cow::Owned(one_space(&without(text, ".!\"()*#:;~", " "))),
            Cleaning::QuestionKeepingSome => Cow::Owned(one_space(&without(text, ".!\"()*#:;~", ""))),
        };
        match self
            .max_words
            .and_then(|most| cleaned.match_indices(' ').nth(most.saturating_sub(1)))
        {
            Some((end, _)) => Cow::Owned(cleaned[..end].to_string()),
            None => cleaned,
        }
    }
}

/// Lower-cased `text` with every one of `signs` replaced.
fn without(text: &str, signs: &str, by: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    for char in text.to_lowercase().chars() {
        if signs.contains(char) {
            kept.push_str(by);
        } else {
            kept.push(char);
        }
    }
    kept
}

/// Runs of white space become one space (a single sign of it stays what it is); none is left at the ends.
fn one_space(text: &str) -> String {
    let mut collapsed = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(char::is_whitespace) {
        let (word, space) = rest.split_at(start);
        collapsed.push_str(word);
        rest = space.trim_start();
        let run = &space[..space.len() - rest.len()];
        collapsed.push_str(if run.chars().nth(1).is_some() { " " } else { run });
    }
    collapsed.push_str(rest);
    collapsed.trim_end_matches('\n').trim_matches(' ').to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(cleaning: Cleaning, max_words: Option<usize>, text: &str) -> String {
        let form = TextForm {
            cleaning,
            max_words,
            ..TextForm::BARE
        };
        form.clean(text).into_owned()
    }

    #[test]
    fn captions_are_cleaned_as_their_data_loaders_do() {
        let text = "  A Cat's \"life\", well-known/old: (see <person>)!?\t\n #1*; ~ \n";
        for (cleaning, expected) in [
            (Cleaning::None, text),
            (Cleaning::Caption, "a cats life well known old see person 1"),
            (
                Cleaning::CaptionKeepingSome,
                "a cat's life , well-known/old see <person> ? 1",
            ),
            (
                Cleaning::QuestionKeepingSome,
                "a cat's life, well-known/old see <person>? 1",
            ),
        ] {
            assert_eq!(clean(cleaning, None, text), expected, "{cleaning:?}");
        }
        assert_eq!(clean(Cleaning::Caption, None, "a\tb\u{3000}\u{3000}c"), "a\tb c");
        assert_eq!(clean(Cleaning::Caption, None, "..."), "");
    }

    #[test]
    fn words_are_counted_after_cleaning() {
        for (words, expected) in [
            (1, "one"),
            (2, "one two"),
            (3, "one two three"),
            (9, "one two three"),
        ] {
            assert_eq!(
                clean(Cleaning::Caption, Some(words), "One,  two - three!"),
                expected,
                "{words}"
            );
        }
    }
}
