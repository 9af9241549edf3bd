//! Stacks of post-norm layers: their sizes in a config, their specs, their tensor names.

use ocellus_nn::{Act, Attn, Bias, Mlp, Norm, Order, block};
use serde_json::Value;

use crate::config::{ConfigError, Fields};

/// Epsilon of every norm, a constant of the originals' code.
pub(in crate::families) const NORM: Norm = Norm::Layer { eps: 1e-12 };

/// Tensor names of a stack of post-norm layers under `layers`.
pub(in crate::families) const fn layer_names(layers: &'static str) -> [(&'static str, &'static str); 9] {
    [
        ("layers", layers),
        ("attn.q_proj", "attention.self.query"),
        ("attn.k_proj", "attention.self.key"),
        ("attn.v_proj", "attention.self.value"),
        ("attn.o_proj", "attention.output.dense"),
        ("norm1", "attention.output.LayerNorm"),
        ("mlp.fc1", "intermediate.dense"),
        ("mlp.fc2", "output.dense"),
        ("norm2", "output.LayerNorm"),
    ]
}

/// Sizes of one stack of layers, from fields that start with `prefix`.
#[derive(Clone, Copy)]
pub(in crate::families) struct Stream {
    pub width: usize,
    pub layers: usize,
    pub heads: usize,
    pub inner: usize,
    pub act: Act,
}

impl Stream {
    /// `defaults`: width, layers, heads, inner width.
    pub(in crate::families) fn read(
        fields: &Fields,
        prefix: &str,
        [width, layers, heads, inner]: [usize; 4],
    ) -> Result<Self, ConfigError> {
        let size = |key: &str, default| Ok(fields.size_or(&format!("{prefix}{key}"))?.unwrap_or(default));
        let stream = Self {
            width: size("hidden_size", width)?,
            layers: size("num_hidden_layers", layers)?,
            heads: size("num_attention_heads", heads)?,
            inner: size("intermediate_size", inner)?,
            act: act(fields, &format!("{prefix}hidden_act"))?,
        };
        divides(
            fields,
            &format!("{prefix}num_attention_heads"),
            stream.heads,
            stream.width,
        )?;
        Ok(stream)
    }

    /// The spec of a layer with heads over its full width.
    pub(in crate::families) fn block(&self) -> block::Spec {
        self.block_with(self.heads, self.width)
    }

    /// The spec of a layer whose queries, keys and values have `inner` values over `heads` heads.
    pub(in crate::families) fn block_with(&self, heads: usize, inner: usize) -> block::Spec {
        block::Spec {
            width: self.width,
            attention: Attn::full(heads, inner / heads, Bias::ALL),
            norm: NORM,
            order: Order::NormLast,
            mlp: Mlp::Plain {
                act: self.act,
                width: self.inner,
                bias: true,
            },
            memory: None,
        }
    }
}

/// Fails unless `width` is divisible by `heads`.
pub(in crate::families) fn divides(
    fields: &Fields,
    key: &str,
    heads: usize,
    width: usize,
) -> Result<(), ConfigError> {
    if width.is_multiple_of(heads) {
        return Ok(());
    }
    Err(ConfigError::Value {
        field: fields.name(key),
        expected: format!("a divisor of the width, {width}"),
        found: heads.to_string(),
    })
}

fn act(fields: &Fields, key: &str) -> Result<Act, ConfigError> {
    match fields.text_or(key, "gelu")? {
        "gelu" => Ok(Act::Gelu),
        "relu" => Ok(Act::Relu),
        "swish" => Ok(Act::Silu),
        other => Err(ConfigError::Value {
            field: fields.name(key),
            expected: "gelu, relu or swish".to_owned(),
            found: other.to_owned(),
        }),
    }
}

/// Answer texts from `id2label` in order of their ids; empty where the config has none.
pub(in crate::families) fn labels(fields: &Fields, answers: usize) -> Result<Vec<String>, ConfigError> {
    let Some(value) = fields.get("id2label") else {
        return Ok(Vec::new());
    };
    let text = |v: &Value| v.as_str().map(str::to_owned);
    let labels: Option<Vec<String>> = match value {
        Value::Object(by_id) => (0..by_id.len())
            .map(|i| by_id.get(&i.to_string()).and_then(text))
            .collect(),
        Value::Array(list) => list.iter().map(text).collect(),
        _ => None,
    };
    labels
        .filter(|l| l.len() == answers)
        .ok_or_else(|| ConfigError::Value {
            field: fields.name("id2label"),
            expected: format!("texts of the answers 0 to {}", answers.saturating_sub(1)),
            found: "something else".to_owned(),
        })
}
