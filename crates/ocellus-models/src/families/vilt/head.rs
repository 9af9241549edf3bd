//! Heads over the last layer: answer classification, ranking, masked language modelling.

use candle_core::{D, Tensor};
use ocellus_nn::embeddings::MaskedWords;
use ocellus_nn::norm::NormLayer;
use ocellus_nn::ops::activation::activate;
use ocellus_nn::{Act, Linear, LoadError, Names, Norm, Params};

use super::config::{Config, HeadKind};
use crate::error::ModelError;

pub(super) enum Head {
    Answers(Answers),
    /// One score per pair, higher where text and picture match better.
    Rank(Linear),
    Words {
        words: MaskedWords,
        /// Matching logits (no match, match), where the checkpoint still has this head.
        matching: Option<Linear>,
    },
}

/// Answer classification over the pooler outputs of one or several pictures side by side.
pub(super) struct Answers {
    pictures: usize,
    first: Linear,
    norm: NormLayer,
    second: Linear,
}

/// The bias of the MLM head is stored with the matrix that is tied to the token embedding table.
const WORDS: Names = &[
    ("transform.dense.bias", "transform.dense.bias"),
    ("transform.LayerNorm.bias", "transform.LayerNorm.bias"),
    ("bias", "decoder.bias"),
];

impl Head {
    /// `words [vocab, width]` is the token embedding table.
    pub fn load(p: &Params, config: &Config, words: &Tensor) -> Result<Self, LoadError> {
        let width = config.block.width;
        Ok(match config.kind {
            HeadKind::Answers { pictures, widen } => {
                let (p, labels) = (p.at("classifier"), config.labels.len());
                let (outer, inner) = (pictures * width, widen * width);
                Self::Answers(Answers {
                    pictures,
                    first: Linear::load(&p.at(0), outer, inner, true)?,
                    // The reference uses the library's default epsilon here, whatever the config says.
                    norm: Norm::layer(1e-5).load(&p.at(1), inner)?,
                    second: Linear::load(&p.at(3), inner, labels, true)?,
                })
            }
            HeadKind::Rank => Self::Rank(Linear::load(&p.at("rank_output"), width, 1, true)?),
            HeadKind::Words => {
                let head = p.at("mlm_score");
                // Older files store the bias beside the matrix.
                let head = if head.contains("decoder.bias") || !head.contains("bias") {
                    head.named(WORDS)
                } else {
                    head
                };
                let matching = p.at("itm_score.fc");
                // Training from scratch: create everything that pretraining needs.
                let scratch = p.trainable() && !head.contains("transform.dense.weight");
                Self::Words {
                    words: MaskedWords::load(&head, words, config.act, config.block.norm)?,
                    matching: match scratch || matching.contains("weight") {
                        true => Some(Linear::load(&matching, width, 2, true)?),
                        false => None,
                    },
                }
            }
        })
    }

    /// Number of pictures per text.
    pub fn pictures(&self) -> usize {
        match self {
            Self::Answers(answers) => answers.pictures,
            _ => 1,
        }
    }

    /// Whether it can score image-text matching.
    pub fn matches(&self) -> bool {
        matches!(
            self,
            Self::Rank(_)
                | Self::Words {
                    matching: Some(_),
                    ..
                }
        )
    }

    /// The matching head, present beside the MLM head.
    pub fn matching(&self) -> Option<&Linear> {
        match self {
            Self::Words { matching, .. } => matching.as_ref(),
            _ => None,
        }
    }

    /// Logits of answers or ranks from pooler outputs, or of tokens from token states: `[rows, logits]`.
    pub fn scores(&self, x: &Tensor) -> Result<Tensor, ModelError> {
        Ok(match self {
            Self::Answers(a) => {
                let inner = a.norm.forward(&a.first.forward(x)?)?;
                a.second.forward(&activate(&inner, Act::Gelu)?)?
            }
            Self::Rank(rank) => rank.forward(x)?,
            Self::Words { words, .. } => words.forward(x)?,
        })
    }

    /// Probability of a match from pooler outputs `[pairs, width]`: the softmax over the two classes of the matching head, or the
    /// sigmoid of the rank, which was trained to order candidates.
    pub fn matched(&self, pooled: &Tensor) -> Result<Tensor, ModelError> {
        let odds = match self {
            Self::Words {
                matching: Some(matching),
                ..
            } => {
                let both = matching.forward(pooled)?;
                (both.narrow(1, 1, 1)? - both.narrow(1, 0, 1)?)?
            }
            _ => self.scores(pooled)?,
        };
        Ok(((odds.squeeze(D::Minus1)?.neg()?.exp()? + 1.0)?).recip()?)
    }
}
