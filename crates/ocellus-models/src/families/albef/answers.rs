//! The answer decoder, which attends to the fused states of question and picture. It starts from the question's first token,
//! `[CLS]`, and ends with `[SEP]`. The original uses it to rank a list of known answers by their likelihood.

use candle_core::Tensor;
use ocellus_nn::attention::Batch;
use ocellus_nn::decoder::{self, Decoder, Head, Positions};
use ocellus_nn::embeddings::rows;
use ocellus_nn::{Act, Params, Taps, block};
use std::sync::Arc;

use super::super::packed::{self, paired};
use super::config::Config;
use super::towers::{TEXT, Towers};
use crate::dual_encoder::{DualEncoder, FusionEncoder};
use crate::embeddings::Embeddings;
use crate::error::ModelError;
use crate::facts::Facts;
use crate::reference::Given;
use crate::states::States;
use crate::visual_input::{Texts, VisualInput};
use crate::vlm::{PrefillInput, Prompt, Vlm, placeholders_match};
use ocellus_media::Grid;

pub(super) struct Answers {
    facts: Facts,
    towers: Arc<Towers>,
    decoder: Decoder,
    /// Row 0 of the token type table, `[1, width]`: every token of an answer has type 0.
    kind: Tensor,
}

impl Answers {
    /// `None` when the checkpoint has no decoder.
    pub(super) fn load(
        config: &Config,
        p: &Params,
        towers: &Arc<Towers>,
    ) -> Result<Option<Self>, ModelError> {
        let text = p.at("text_decoder");
        let bert = text.at("bert").named(TEXT);
        if !bert.contains("embed_tokens.weight") {
            return Ok(None);
        }
        let layer = |i: &usize| bert.at("layers").at(i).contains("norm2.weight");
        let block = config.text.block;
        let spec = decoder::Spec {
            vocab: config.vocab,
            // The original builds the decoder from the upper layers of the encoder; no file states how many there are, so they
            // are counted.
            layers: (0..config.text.layers).take_while(layer).count(),
            block: block::Spec {
                memory: Some(block.width),
                ..block
            },
            positions: Positions::Learned {
                rows: config.positions,
                offset: 0,
            },
            embedding_norm: Some(block.norm),
            final_norm: None,
            head: Head::Transformed {
                act: Act::Gelu,
                norm: block.norm,
            },
        };
        let kinds = text
            .at("bert.embeddings.token_type_embeddings")
            .tensor("weight", &[config.types, block.width])?;
        Ok(Some(Self {
            facts: config.facts(),
            towers: towers.clone(),
            decoder: Decoder::load(&bert, &text.at("cls.predictions"), spec)?,
            kind: rows(&kinds, &[0])?,
        }))
    }
}

impl Answers {
    /// Logits behind every token of the given answers (teacher forcing), where the decoder attends to the fused states of the
    /// questions.
    pub(super) fn trace(&self, fused: &States, given: &Given, taps: &mut Taps) -> Result<(), ModelError> {
        let rows = self
            .towers
            .checked(given.rows("answer_input_ids", "answer_attention_mask")?)?;
        paired(rows.lengths.len(), fused.lengths.len())?;
        let memory = self.decoder.cross_memory(&fused.rows, &fused.lengths)?;
        let batch = Batch::of(rows.lengths.clone()).across(Some(Arc::new(memory)));
        let places: Vec<[i64; 3]> = rows.counted().into_iter().map(|i| [i64::from(i); 3]).collect();
        let embeds = self.embed(&rows.ids, None, None, taps)?.rows;
        let hidden = self
            .decoder
            .forward(&embeds, &places, &batch, None, &mut Taps::none())?;
        taps.tap("answer_logits", &rows.unpack(&self.decoder.logits(&hidden)?)?);
        Ok(())
    }
}

impl Vlm for Answers {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    /// States of all tokens of the image tower, the class token first.
    fn encode(&self, patches: &Tensor, grids: &[Grid], taps: &mut Taps) -> Result<Embeddings, ModelError> {
        let visual = VisualInput::Pictures {
            patches: patches.clone(),
            grids: grids.to_vec(),
        };
        Ok(self.towers.see(&visual, taps)?.rows.into())
    }

    fn embed(
        &self,
        ids: &[u32],
        _images: Option<&Embeddings>,
        _videos: Option<&Embeddings>,
        taps: &mut Taps,
    ) -> Result<Embeddings, ModelError> {
        packed::known(ids, self.decoder.spec().vocab)?;
        let embeds = self.decoder.embed(ids)?.broadcast_add(&self.kind)?;
        taps.tap("inputs_embeds", &embeds);
        Ok(embeds.into())
    }

    fn visual_tokens(&self, grid: &Grid) -> usize {
        self.towers.tokens((grid.h, grid.w))
    }

    fn prefill_input(
        &self,
        prompts: &[Prompt],
        images: Option<&Embeddings>,
        _videos: Option<&Embeddings>,
        taps: &mut Taps,
    ) -> Result<PrefillInput, ModelError> {
        let one = |prompt: &Prompt| match &prompt.visions[..] {
            [vision] if vision.video_seconds.is_none() => {
                Ok(self.towers.tokens((vision.grid.h, vision.grid.w)))
            }
            visions => Err(ModelError::input("a question", "one picture", visions.len())),
        };
        let pictures = States {
            lengths: prompts.iter().map(one).collect::<Result<_, _>>()?,
            rows: images
                .map(|e| e.rows.clone())
                .ok_or_else(|| ModelError::input("the input", "pictures", "none"))?,
        };
        let (wanted, found) = (pictures.lengths.iter().sum(), pictures.rows.dim(0)?);
        placeholders_match("image", wanted, found)?;
        let questions: Vec<&[u32]> = prompts.iter().map(|p| p.ids).collect();
        let asked = self.towers.texts(&questions as &Texts)?;
        let fused = self.towers.fuse(&asked, &pictures)?;
        let memory = self.decoder.cross_memory(&fused.rows, &fused.lengths)?;
        let starts: Vec<Vec<u32>> = questions.iter().map(|q| vec![q[0]]).collect();
        let embeds = self.embed(&starts.concat(), None, None, taps)?.rows;
        Ok(PrefillInput::counted(starts, embeds, Some(memory)))
    }
}
