//! Text in and out of a model: tokenizer, streaming detokenizer, chat template, conversation.
//!
//! This crate knows bytes, ids and templates, and that "a picture stands here"; it never sees a pixel or a model.
//! The order of use: a [`Template`] encodes a [`Conversation`] with a [`Tokenizer`], what was typed as plain text,
//! [`expand_image_pads`] repeats each picture's placeholder, and a [`Detokenizer`] turns generated ids back into text
//! piece by piece.

mod added;
mod byte_alphabet;
mod byte_pairs;
mod byte_reader;
mod byte_spans;
mod byte_vocabulary;
mod characters;
mod conversation;
mod decode;
mod detokenizer;
mod error;
mod files;
mod folder;
mod instruct;
mod pads;
mod plain;
mod prompt_ids;
mod ranks;
mod sentence_piece;
mod span_writing;
mod special;
mod tekken;
mod template;
mod template_bounds;
mod template_file;
mod template_functions;
mod template_rewrite;
mod template_source;
mod text_form;
mod tokenizer;
mod tokenizer_check;
mod word_end;
mod word_piece;

pub use byte_vocabulary::ByteVocabulary;
pub use conversation::{Conversation, Message, Part, Role};
pub use detokenizer::Detokenizer;
pub use error::{Result, TextError};
pub use instruct::{Instruct, VisualTokenRows};
pub use pads::{MAX_PROMPT_IDS, expand_image_pads, replace_image_pads};
pub use ranks::QWEN_PATTERN;
pub use special::Special;
pub use tekken::{Tekken, TekkenImages};
pub use template::{MAX_RENDERED_BYTES, MAX_TEMPLATE_BYTES, RenderOptions, TEMPLATE_FUEL, Template};
pub use text_form::{Cleaning, TextForm};
pub use tokenizer::{MAX_TEXT_BYTES, MAX_VOCABULARY_BYTES, Tokenizer};
