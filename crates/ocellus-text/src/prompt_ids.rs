//! A conversation to ids by a chat template: the template's own special tokens are special, typed ones are text.
//!
//! A template writes its special tokens and the texts of the conversation into one string, in which a text that spells
//! `<|im_end|>` looks like the template's own. So the conversation is rendered a second time, with a mark between all
//! characters of its texts: whatever special token is found in that prompt, the template wrote. Where the first prompt has no
//! others, its ids are those of [`Tokenizer::encode`]; else the second one is encoded with exactly the special tokens found in
//! it, and without the marks.

use crate::{Conversation, Message, Part, RenderOptions, Result, Role, Template, TextError, Tokenizer};
use std::ops::Range;
use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, Token, normalizer::Range as Place};

/// Characters that may be the mark: letters that no normaliser changes and hardly a text has. The first that the conversation does
/// not have is taken.
const MARKS: [char; 5] = ['\u{1bb}', '\u{1c0}', '\u{1c1}', '\u{1c2}', '\u{1c3}'];

impl Template {
    /// Ids of the prompt of `conversation`, in which special tokens stand where the template writes them and nowhere else.
    /// Added tokens that are not special, such as those around a model's thoughts, also stand where an answer has them.
    ///
    /// # Errors
    /// As [`render`](Template::render) and [`Tokenizer::encode`]; a conversation that uses every character that could be the mark.
    pub fn encode(
        &self,
        tokenizer: &Tokenizer,
        conversation: &Conversation,
        options: &RenderOptions,
    ) -> Result<Vec<u32>> {
        let prompt = self.render(conversation, options)?;
        let found = tokenizer.added_in(&prompt)?;
        if found.is_empty() {
            return tokenizer.encode(&prompt);
        }
        let unused = |mark: &&char| !prompt.contains(**mark) && !conversation.contains(**mark);
        let mark = *MARKS.iter().find(unused).ok_or(TextError::Conversation {
            reason: "texts that have every character by which they are told from the template".to_string(),
        })?;
        let marked = self.render(&tokenizer.marked(conversation, mark)?, options)?;
        let written = tokenizer.added_in(&marked)?;
        if found
            .iter()
            .map(|(_, id)| id)
            .eq(written.iter().map(|(_, id)| id))
        {
            return tokenizer.encode(&prompt);
        }
        tokenizer.encode_marked(&marked, mark, &written)
    }
}

/// Where an added token stands, and its id.
type Added = (Range<usize>, u32);

impl Tokenizer {
    /// The added tokens that [`encode`](Tokenizer::encode) finds in `text`.
    fn added_in(&self, text: &str) -> Result<Vec<Added>> {
        self.check_text(text)?;
        let vocabulary = self.inner.get_added_vocabulary();
        let pieces = vocabulary.extract_and_normalize(self.inner.get_normalizer(), text);
        let splits = pieces.get_splits(OffsetReferential::Original, OffsetType::Byte);
        let added = splits.into_iter().filter_map(|(_, (start, end), tokens)| {
            let token = tokens.as_ref()?.first()?;
            Some((start..end, token.id))
        });
        Ok(added.collect())
    }

    /// The conversation with `mark` around every character of its texts that is not white space. Added tokens of answers that are
    /// not special stay whole.
    fn marked(&self, conversation: &Conversation, mark: char) -> Result<Conversation> {
        let marked = |message: &Message| {
            let part = |part: &Part| match part {
                Part::Text(text) => {
                    let whole = match message.role {
                        Role::Assistant => self.added_in(text)?,
                        Role::System | Role::User => Vec::new(),
                    };
                    let whole = whole.into_iter().filter(|(_, id)| !self.is_special(*id));
                    Ok(Part::Text(with_marks(text, mark, whole.map(|(place, _)| place))))
                }
                part => Ok(part.clone()),
            };
            let content = message.content.iter().map(part).collect::<Result<_>>()?;
            Ok(Message::new(message.role, content))
        };
        let messages = conversation.messages.iter().map(marked);
        Ok(Conversation::new(messages.collect::<Result<_>>()?))
    }

    /// Ids of `text` with the added tokens of `written` and no others, as if every `mark` were not there.
    fn encode_marked(&self, text: &str, mark: char, written: &[Added]) -> Result<Vec<u32>> {
        self.encode_pieces(text, mark, written)
            .map_err(|e| TextError::Encode {
                reason: e.to_string(),
            })
            .and_then(|ids| match self.spans {
                Some(spans) => self.write_spans(spans, &ids),
                None => Ok(ids),
            })
    }

    fn encode_pieces(&self, text: &str, mark: char, written: &[Added]) -> tokenizers::Result<Vec<u32>> {
        // Pieces of the text without marks: its length so far, and where written tokens stand in it.
        let (mut plain, mut pieces, mut at) = (String::with_capacity(text.len()), Vec::new(), 0);
        for (place, id) in written {
            let start = plain.len();
            plain.extend(text[at..place.start].chars().filter(|c| *c != mark));
            pieces.push((start..plain.len(), None));
            let start = plain.len();
            plain.push_str(&text[place.clone()]);
            pieces.push((start..plain.len(), Some(*id)));
            at = place.end;
        }
        let start = plain.len();
        plain.extend(text[at..].chars().filter(|c| *c != mark));
        pieces.push((start..plain.len(), None));
        pieces.retain(|(place, _)| !place.is_empty());

        let mut words = PreTokenizedString::from(plain.as_str());
        words.split(|_, whole| {
            let pieces = pieces.iter().filter_map(|(place, id)| {
                let piece = whole.slice(Place::Original(place.clone()))?;
                let token = id.map(|id| vec![Token::new(id, piece.get().to_owned(), (0, piece.len()))]);
                Some((piece, token))
            });
            Ok(pieces.collect::<Vec<_>>())
        })?;
        self.tokenize_plain(words)
    }
}

/// `text` with `mark` before and behind every character that is not white space, except inside the places of `whole`.
fn with_marks(text: &str, mark: char, whole: impl Iterator<Item = Range<usize>>) -> String {
    let mut marked = String::with_capacity(text.len() * 3);
    let (mut whole, mut after_ink) = (whole.peekable(), false);
    let ends = text.char_indices().map(|(at, char)| (at, Some(char)));
    for (at, next) in ends.chain([(text.len(), None)]) {
        while whole.next_if(|place| place.end <= at).is_some() {}
        let inside = whole.peek().is_some_and(|place| place.start < at);
        let before_ink = next.is_some_and(|char| !char.is_whitespace());
        if (after_ink || before_ink) && !inside {
            marked.push(mark);
        }
        marked.extend(next);
        after_ink = before_ink;
    }
    marked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_stand_between_all_characters_but_inside_whole_tokens() {
        for (text, whole, expected) in [
            ("", &[][..], ""),
            (" ab  c\n", &[], " ·a·b·  ·c·\n"),
            ("a<t>b", &[(1, 4)], "·a·<t>·b·"),
            ("<t>", &[(0, 3)], "·<t>·"),
            ("<t><t> x", &[(0, 3), (3, 6)], "·<t>·<t>· ·x·"),
            ("é", &[], "·é·"),
        ] {
            let whole = whole.iter().map(|(start, end)| *start..*end);
            let marked = with_marks(text, '·', whole);
            assert_eq!(marked, expected, "{text}");
        }
    }
}
