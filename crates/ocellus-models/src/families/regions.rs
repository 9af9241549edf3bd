//! What the families share that see a picture as the regions a detector found: checks of what was given, the sizes and
//! names of BERT streams, and their two-layer answer heads.

use candle_core::Tensor;
use ocellus_nn::embeddings::Transform;
use ocellus_nn::norm::NormLayer;
use ocellus_nn::ops::activation::activate;
use ocellus_nn::ops::loss::IGNORE;
use ocellus_nn::{Act, Attn, Bias, Linear, Mlp, Names, Norm, Order, Params, block};
use serde_json::Value;

use crate::config::{ConfigError, Fields};
use crate::given::{Given, Rows};
use crate::model::{Regions, Sight, Texts};
use crate::vlm::{Facts, ModelError};

/// Epsilon of every norm: the originals have it in their code, not in their configs.
pub(super) const NORM: Norm = Norm::Layer { eps: 1e-12 };

/// Names of a transform inside a sequence of layers: linear, activation, norm.
pub(super) const SEQUENCE: Names = &[("dense", "0"), ("LayerNorm", "2")];

/// One stream of layers, from fields that start with `prefix`.
#[derive(Clone, Copy)]
pub(super) struct Stream {
    pub width: usize,
    pub layers: usize,
    pub heads: usize,
    pub inner: usize,
    pub act: Act,
}

