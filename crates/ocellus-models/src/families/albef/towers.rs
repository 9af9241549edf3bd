//! The picture tower, the text tower and the fusion layers. The EMA teacher is a second instance.

use candle_core::Tensor;
use ocellus_nn::embeddings::{self, Embeddings, MaskedWords};
use ocellus_nn::encoder::Encoder;
use ocellus_nn::params::Names;
use ocellus_nn::tower::Tower;
use ocellus_nn::{Act, Linear, Mask, Params, Taps};

use super::super::packed::{self, paired, unit};
use super::config::Config;
use crate::dual_encoder::{DualEncoder, FusionEncoder};
use crate::error::ModelError;
use crate::packed_texts::PackedTexts;
use crate::states::States;
use crate::visual_input::{Texts, VisualInput};

const VISION: Names = &[
    ("patch", "patch_embed.proj"),
    ("class_token", "cls_token"),
    ("positions", "pos_embed"),
    ("layers", "blocks"),
    ("attn.o_proj", "attn.proj"),
    ("norm_after", "norm"),
];

/// Names of the layers of the text encoder and of the answer decoder.
pub(super) const TEXT: Names = &[
    ("embed_tokens", "embeddings.word_embeddings"),
    ("positions", "embeddings.position_embeddings"),
    ("embedding_norm", "embeddings.LayerNorm"),
    ("layers", "encoder.layer"),
    ("attn.q_proj", "attention.self.query"),
    ("attn.k_proj", "attention.self.key"),
    ("attn.v_proj", "attention.self.value"),
    ("attn.o_proj", "attention.output.dense"),
    ("norm1", "attention.output.LayerNorm"),
    ("cross.q_proj", "crossattention.self.query"),
    ("cross.k_proj", "crossattention.self.key"),
    ("cross.v_proj", "crossattention.self.value"),
    ("cross.o_proj", "crossattention.output.dense"),
    ("norm_cross", "crossattention.output.LayerNorm"),
    ("mlp.fc1", "intermediate.dense"),
    ("mlp.fc2", "output.dense"),
    ("norm2", "output.LayerNorm"),
];

pub(super) struct Towers {
    vision: Tower,
    embeddings: Embeddings,
    encoder: Encoder,
    /// Index of the first layer that attends to the picture.
    fusion: usize,
    vocab: usize,
    positions: usize,
    features: Option<(Linear, Linear)>,
    words: Option<MaskedWords>,
}

impl Towers {
    /// Rows and columns, in patches, of the picture size that the checkpoint was made for.
    pub(super) fn table(&self) -> (usize, usize) {
        self.vision.spec().positions.unwrap_or((24, 24))
    }

    /// Loads the parts whose names end in `copy` (the teacher's suffix, or nothing).
    pub(super) fn load(config: &Config, p: &Params, copy: &str) -> Result<Self, ModelError> {
        let part = |name: &str| p.at(format!("{name}{copy}"));
        let (text, scratch) = (part("text_encoder"), config.starts_empty(p));
        // A pretraining checkpoint keeps the encoder inside a model for masked language modelling.
        let masked = scratch || text.contains("bert.embeddings.word_embeddings.weight");
        let bert = if masked { text.at("bert") } else { text.clone() };
        let block = config.text.block;
        let embeddings = embeddings::Spec {
            vocab: config.vocab,
            width: block.width,
            positions: Some(config.positions),
            types: Some(config.types),
            norm: block.norm,
        };
        let embeddings = Embeddings::load(&bert.at("embeddings"), &embeddings)?;
        let features = || -> Result<_, ModelError> {
            let (width, vision) = (config.features()?, config.vision().encoder.block.width);
            Ok((
                Linear::load(&part("vision_proj"), vision, width, true)?,
                Linear::load(&part("text_proj"), block.width, width, true)?,
            ))
        };
        let words = || {
            MaskedWords::load(
                &text.at("cls.predictions"),
                &embeddings.words,
                Act::Gelu,
                block.norm,
            )
        };
        Ok(Self {
            vision: Tower::load(&part("visual_encoder").named(VISION), config.vision())?,
            encoder: Encoder::load(&bert.named(TEXT), &config.text)?,
            fusion: config.text.across.start,
            vocab: config.vocab,
            positions: config.positions,
            features: (scratch || part("vision_proj").contains("weight"))
                .then(features)
                .transpose()?,
            words: masked.then(words).transpose()?,
            embeddings,
        })
    }

