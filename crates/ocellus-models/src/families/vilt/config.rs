//! The config, with the library's defaults where a field is absent.

use ocellus_nn::position_table::Interpolation;
use ocellus_nn::{Act, Attn, Bias, Mlp, Norm, Order, Params, block, embeddings, encoder, tower};
use serde_json::Value;

use crate::config::{ConfigError, ConfigFile, Fields};
use crate::error::ModelError;
use crate::facts::Facts;

/// The family's id.
pub(super) const ID: &str = "vilt";
/// The library's classes, one per head.
pub(super) const ARCHITECTURES: &[&str] = &[
    "ViltForQuestionAnswering",
    "ViltForImagesAndTextClassification",
    "ViltForImageAndTextRetrieval",
    "ViltForMaskedLM",
];

pub(super) struct Config {
    pub kind: HeadKind,
    pub vocab: usize,
    /// Maximum tokens of a text.
    pub positions: usize,
    /// Rows of the token type table.
    types: usize,
    /// Rows of the modality table.
    pub kinds: usize,
    pub act: Act,
    layers: usize,
    pub block: block::Spec,
    channels: usize,
    patch: usize,
    /// Patches along a side of the picture size that the position table was made for.
    side: usize,
    /// Maximum patches of a picture, if bounded.
    most_patches: Option<usize>,
    pub labels: Vec<String>,
}

/// The head that the checkpoint was trained for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeadKind {
    /// Answer classification over `pictures` pictures of one text; the hidden layer is `widen` times as wide as a layer.
    Answers {
        pictures: usize,
        widen: usize,
    },
    Rank,
    Words,
}

impl Config {
    /// The head of a config that names none of the library's classes is the one that `p` holds.
    pub fn read(config: &ConfigFile, p: &Params) -> Result<Self, ConfigError> {
        let fields = config.fields()?.of("ViltConfig");
        let (image, patch) = (fields.size("image_size")?, fields.size("patch_size")?);
        if patch > image {
            let expected = format!("at most image_size {image}");
            return Err(wrong(&fields, "patch_size", expected, patch));
        }
        let limit = fields.number("max_image_length")?;
        let kind = kind(&fields, p)?;
        let kinds = fields.size("modality_type_vocab_size")?;
        if let HeadKind::Answers { pictures, .. } = kind
            && kinds <= pictures
        {
            let expected = format!("more than the {pictures} pictures of a text");
            return Err(wrong(&fields, "modality_type_vocab_size", expected, kinds));
        }
        let config = Self {
            kind,
            vocab: fields.size("vocab_size")?,
            positions: fields.size("max_position_embeddings")?,
            types: fields.size("type_vocab_size")?,
            kinds,
            act: fields.act("hidden_act", "gelu")?,
            layers: fields.size("num_hidden_layers")?,
            block: layer(&fields)?,
            channels: fields.size("num_channels")?,
            patch,
            side: image / patch,
            most_patches: (limit >= 0.0).then_some(limit as usize),
            labels: labels(&fields)?,
        };
        // The word table is tied whatever the config says.
        fields.finish(ID, &["tie_word_embeddings"])?;
        Ok(config)
    }

    pub fn words(&self) -> embeddings::Spec {
        embeddings::Spec {
            vocab: self.vocab,
            width: self.block.width,
            positions: Some(self.positions),
            types: Some(self.types),
            norm: self.block.norm,
        }
    }

    /// The patch embedding only; the shared layers follow it.
    pub fn patches(&self) -> tower::Spec {
        tower::Spec {
            patch: self.channels * self.patch * self.patch,
            patch_bias: true,
            class_token: true,
            positions: Some((self.side, self.side)),
            interpolation: Interpolation::BilinearCorners,
            norm_before: None,
            encoder: encoder::Spec::new(0, self.block),
            norm_after: None,
        }
    }

    pub fn encoder(&self) -> encoder::Spec {
        encoder::Spec::new(self.layers, self.block)
    }

    pub fn facts(&self) -> Facts {
        Facts {
            family: ID,
            image_token: None,
            video_token: None,
            merge: 1,
            patch_size: self.patch,
            temporal_patch_size: 1,
            patch_features: self.channels * self.patch * self.patch,
            tokens_per_second: None,
            frames_apart: false,
            max_positions: self.positions,
        }
    }

