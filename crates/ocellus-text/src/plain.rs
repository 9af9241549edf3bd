//! Encoding of text in which nothing is a special token: what a user typed must not end a message or start a picture.

use crate::tokenizer::panicked;
use crate::{Result, TextError, Tokenizer};
use ocellus_base::contained;
use tokenizers::{
    Model as _, ModelWrapper, Normalizer as _, OffsetType, PreTokenizedString, PreTokenizer as _, Token,
};

impl Tokenizer {
    /// Ids of `text`, in which special and other added tokens are text like any other. None is added at its ends.
    ///
    /// For text without such tokens the ids are those of [`encode`](Tokenizer::encode).
    pub fn encode_plain(&self, text: &str) -> Result<Vec<u32>> {
        self.check_text(text)?;
        let ids = contained(|| self.tokenize_plain(text.into())).ok_or_else(panicked)?;
        ids.map_err(|e| TextError::Encode {
            reason: e.to_string(),
        })
    }

    /// Ids of text that is cut at its added tokens already.
    pub(crate) fn tokenize_plain(&self, mut words: PreTokenizedString) -> tokenizers::Result<Vec<u32>> {
        // Splitting drops what is empty; normalising alone would keep an empty word, which some vocabularies prefix.
        words.split(|_, mut word| {
            if let Some(normalizer) = self.inner.get_normalizer() {
                normalizer.normalize(&mut word)?;
            }
            Ok([word])
        })?;
        if let Some(pre_tokenizer) = self.inner.get_pre_tokenizer() {
            pre_tokenizer.pre_tokenize(&mut words)?;
        }
        words.tokenize(|word| self.plain_word(word.get()))?;
        let encoding = words.into_encoding(None, 0, OffsetType::None)?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Tokens of one word. Where an added token's own text came out as that token, the word is cut behind the first character
    /// of it.
    fn plain_word(&self, word: &str) -> tokenizers::Result<Vec<Token>> {
        let model: &ModelWrapper = self.inner.get_model();
        let mut tokens = model.tokenize(word)?;
        let added = self.inner.get_added_vocabulary().get_added_tokens_decoder();
        let is_added = |token: &Token| {
            let (start, end) = token.offsets;
            let spelled = word.get(start..end);
            added
                .get(&token.id)
                .filter(|a| a.content.chars().nth(1).is_some() && spelled == Some(&a.content[..]))
                .is_some()
        };
        let Some(place) = tokens.iter().position(is_added) else {
            return Ok(tokens);
        };
        let start = tokens[place].offsets.0;
        let cut = start + word[start..].chars().next().map_or(0, char::len_utf8);
        tokens = self.plain_word(&word[..cut])?;
        tokens.extend(self.plain_word(&word[cut..])?);
        Ok(tokens)
    }
}
