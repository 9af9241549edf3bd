//! Tokenizer, chat template and end tokens.

use super::error::GgufError;
use super::keys::Keys;
use super::parts::Files;
use ocellus_text::{ByteVocabulary, QWEN_PATTERN, Template, TextError, Tokenizer};
use serde_json::{Value, json};

/// A pre-tokenizer: the rule that splits text into words, with its name in GGUF.
struct Rule {
    name: &'static str,
    pattern: &'static str,
    composed: bool,
    whole_words: bool,
}

/// Contractions; letters with one leading symbol; up to three digits; symbols; line ends; white space.
const THREE_DIGITS: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// As above, but words also split where lower case changes to upper case, digits are single, and slashes join line ends.
const BY_CASE: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

const RULES: &[Rule] = &[
    Rule {
        name: "qwen2",
        pattern: QWEN_PATTERN,
        composed: true,
        whole_words: false,
    },
    Rule {
        name: "pixtral",
        pattern: THREE_DIGITS,
        composed: false,
        whole_words: true,
    },
    Rule {
        name: "tekken",
        pattern: BY_CASE,
        composed: false,
        whole_words: true,
    },
];

/// Token types, as the format numbers them.
const NORMAL: i64 = 1;
const UNKNOWN: i64 = 2;
const CONTROL: i64 = 3;
const ADDED: i64 = 4;
const UNUSED: i64 = 5;

/// Tokens that end an answer in every vocabulary that has them.
const ENDS: &[&str] = &["<|im_end|>", "<|endoftext|>"];

/// Names of special tokens in templates, and the metadata keys of their ids.
const NAMED: &[(&str, &str)] = &[
    ("bos_token", "tokenizer.ggml.bos_token_id"),
    ("eos_token", "tokenizer.ggml.eos_token_id"),
    ("pad_token", "tokenizer.ggml.padding_token_id"),
    ("unk_token", "tokenizer.ggml.unknown_token_id"),
];

pub(super) struct Vocabulary {
    pub tokenizer: Tokenizer,
    pub template: Option<Template>,
    /// `generation_config.json`.
    pub generation: Value,
}

pub(super) fn read(keys: &Keys<'_>) -> Result<Vocabulary, GgufError> {
    let about = |source: TextError| GgufError::Text {
        file: keys.file(),
        source,
    };
    let model = keys.text("tokenizer.ggml.model")?;
    if model != "gpt2" {
        return Err(keys.wrong("tokenizer.ggml.model", "gpt2 (byte pairs)", model));
    }
    let name = keys.text("tokenizer.ggml.pre")?;
    let Some(rule) = RULES.iter().find(|rule| rule.name == name) else {
        let known: Vec<&str> = RULES.iter().map(|rule| rule.name).collect();
        return Err(keys.wrong("tokenizer.ggml.pre", known.join(", "), name));
    };
    let tokens = keys.texts("tokenizer.ggml.tokens")?;
    let tokenizer = Tokenizer::from_byte_vocabulary(lists(keys, rule, &tokens)?).map_err(about)?;
    let named = |key: &str| -> Result<Option<&str>, GgufError> {
        let id = keys.size_or(key)?;
        Ok(id.and_then(|id| tokens.get(usize::try_from(id).ok()?).copied()))
    };
    let template = match keys.text_or("tokenizer.chat_template")? {
        None => None,
        Some(source) => {
            let mut template = Template::new(source).map_err(about)?;
            for (text, key) in NAMED {
                if let Some(token) = named(key)? {
                    template = template.with_text(text, token);
                }
            }
            Some(template)
        }
    };
    let stated = ["tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"];
    let mut ends = Vec::new();
    for key in stated {
        ends.extend(keys.size_or(key)?.and_then(|id| u32::try_from(id).ok()));
    }
    ends.extend(ENDS.iter().filter_map(|token| tokenizer.token_id(token)));
    let mut seen = std::collections::BTreeSet::new();
    ends.retain(|id| seen.insert(*id));
    Ok(Vocabulary {
        tokenizer,
        template,
        generation: json!({ "eos_token_id": ends }),
    })
}

fn lists<'a>(keys: &Keys<'a>, rule: &Rule, tokens: &[&'a str]) -> Result<ByteVocabulary<'a>, GgufError> {
    let kinds = keys.integers("tokenizer.ggml.token_type")?;
    if kinds.len() != tokens.len() {
        let expected = format!("{} kinds, one a token", tokens.len());
        return Err(keys.wrong("tokenizer.ggml.token_type", expected, kinds.len()));
    }
    let mut lists = ByteVocabulary {
        pattern: rule.pattern,
        composed: rule.composed,
        whole_words: rule.whole_words,
        ..ByteVocabulary::default()
    };
    for (id, (token, kind)) in (0..).zip(tokens.iter().zip(kinds)) {
        match kind {
            NORMAL => lists.tokens.push((token, id)),
            CONTROL | UNKNOWN => lists.added.push((token, id, true)),
            ADDED => lists.added.push((token, id, false)),
            UNUSED => {}
            other => {
                let (found, expected) = (format!("{other} for `{token}`"), "kinds 1 to 5");
                return Err(keys.wrong("tokenizer.ggml.token_type", expected, found));
            }
        }
    }
    for merge in keys.texts("tokenizer.ggml.merges")? {
        let (left, right) = merge
            .split_once(' ')
            .ok_or_else(|| keys.wrong("tokenizer.ggml.merges", "two tokens with a space between", merge))?;
        lists.merges.push((left, right));
    }
    Ok(lists)
}

/// The id of a special token that the family needs.
pub(super) fn id(files: &Files<'_>, token: &str) -> Result<u32, GgufError> {
    let missing = TextError::NoToken {
        token: token.to_owned(),
    };
    files.tokens.token_id(token).ok_or_else(|| GgufError::Text {
        file: files.language_keys.file(),
        source: missing,
    })
}
