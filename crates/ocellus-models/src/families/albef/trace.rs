//! Replays the reference forward pass, tap by tap.

use candle_core::Tensor;
use ocellus_media::Grid;
use ocellus_nn::Taps;

use super::model::Albef;
use crate::dual_encoder::{DualEncoder, FusionEncoder};
use crate::error::ModelError;
use crate::families::packed::{self, paired, split};
use crate::packed_texts::PackedTexts;
use crate::reference::{Given, ReferencePrompt, Trace};
use crate::visual_input::VisualInput;

impl Trace for Albef {
    fn trace(&self, given: &Given, taps: &mut Taps) -> Result<(), ModelError> {
        let (visual, rows) = self.given(given)?;
        let count = rows.lengths.len();
        let mut whole = |name: &str, x: &Tensor| {
            // All pictures of a reference batch have one size.
            if let Ok(x) = split(x, count) {
                taps.tap(name, &x);
            }
        };
        let pictures = self.towers.see(&visual, &mut Taps::new(&mut whole))?;
        whole("vision_out", &pictures.rows);
        paired(count, pictures.lengths.len())?;
        let texts = self.towers.read(&rows, taps)?;
        taps.tap("text_out", &rows.unpack(&texts.rows)?);
        if let Some(contrast) = &self.contrast {
            let features = (
                self.towers.picture_features(&pictures)?,
                self.towers.text_features(&texts)?,
            );
            taps.tap("image_feat", &features.0);
            taps.tap("text_feat", &features.1);
            let cosines = features.0.matmul(&features.1.t()?)?;
            taps.tap("sim_i2t", &cosines.broadcast_div(&contrast.temperature)?);
        }
        let fused = self.towers.fuse(&texts, &pictures)?;
        taps.tap("fusion_out", &rows.unpack(&fused.rows)?);
        if self.contrast.is_some() {
            taps.tap("itm_logits", &self.matching_logits(&fused)?);
        }
        if let Some(answers) = self.answers.as_ref().filter(|_| given.has("answer_input_ids")) {
            answers.trace(&fused, given, taps)?;
        }
        if self.towers.guesses() && given.has("mlm_input_ids") {
            let rows = self
                .towers
                .checked(given.rows("mlm_input_ids", "attention_mask")?)?;
            let texts = self.towers.read(&rows, &mut Taps::none())?;
            let words = self.towers.token_logits(&self.towers.fuse(&texts, &pictures)?)?;
            taps.tap("mlm_logits", &rows.unpack(&words)?);
        }
        Ok(())
    }

    fn prompts(&self, given: &Given) -> Result<Vec<ReferencePrompt>, ModelError> {
        let (visual, rows) = self.given(given)?;
        let (patches, grids) = visual.pictures()?;
        paired(rows.lengths.len(), grids.len())?;
        let mut first = 0;
        let ask = |(ids, grid): (Vec<u32>, &Grid)| {
            let picture = patches.narrow(0, first, grid.h * grid.w)?;
            first += grid.h * grid.w;
            Ok(ReferencePrompt {
                offset: 0,
                ids,
                pictures: vec![(picture, *grid)],
            })
        };
        rows.split().into_iter().zip(grids).map(ask).collect()
    }
}

impl Albef {
    /// The pictures and texts among the reference's arguments.
    fn given(&self, given: &Given) -> Result<(VisualInput, PackedTexts), ModelError> {
        let rows = self.towers.checked(given.rows("input_ids", "attention_mask")?)?;
        Ok((packed::visual(given, "image", self.facts.patch_size)?, rows))
    }
}
