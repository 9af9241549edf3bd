//! Readers for config fields of this family and its successor. A field may be absent; then the default of the library's class
//! holds.

use ocellus_nn::Act;

use crate::config::{ConfigError, Fields};

/// The family's id.
pub const ID: &str = "blip";

/// Fields that libraries write into every config and sub-config: defaults of generation, training and output.
pub const LIBRARY: &[&str] = &[
    "add_cross_attention",
    "attention_probs_dropout_prob",
    "bad_words_ids",
    "base_config_key",
    "begin_suppress_tokens",
    "chunk_size_feed_forward",
    "classifier_dropout",
    "cross_attention_hidden_size",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "dropout",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "exponential_decay_length_penalty",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "hidden_dropout_prob",
    "id2label",
    "initializer_factor",
    "is_decoder",
    "is_encoder_decoder",
    "label2id",
    "length_penalty",
    "max_length",
    "min_length",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_return_sequences",
    "output_attentions",
    "output_hidden_states",
    "output_scores",
    "prefix",
    "problem_type",
    "projection_dim",
    "pruned_heads",
    "remove_invalid_values",
    "repetition_penalty",
    "return_dict",
    "return_dict_in_generate",
    "sep_token_id",
    "suppress_tokens",
    "task_specific_params",
    "temperature",
    "tf_legacy_loss",
    "tie_encoder_decoder",
    "tie_word_embeddings",
    "tokenizer_class",
    "top_k",
    "top_p",
    "torchscript",
    "typical_p",
    "use_bfloat16",
];

/// A size; `class` is the default of the library's class.
pub fn size(fields: &Fields, key: &str, class: usize) -> Result<usize, ConfigError> {
    Ok(fields.size_or(key)?.unwrap_or(class))
}

/// A token id; `class` is the default of the library's class.
pub fn token(fields: &Fields, key: &str, class: u32) -> Result<u32, ConfigError> {
    match fields.get(key) {
        Some(_) => fields.id(key),
        None => Ok(class),
    }
}

/// An activation; `class` is the default of the library's class.
pub fn act(fields: &Fields, key: &str, class: &str) -> Result<Act, ConfigError> {
    match fields.text_or(key, class)? {
        "gelu" => Ok(Act::Gelu),
        "gelu_new" | "gelu_pytorch_tanh" => Ok(Act::GeluTanh),
        "quick_gelu" => Ok(Act::QuickGelu),
        "relu" => Ok(Act::Relu),
        "silu" | "swish" => Ok(Act::Silu),
        other => Err(ConfigError::Value {
            field: fields.name(key),
            expected: "gelu, gelu_new, gelu_pytorch_tanh, quick_gelu, relu or silu".to_owned(),
            found: other.to_owned(),
        }),
    }
}

/// Width of an attention head: `width / heads`, which must be whole.
pub fn head_dim(fields: &Fields, key: &str, width: usize, heads: usize) -> Result<usize, ConfigError> {
    if width.is_multiple_of(heads) {
        return Ok(width / heads);
    }
    Err(ConfigError::Value {
        field: fields.name(key),
        expected: format!("a divisor of {width}"),
        found: heads.to_string(),
    })
}

/// The object under `key`, which must be present.
pub fn section<'a>(top: &Fields<'a>, key: &str) -> Result<Fields<'a>, ConfigError> {
    top.object(key)?
        .ok_or_else(|| ConfigError::Missing { field: top.name(key) })
}
