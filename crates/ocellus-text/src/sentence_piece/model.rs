//! What a sentence-piece model file says, as far as encoding needs it (fields of the published `sentencepiece_model.proto`).

use super::wire::{Fields, Value};

/// What a piece is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Normal,
    Unknown,
    Control,
    UserDefined,
    Byte,
}

#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub text: String,
    pub score: f64,
    pub kind: Kind,
}

/// How pieces are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Unigram,
    BytePairs,
}

#[derive(Debug)]
pub(super) struct Model {
    /// In the order of their ids.
    pub pieces: Vec<Piece>,
    pub algorithm: Algorithm,
    pub byte_fallback: bool,
    /// Rules that rewrite characters; empty for none.
    pub charsmap: Vec<u8>,
    /// A space is put before the text.
    pub dummy_prefix: bool,
    /// Spaces at the ends go, runs of spaces become one.
    pub one_space: bool,
}

impl Model {
    /// Reads the whole file, or says what is wrong with it.
    pub(super) fn parse(file: &[u8]) -> Result<Model, String> {
        let (mut pieces, mut trainer, mut normalizer) = (Vec::new(), None, None);
        for field in Fields::new(file) {
            match field? {
                (1, Value::Bytes(message)) => {
                    let about = |reason| format!("piece {}: {reason}", pieces.len());
                    let piece = piece(message).map_err(about)?;
                    pieces.push(piece);
                    crate::tokenizer::check_tokens(pieces.len())?;
                }
                (2, Value::Bytes(message)) => trainer = Some(message),
                (3, Value::Bytes(message)) => normalizer = Some(message),
                _ => {}
            }
        }
        let trainer = trainer.ok_or("trainer_spec is missing")?;
        let normalizer = normalizer.ok_or("normalizer_spec is missing")?;
        let mut model = Model {
            pieces,
            algorithm: Algorithm::Unigram,
            byte_fallback: false,
            charsmap: Vec::new(),
            dummy_prefix: true,
            one_space: true,
        };
        model.trainer(trainer)?;
        model.normalizer(normalizer)?;
        Ok(model)
    }

    fn trainer(&mut self, message: &[u8]) -> Result<(), String> {
        for field in Fields::new(message) {
            match field? {
                (3, Value::Varint(1)) => self.algorithm = Algorithm::Unigram,
                (3, Value::Varint(2)) => self.algorithm = Algorithm::BytePairs,
                (3, Value::Varint(other)) => {
                    let name = match other {
                        3 => "word",
                        4 => "char",
                        _ => "unknown",
                    };
                    return Err(format!(
                        "model type {other} ({name}), expected unigram (1) or bpe (2)"
                    ));
                }
                (24, Value::Varint(suffix)) if suffix != 0 => {
                    return Err("treat_whitespace_as_suffix is not supported".to_string());
                }
                (35, Value::Varint(fallback)) => self.byte_fallback = fallback != 0,
                _ => {}
            }
        }
        Ok(())
    }

    fn normalizer(&mut self, message: &[u8]) -> Result<(), String> {
        for field in Fields::new(message) {
            match field? {
                (2, Value::Bytes(charsmap)) => self.charsmap = charsmap.to_vec(),
                (3, Value::Varint(prefix)) => self.dummy_prefix = prefix != 0,
                (4, Value::Varint(one)) => self.one_space = one != 0,
                (5, Value::Varint(0)) => {
                    return Err("escape_whitespaces = false is not supported".to_string());
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn piece(message: &[u8]) -> Result<Piece, String> {
    let (mut text, mut score, mut kind) = (String::new(), 0.0, Kind::Normal);
    for field in Fields::new(message) {
        match field? {
            (1, Value::Bytes(bytes)) => {
                text = String::from_utf8(bytes.to_vec()).map_err(|e| e.to_string())?;
            }
            (2, Value::Fixed32(bytes)) => score = f64::from(f32::from_le_bytes(bytes)),
            (3, Value::Varint(number)) => {
                kind = match number {
                    1 => Kind::Normal,
                    2 => Kind::Unknown,
                    3 => Kind::Control,
                    4 => Kind::UserDefined,
                    6 => Kind::Byte,
                    5 => return Err("unused pieces are not supported".to_string()),
                    other => return Err(format!("type {other}")),
                }
            }
            _ => {}
        }
    }
    if text.is_empty() {
        return Err("it has no text".to_string());
    }
    if !score.is_finite() {
        return Err(format!("score {score}"));
    }
    Ok(Piece { text, score, kind })
}