    /// Fails when a token type has no row.
    pub fn check_types(&self, types: &[u32]) -> Result<(), ModelError> {
        match types.iter().find(|t| **t as usize >= self.types) {
            Some(kind) => Err(ModelError::input(
                "a token type",
                format!("less than {}", self.types),
                kind,
            )),
            None => Ok(()),
        }
    }

    /// Fails when a picture has more patches than the bound: the reference would drop random ones.
    pub fn check_grids(&self, grids: &[(usize, usize)]) -> Result<(), ModelError> {
        let most = self.most_patches.unwrap_or(usize::MAX);
        match grids.iter().find(|g| g.0 * g.1 > most) {
            Some((rows, columns)) => Err(ModelError::input(
                "a picture",
                format!("at most {most} patches"),
                format!("{rows}x{columns}"),
            )),
            None => Ok(()),
        }
    }
}

fn wrong(fields: &Fields, key: &str, expected: String, found: impl ToString) -> ConfigError {
    ConfigError::Value {
        field: fields.name(key),
        expected,
        found: found.to_string(),
    }
}

fn layer(fields: &Fields) -> Result<block::Spec, ConfigError> {
    let (width, heads) = (fields.size("hidden_size")?, fields.size("num_attention_heads")?);
    if width % heads != 0 {
        let expected = format!("a divisor of hidden_size {width}");
        return Err(wrong(fields, "num_attention_heads", expected, heads));
    }
    let qkv = fields.flag_or("qkv_bias", true)?;
    let bias = Bias {
        q: qkv,
        k: qkv,
        v: qkv,
        o: true,
    };
    Ok(block::Spec {
        width,
        attention: Attn::full(heads, width / heads, bias),
        norm: Norm::layer(fields.number("layer_norm_eps")?),
        order: Order::NormFirst,
        mlp: Mlp::Plain {
            act: fields.act("hidden_act", "gelu")?,
            width: fields.size("intermediate_size")?,
            bias: true,
        },
        memory: None,
    })
}

fn kind(fields: &Fields, p: &Params) -> Result<HeadKind, ConfigError> {
    let pictures = fields.number("num_images")?;
    let architecture = fields.get("architectures").and_then(|a| a.get(0));
    let named = architecture
        .and_then(Value::as_str)
        .filter(|name| ARCHITECTURES.contains(name));
    let held = || {
        let answers = match pictures >= 1.0 {
            true => ARCHITECTURES[1],
            false => ARCHITECTURES[0],
        };
        let heads = [
            ("classifier.0.weight", answers),
            ("rank_output.weight", ARCHITECTURES[2]),
            ("mlm_score.transform.dense.weight", ARCHITECTURES[3]),
        ];
        let head = heads.iter().find(|(tensor, _)| p.contains(tensor));
        head.map(|(_, name)| *name)
    };
    match named.or_else(held) {
        Some("ViltForQuestionAnswering") => Ok(HeadKind::Answers {
            pictures: 1,
            widen: 2,
        }),
        Some("ViltForImagesAndTextClassification") => match pictures {
            n if (1.0..=1024.0).contains(&n) && n.fract() == 0.0 => Ok(HeadKind::Answers {
                pictures: n as usize,
                widen: n as usize,
            }),
            n => Err(wrong(
                fields,
                "num_images",
                "the number of pictures of a text".to_owned(),
                n,
            )),
        },
        Some("ViltForImageAndTextRetrieval") => Ok(HeadKind::Rank),
        Some("ViltForMaskedLM") => Ok(HeadKind::Words),
        other => {
            let expected = ARCHITECTURES.join(", ");
            Err(wrong(
                fields,
                "architectures",
                expected,
                other.unwrap_or("nothing"),
            ))
        }
    }
}

/// The answer texts in the order of the logits; the library's two defaults where the config has none.
fn labels(fields: &Fields) -> Result<Vec<String>, ConfigError> {
    let Some(value) = fields.get("id2label") else {
        return Ok(vec!["LABEL_0".to_owned(), "LABEL_1".to_owned()]);
    };
    let wrong = || {
        let expected = "texts under the numbers from 0 on".to_owned();
        wrong(fields, "id2label", expected, format!("{:.60}", value.to_string()))
    };
    let map = value
        .as_object()
        .filter(|map| !map.is_empty())
        .ok_or_else(wrong)?;
    (0..map.len())
        .map(|i| map.get(&i.to_string()).and_then(label).ok_or_else(wrong))
        .collect()
}

/// A label: a text, or a number or boolean that YAML or JSON made of one.
fn label(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        _ => None,
    }
}
