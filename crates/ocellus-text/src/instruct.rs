//! Prompt formatter with `[INST]` tokens, straight to ids (arXiv:2410.07073, section 2, and its published tokenizer, version 3).
//!
//! Ids, not text: what a user typed is encoded as plain text, so that nothing in it becomes special. A picture is its rows
//! of visual tokens, rows end with one special token, the last with another. The system text comes before the last question.

use crate::{Conversation, MAX_PROMPT_IDS, Message, Part, Result, Role, TextError, Tokenizer};

/// The visual tokens of one picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VisualTokenRows {
    pub rows: usize,
    pub columns: usize,
}

/// The separator between texts, and between the system text and the question.
const GAP: &str = "\n\n";

/// Formats conversations for models with `[INST]` tokens.
#[derive(Debug)]
pub struct Instruct<'t> {
    tokenizer: &'t Tokenizer,
    start: u32,
    end: u32,
    open: u32,
    close: u32,
}

impl<'t> Instruct<'t> {
    /// An error names the special token that the vocabulary lacks.
    pub fn new(tokenizer: &'t Tokenizer) -> Result<Instruct<'t>> {
        Ok(Instruct {
            tokenizer,
            start: needed(tokenizer, "<s>")?,
            end: needed(tokenizer, "</s>")?,
            open: needed(tokenizer, "[INST]")?,
            close: needed(tokenizer, "[/INST]")?,
        })
    }

    /// Ids of the whole conversation; `pictures` are the visual tokens of its pictures in order.
    ///
    /// An error for videos, pictures outside questions, and answers without text.
    pub fn encode(&self, conversation: &Conversation, pictures: &[VisualTokenRows]) -> Result<Vec<u32>> {
        let expected = conversation.image_count();
        if expected != pictures.len() {
            let found = pictures.len();
            return Err(TextError::PictureCount { expected, found });
        }
        let system = system(conversation)?;
        let turns = turns(conversation)?;
        let last = turns.iter().rposition(|turn| turn.role == Role::User);
        let mut pictures = pictures.iter().copied();
        let mut ids = vec![self.start];
        for (i, turn) in turns.iter().enumerate() {
            match turn.role {
                Role::Assistant => self.answer(turn, &mut ids)?,
                _ => {
                    let system = system.as_deref().filter(|_| Some(i) == last);
                    ids.push(self.open);
                    self.question(turn, system, &mut pictures, &mut ids)?;
                    ids.push(self.close);
                }
            }
            bounded(ids.len())?;
        }
        Ok(ids)
    }

    fn answer(&self, turn: &Message, ids: &mut Vec<u32>) -> Result<()> {
        match &turn.content[..] {
            [Part::Text(text)] => {
                ids.extend(self.tokenizer.encode_plain(text.trim_end_matches(' '))?);
                ids.push(self.end);
                Ok(())
            }
            [] => Err(refused("an answer without text")),
            _ => Err(refused("a picture in an answer")),
        }
    }

    fn question(
        &self,
        turn: &Message,
        system: Option<&str>,
        pictures: &mut impl Iterator<Item = VisualTokenRows>,
        ids: &mut Vec<u32>,
    ) -> Result<()> {
        // System text and question are one text where there is no picture, two where there is one.
        let before = system.map(|text| format!("{text}{GAP}")).unwrap_or_default();
        match &turn.content[..] {
            [] => ids.extend(self.tokenizer.encode_plain(&before)?),
            [Part::Text(text)] => ids.extend(self.tokenizer.encode_plain(&(before + text))?),
            content => {
                ids.extend(self.tokenizer.encode_plain(&before)?);
                // One picture behind its text is moved before it.
                let content = match content {
                    [text @ Part::Text(_), Part::Image] => &[Part::Image, text.clone()],
                    content => content,
                };
                for part in content {
                    match part {
                        Part::Text(text) => ids.extend(self.tokenizer.encode_plain(text)?),
                        _ => self.picture(pictures.next(), ids)?,
                    }
                }
            }
        }
        Ok(())
    }

    fn picture(&self, cells: Option<VisualTokenRows>, ids: &mut Vec<u32>) -> Result<()> {
        let Some(VisualTokenRows { rows, columns }) =
            cells.filter(|cells| cells.rows > 0 && cells.columns > 0)
        else {
            return Err(refused("a picture without cells"));
        };
        let token = |name| needed(self.tokenizer, name);
        let (cell, row_end, end) = (token("[IMG]")?, token("[IMG_BREAK]")?, token("[IMG_END]")?);
        let places = columns.checked_add(1).and_then(|row| row.checked_mul(rows));
        bounded(
            places
                .and_then(|n| n.checked_add(ids.len()))
                .unwrap_or(usize::MAX),
        )?;
        for row in 1..=rows {
            ids.extend(std::iter::repeat_n(cell, columns));
            ids.push(if row == rows { end } else { row_end });
        }
        Ok(())
    }
}

fn needed(tokenizer: &Tokenizer, token: &str) -> Result<u32> {
    tokenizer.token_id(token).ok_or_else(|| TextError::NoToken {
        token: token.to_string(),
    })
}

fn bounded(ids: usize) -> Result<()> {
    if ids > MAX_PROMPT_IDS {
        return Err(TextError::PromptTooLong {
            limit: MAX_PROMPT_IDS,
        });
    }
    Ok(())
}

fn refused(reason: &str) -> TextError {
    TextError::Conversation {
        reason: reason.to_string(),
    }
}

/// The texts of all system messages, if any.
fn system(conversation: &Conversation) -> Result<Option<String>> {
    let mut texts = Vec::new();
    for message in conversation.messages.iter().filter(|m| m.role == Role::System) {
        match &joined([message].into_iter())?[..] {
            [] => {}
            [Part::Text(text)] => texts.push(text.clone()),
            _ => return Err(refused("a picture in a system message")),
        }
    }
    Ok((!texts.is_empty()).then(|| texts.join(GAP)))
}

/// Questions and answers. Adjacent messages of one role are merged; the first is a question, if need be an empty one.
fn turns(conversation: &Conversation) -> Result<Vec<Message>> {
    let mut turns = Vec::new();
    for run in conversation.messages.chunk_by(|a, b| a.role == b.role) {
        if run[0].role != Role::System {
            turns.push(Message::new(run[0].role, joined(run.iter())?));
        }
    }
    if turns.first().is_none_or(|turn| turn.role != Role::User) {
        turns.insert(0, Message::new(Role::User, Vec::new()));
    }
    Ok(turns)
}

/// The parts of several messages in order, without empty texts; neighbouring texts become one.
fn joined<'m>(messages: impl Iterator<Item = &'m Message>) -> Result<Vec<Part>> {
    let mut parts: Vec<Part> = Vec::new();
    for part in messages.flat_map(|message| &message.content) {
        match (part, parts.last_mut()) {
            (Part::Text(text), _) if text.is_empty() => {}
            (Part::Text(text), Some(Part::Text(before))) => {
                before.push_str(GAP);
                before.push_str(text);
            }
            (Part::Video, _) => return Err(refused("a video")),
            (part, _) => parts.push(part.clone()),
        }
    }
    Ok(parts)
}
