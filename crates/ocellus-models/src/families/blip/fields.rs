//! Readers for config fields of this family and its successor. A field may be absent; then the default of the library's class
//! holds.

use ocellus_nn::Act;

use crate::config::{ConfigError, Fields};

/// The family's id.
pub const ID: &str = "blip";

/// Fields that say nothing here: which parts of the model are decoders its own class fixes, and the word table is tied to the head
/// in every one.
pub const LIBRARY: &[&str] = &["is_decoder", "projection_dim", "tie_word_embeddings"];

/// The activation that a field names.
pub fn act(fields: &Fields, key: &str) -> Result<Act, ConfigError> {
    match fields.text(key)? {
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