    /// Whether there is an MLM head.
    pub(super) fn guesses(&self) -> bool {
        self.words.is_some()
    }

    /// Visual tokens of a picture with these rows and columns of patches.
    pub(super) fn tokens(&self, grid: (usize, usize)) -> usize {
        self.vision.tokens(grid)
    }

    /// Returns the texts unchanged after checking that every id and every position has a row in its table.
    pub(super) fn checked(&self, rows: PackedTexts) -> Result<PackedTexts, ModelError> {
        packed::checked(rows, self.vocab, self.positions)
    }

    /// Encodes pictures. Taps of [`Tower::forward`].
    pub(super) fn see(&self, visual: &VisualInput, taps: &mut Taps) -> Result<States, ModelError> {
        let (patches, grids) = packed::pictures(visual, self.vision.spec().patch)?;
        Ok(States {
            rows: self.vision.forward(patches, &grids, taps)?,
            lengths: grids.iter().map(|g| self.tokens(*g)).collect(),
        })
    }

    /// Runs the lower layers, which read text alone. Taps `text_embeds`, `text_hidden_N`.
    pub(super) fn read(&self, rows: &PackedTexts, taps: &mut Taps) -> Result<States, ModelError> {
        let columns: Vec<u32> = rows.columns().into_iter().map(|c| c as u32).collect();
        let x = self
            .embeddings
            .forward(&rows.ids, &columns, &vec![0; columns.len()])?;
        taps.tap("text_embeds", &rows.unpack(&x)?);
        let mut padded = |name: &str, x: &Tensor| {
            if let Ok(x) = rows.unpack(x) {
                taps.tap(name, &x);
            }
        };
        let (segments, taps) = (rows.segments(), &mut Taps::new(&mut padded));
        let mask = Mask::whole(&segments);
        let x = self
            .encoder
            .forward(&x, 0..self.fusion, &mask, None, None, ("text_hidden", taps))?;
        Ok(States {
            rows: x,
            lengths: rows.lengths.clone(),
        })
    }
}

impl DualEncoder for Towers {
    fn pictures(&self, visual: &VisualInput) -> Result<States, ModelError> {
        self.see(visual, &mut Taps::none())
    }

    fn texts(&self, texts: &Texts) -> Result<States, ModelError> {
        let rows = packed::texts(texts, self.vocab, self.positions)?;
        self.read(&rows, &mut Taps::none())
    }

    fn picture_features(&self, pictures: &States) -> Result<Tensor, ModelError> {
        let (vision, _) = self
            .features
            .as_ref()
            .ok_or_else(|| lacks("projections to features"))?;
        unit(&vision.forward(&pictures.firsts()?)?)
    }

    fn text_features(&self, texts: &States) -> Result<Tensor, ModelError> {
        let (_, text) = self
            .features
            .as_ref()
            .ok_or_else(|| lacks("projections to features"))?;
        unit(&text.forward(&texts.firsts()?)?)
    }
}

impl FusionEncoder for Towers {
    fn fuse(&self, texts: &States, pictures: &States) -> Result<States, ModelError> {
        paired(texts.lengths.len(), pictures.lengths.len())?;
        let (own, across) = (texts.segments(), texts.looking_at(pictures));
        let memory = (&pictures.rows, &Mask::whole(&across));
        let layers = self.fusion..self.encoder.len();
        let taps = &mut Taps::none();
        Ok(States {
            rows: self.encoder.forward(
                &texts.rows,
                layers,
                &Mask::whole(&own),
                None,
                Some(memory),
                ("fusion_hidden", taps),
            )?,
            lengths: texts.lengths.clone(),
        })
    }

    fn token_logits(&self, fused: &States) -> Result<Tensor, ModelError> {
        let head = self
            .words
            .as_ref()
            .ok_or_else(|| lacks("a head for masked words"))?;
        Ok(head.forward(&fused.rows)?)
    }
}

pub(super) fn lacks(what: &str) -> ModelError {
    ModelError::input("the checkpoint", what, "none")
}