impl Stream {
    /// `defaults`: width, layers, heads, inner width.
    pub(super) fn read(
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

    /// A layer of the stream, with heads over its own width.
    pub(super) fn block(&self) -> block::Spec {
        self.block_with(self.heads, self.width)
    }

    /// The same with `heads` over `inner` values of queries, keys and values.
    pub(super) fn block_with(&self, heads: usize, inner: usize) -> block::Spec {
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

/// Fails unless `heads` share `width` evenly.
pub(super) fn divides(fields: &Fields, key: &str, heads: usize, width: usize) -> Result<(), ConfigError> {
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

/// Texts of answers under `id2label`, in order of their ids; none where the config has none.
pub(super) fn labels(fields: &Fields, answers: usize) -> Result<Vec<String>, ConfigError> {
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

/// Facts of a model that sees regions of `width` values.
pub(super) fn facts(family: &'static str, width: usize, max_positions: usize) -> Facts {
    Facts {
        family,
        image_token: None,
        video_token: None,
        merge: 1,
        patch_size: 1,
        temporal_patch_size: 1,
        patch_features: width,
        tokens_per_second: None,
        frames_apart: false,
        max_positions,
    }
}

/// Packed words of several texts.
pub(super) struct Words {
    pub ids: Vec<u32>,
    pub positions: Vec<u32>,
    pub types: Vec<u32>,
    pub lengths: Vec<usize>,
}

impl Words {
    /// Texts that count their positions from 0, all of type 0.
    pub(super) fn of(texts: &Texts) -> Self {
        let ids = texts.concat();
        Self {
            positions: texts.iter().flat_map(|t| 0..t.len() as u32).collect(),
            types: vec![0; ids.len()],
            lengths: texts.iter().map(|t| t.len()).collect(),
            ids,
        }
    }

    /// Fails when a table has no row for a word.
    pub(super) fn check(&self, vocab: usize, max_positions: usize, types: usize) -> Result<(), ModelError> {
        if let Some(empty) = self.lengths.iter().position(|n| *n == 0) {
            return Err(ModelError::input(
                format!("text {empty}"),
                "at least 1 token",
                "none",
            ));
        }
        if let Some(&id) = self.ids.iter().find(|id| **id as usize >= vocab) {
            return Err(ModelError::Vocabulary { id, vocab });
        }
        let over = |values: &[u32], limit: usize| values.iter().copied().find(|v| *v as usize >= limit);
        if let Some(place) = over(&self.positions, max_positions) {
            let expected = format!("at most {max_positions} tokens");
            return Err(ModelError::input(
                "a text",
                expected,
                format!("a token at place {place}"),
            ));
        }
        match over(&self.types, types) {
            Some(kind) => Err(ModelError::input(
                "a text",
                format!("token types under {types}"),
                kind,
            )),
            None => Ok(()),
        }
    }
}

/// The regions of every picture: one picture for each of `texts`, at least one region of `width` values in each, as many boxes
/// as features, sides that are lengths.
pub(super) fn regions(sight: &Sight, texts: usize, width: usize) -> Result<&[Regions], ModelError> {
    let regions = sight.regions()?;
    if regions.len() != texts {
        let expected = format!("a picture for each of {texts} texts");
        return Err(ModelError::input(
            "the input",
            expected,
            format!("{} pictures", regions.len()),
        ));
    }
    for (i, picture) in regions.iter().enumerate() {
        let wrong = |what: &str, expected: String, found: String| {
            Err(ModelError::input(
                format!("{what} of picture {i}"),
                expected,
                found,
            ))
        };
        let shape = picture.features.dims();
        if shape.len() != 2 || shape[0] == 0 || shape[1] != width {
            let expected = format!("the shape [regions, {width}] with at least one region");
            return wrong("`features`", expected, format!("the shape {shape:?}"));
        }
        if picture.boxes.len() != shape[0] {
            let expected = format!("a box for each of {} regions", shape[0]);
            return wrong("`boxes`", expected, format!("{} boxes", picture.boxes.len()));
        }
        let side = |s: f32| s.is_finite() && s > 0.0;
        if !side(picture.width) || !side(picture.height) {
            let found = format!("{} x {} px", picture.width, picture.height);
            return wrong("the size", "two positive lengths".to_owned(), found);
        }
        if let Some(bad) = picture.boxes.iter().find(|b| b.iter().any(|v| !v.is_finite())) {
            return wrong("`boxes`", "finite numbers".to_owned(), format!("{bad:?}"));
        }
    }
    Ok(regions)
}

/// Fails unless `hidden[i]` are regions of picture `i`.
pub(super) fn check_hidden(hidden: &[&[usize]], regions: &[Regions]) -> Result<(), ModelError> {
    if hidden.len() != regions.len() {
        let expected = format!("a list for each of {} pictures", regions.len());
        return Err(ModelError::input(
            "the hidden regions",
            expected,
            format!("{} lists", hidden.len()),
        ));
    }
    for (i, (hidden, picture)) in hidden.iter().zip(regions).enumerate() {
        if let Some(region) = hidden.iter().find(|r| **r >= picture.boxes.len()) {
            let expected = format!("indices under {}", picture.boxes.len());
            return Err(ModelError::input(
                format!("the list of hidden regions of picture {i}"),
                expected,
                region,
            ));
        }
    }
    Ok(())
}

/// A linear layer, GELU, a norm and scores: the heads that choose among answers.
pub(super) struct Answers {
    widen: Linear,
    norm: NormLayer,
    scores: Linear,
}

impl Answers {
    /// Tensors `0`, `2`, `3`.
    pub(super) fn load(p: &Params, [inputs, inner, answers]: [usize; 3]) -> Result<Self, ModelError> {
        Ok(Self {
            widen: Linear::load(&p.at("0"), inputs, inner, true)?,
            norm: NORM.load(&p.at("2"), inner)?,
            scores: Linear::load(&p.at("3"), inner, answers, true)?,
        })
    }

    /// `[rows, inputs]` → `[rows, answers]`.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor, ModelError> {
        let inner = self
            .norm
            .forward(&activate(&self.widen.forward(x)?, Act::Gelu)?)?;
        Ok(self.scores.forward(&inner)?)
    }
}

/// A transform and scores.
pub(super) struct Classes {
    transform: Transform,
    scores: Linear,
}

impl Classes {
    /// `transform` and `scores` are where their tensors are.
    pub(super) fn load(
        transform: &Params,
        scores: &Params,
        width: usize,
        act: Act,
        classes: usize,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            transform: Transform::load(transform, width, act, NORM)?,
            scores: Linear::load(scores, width, classes, true)?,
        })
    }

    /// `[rows, width]` → `[rows, classes]`.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor, ModelError> {
        Ok(self.scores.forward(&self.transform.forward(x)?)?)
    }
}

/// Index of the first row of every sequence.
pub(super) fn firsts(lengths: &[usize]) -> Vec<u32> {
    let starts = lengths.iter().scan(0, |next, n| {
        *next += *n as u32;
        Some(*next - *n as u32)
    });
    starts.collect()
}

/// Rows of `x` by index.
pub(super) fn pick(x: &Tensor, index: &[u32]) -> Result<Tensor, ModelError> {
    let index = Tensor::from_slice(index, index.len(), x.device())?;
    Ok(x.index_select(&index, 0)?)
}

/// The real rows of a padded array `[batch, length, width]`, packed.
pub(super) fn packed(given: &Given, name: &str, rows: &Rows, width: usize) -> Result<Tensor, ModelError> {
    let padded = given.tensor(name, 3)?;
    let expected = [rows.lengths.len(), rows.length, width];
    if padded.dims() != expected {
        let found = format!("the shape {:?}", padded.dims());
        return Err(ModelError::input(
            format!("input `{name}`"),
            format!("{expected:?}"),
            found,
        ));
    }
    let index: Vec<u32> = rows.places.iter().map(|p| *p as u32).collect();
    pick(&padded.flatten(0, 1)?, &index)
}

/// Targets `[batch, length]` at the real rows, packed; what is negative is no target.
pub(super) fn targets(given: &Given, name: &str, rows: &Rows) -> Result<Vec<u32>, ModelError> {
    let (shape, values) = given.integers(name, 2)?;
    if shape != [rows.lengths.len(), rows.length] {
        let expected = format!("[{}, {}]", rows.lengths.len(), rows.length);
        return Err(ModelError::input(
            format!("input `{name}`"),
            expected,
            format!("{shape:?}"),
        ));
    }
    let target = |place: &usize| u32::try_from(values[*place]).unwrap_or(IGNORE);
    Ok(rows.places.iter().map(target).collect())
}

/// Indices of what is a target, and the targets.
pub(super) fn only(targets: &[u32]) -> (Vec<u32>, Vec<u32>) {
    (0u32..)
        .zip(targets.iter().copied())
        .filter(|(_, t)| *t != IGNORE)
        .unzip()
}
