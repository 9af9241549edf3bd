//! One error type for tokenizers, templates and prompts.

use std::path::PathBuf;

/// What every fallible function of this crate returns.
pub type Result<T> = std::result::Result<T, TextError>;

/// Why a tokenizer or template could not be read or applied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    #[error("{}: {source}", file.display())]
    Io { file: PathBuf, source: std::io::Error },

    #[error("{what} has {found} bytes, more than the {limit} that are accepted")]
    TooLarge { what: String, found: u64, limit: u64 },

    #[error("no tokenizer in {}: expected tokenizer.json, tekken.json, vocab.txt, vocab.json with merges.txt, a .tiktoken file, spiece.model, tokenizer.model or bpe_simple_vocab_16e6.txt", dir.display())]
    NoTokenizer { dir: PathBuf },

    #[error("{file} is damaged: {reason}")]
    Damaged { file: String, reason: String },

    #[error("rank file, line {line}: {reason}")]
    Ranks { line: usize, reason: String },

    #[error("rank file: {reason}")]
    RankSet { reason: String },

    #[error("special token `{token}` should have id {expected}, which {reason}")]
    SpecialToken {
        token: String,
        expected: u32,
        reason: String,
    },

    #[error("the vocabulary has no token `{token}`, which is needed")]
    NoToken { token: String },

    #[error("a span of bytes needs at least one id")]
    SpanLength,

    #[error("`{open}` in the text has no `{close}` behind it")]
    SpanOpen { open: String, close: String },

    #[error("the text behind `{open}` has {found} bytes, more than the {limit} that fit")]
    SpanTooLong {
        open: String,
        found: usize,
        limit: usize,
    },

    #[error("{limit} ids leave no room for the {ends} at the ends of a text")]
    NoRoom { limit: usize, ends: usize },

    #[error("the conversation cannot be written for this model: {reason}")]
    Conversation { reason: String },

    #[error("the text could not be encoded: {reason}")]
    Encode { reason: String },

    #[error("the ids could not be decoded: {reason}")]
    Decode { reason: String },

    #[error("the prompt holds {found} placeholders (id {pad_id}), but {expected} pictures were given")]
    PadCount {
        pad_id: u32,
        expected: usize,
        found: usize,
    },

    #[error("the conversation holds {expected} pictures, but the sizes of {found} were given")]
    PictureCount { expected: usize, found: usize },

    #[error("the prompt would have more than the {limit} ids that are accepted")]
    PromptTooLong { limit: usize },

    #[error("the chat template is not valid{}: {reason}", at_line(*line))]
    TemplateSyntax { line: Option<usize>, reason: String },

    #[error("the chat template failed{}: {reason}", at_line(*line))]
    TemplateFailed { line: Option<usize>, reason: String },

    #[error("the chat template refuses this conversation: {message}")]
    TemplateRaised { message: String },

    #[error("the chat template was stopped: it did more work than the {fuel} steps that are accepted")]
    TemplateFuel { fuel: u64 },

    #[error("the chat template was stopped: calls or blocks are nested too deeply")]
    TemplateRecursion,
}

fn at_line(line: Option<usize>) -> String {
    line.map(|line| format!(" (line {line})")).unwrap_or_default()
}
