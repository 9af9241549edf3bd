//! Replays the reference's calls: padded texts and padded regions, combined by `gather_index`; all taps, the heads that the
//! arguments select, and their losses.

use candle_core::{DType, Tensor};
use ocellus_nn::Taps;
use ocellus_nn::losses::divergence::kl_divergence;
use ocellus_nn::losses::likelihood::negative_log_likelihood;
use ocellus_nn::losses::region_class::foreground_classes;
use ocellus_nn::losses::squared_error::squared_error;

use super::{GEOMETRY, Joint, Seen, Uniter};
use crate::error::ModelError;
use crate::families::regions::{TypedTexts, only, packed, pick, targets};
use crate::packed_texts::PackedTexts;
use crate::reference::{Given, Trace};

impl Trace for Uniter {
    fn trace(&self, given: &Given, taps: &mut Taps) -> Result<(), ModelError> {
        let padded = Padded::of(given)?;
        let (text, image) = (&padded.text, &padded.image);
        let words = TypedTexts {
            ids: given.packed("input_ids", text)?,
            positions: positions(given, text)?,
            types: vec![0; text.places.len()],
            lengths: text.lengths.clone(),
        };
        let hidden = match given.has("img_masks") {
            true => given
                .packed("img_masks", image)?
                .iter()
                .map(|m| *m != 0)
                .collect(),
            false => vec![false; image.places.len()],
        };
        let seen = Seen {
            features: packed(given, "img_feat", image, self.config.features)?,
            geometry: packed(given, "img_pos_feat", image, GEOMETRY)?,
            hidden,
            lengths: image.lengths.clone(),
        };

        let mut failed = None;
        let mut unpack = |name: &str, x: &Tensor| {
            let rows = match name {
                "text_embeds" => text,
                "region_embeds" => image,
                _ => &padded.both,
            };
            match rows.unpack(x) {
                Ok(x) => taps.tap(name, &x),
                Err(e) => failed = Some(e),
            }
        };
        let joint = self.join(&words, &seen, &mut Taps::new(&mut unpack))?;
        if let Some(error) = failed {
            return Err(error);
        }
        if given.has("txt_labels") {
            self.masked_words(given, text, &joint, taps)?;
        }
        if seen.hidden.contains(&true) {
            self.masked_regions(given, &seen, &joint, taps)?;
        }
        if given.has("targets") {
            match &self.questions {
                Some(_) => self.question(given, &joint, taps)?,
                None => self.match_pairs(given, text, &joint, taps)?,
            }
        }
        Ok(())
    }
}

impl Uniter {
    fn masked_words(
        &self,
        given: &Given,
        text: &PackedTexts,
        joint: &Joint,
        taps: &mut Taps,
    ) -> Result<(), ModelError> {
        let (at, wanted) = only(&targets(given, "txt_labels", text)?);
        let states = pick(&pick(&joint.states, &joint.words)?, &at)?;
        let logits = self.heads()?.words.forward(&states)?;
        taps.tap("mlm_logits", &logits);
        taps.tap("loss_mlm", &negative_log_likelihood(&logits, &wanted)?);
        Ok(())
    }

    fn masked_regions(
        &self,
        given: &Given,
        seen: &Seen,
        joint: &Joint,
        taps: &mut Taps,
    ) -> Result<(), ModelError> {
        let hidden = seen.hidden.iter().zip(&joint.regions);
        let at: Vec<u32> = hidden.filter(|(hidden, _)| **hidden).map(|(_, at)| *at).collect();
        let (heads, states) = (self.heads()?, pick(&joint.states, &at)?);
        let fits = |name: &str, guessed: &Tensor| {
            let wanted = given.tensor(name, 2)?;
            match wanted.dims() == guessed.dims() {
                true => Ok(wanted),
                false => Err(ModelError::input(
                    format!("input `{name}`"),
                    format!("{:?}", guessed.dims()),
                    format!("{:?}", wanted.dims()),
                )),
            }
        };
        let features = heads.regressed(&states)?;
        taps.tap("mrfr", &features);
        taps.tap(
            "loss_mrfr",
            &squared_error(&features, &fits("feat_targets", &features)?)?,
        );
        let logits = heads.classes.forward(&states)?;
        taps.tap("mrc_logits", &logits);
        let soft = fits("label_targets", &logits)?;
        let hard = foreground_classes(&soft.flatten_all()?.to_vec1()?, self.config.classes);
        taps.tap("loss_mrc", &negative_log_likelihood(&logits, &hard)?);
        taps.tap("loss_mrc_kl", &kl_divergence(&logits, &soft)?);
        Ok(())
    }

    fn match_pairs(
        &self,
        given: &Given,
        text: &PackedTexts,
        joint: &Joint,
        taps: &mut Taps,
    ) -> Result<(), ModelError> {
        let logits = self.heads()?.matching.forward(&self.pooled(joint)?)?;
        taps.tap("itm_logits", &logits);
        let (_, wanted) = given.integers("targets", 1)?;
        let wanted: Vec<u32> = wanted.iter().map(|t| u32::from(*t != 0)).collect();
        if given.has("ot_scatter") {
            let distances = joint.transports(&text.lengths)?;
            for (name, class) in [("ot_dist_positive", 1), ("ot_dist_negative", 0)] {
                let own = distances.iter().zip(&wanted).filter(|(_, t)| **t == class);
                let own: Vec<f32> = own
                    .map(|((_, d), _)| d.to_scalar::<f32>())
                    .collect::<Result<_, _>>()?;
                let count = own.len();
                taps.tap(name, &Tensor::from_vec(own, count, joint.states.device())?);
            }
        }
        taps.tap("loss_itm", &negative_log_likelihood(&logits, &wanted)?);
        Ok(())
    }

    fn question(&self, given: &Given, joint: &Joint, taps: &mut Taps) -> Result<(), ModelError> {
        let Some(head) = &self.questions else {
            return Ok(());
        };
        let logits = head.forward(&self.pooled(joint)?)?;
        taps.tap("answer_logits", &logits);
        taps.tap("loss_vqa", &binary(&logits, &given.tensor("targets", 2)?)?);
        Ok(())
    }
}

/// Element-wise binary cross-entropy with soft targets in [0, 1].
fn binary(logits: &Tensor, targets: &Tensor) -> Result<Tensor, ModelError> {
    let logits = logits.to_dtype(DType::F32)?;
    let softplus = (logits.abs()?.neg()?.exp()? + 1.0)?.log()?;
    Ok(((logits.relu()? - (logits * targets)?)? + softplus)?)
}

/// Real positions of the padded arrays.
struct Padded {
    text: PackedTexts,
    image: PackedTexts,
    both: PackedTexts,
}

impl Padded {
    /// From `attn_masks` over the combined sequences, and `gather_index` into text positions followed by regions.
    fn of(given: &Given) -> Result<Self, ModelError> {
        let ([rows, words], _) = given.integers("input_ids", 2)? else {
            return Err(ModelError::input("input `input_ids`", "two axes", "others"));
        };
        let regions = given.tensor("img_feat", 3)?.dim(1)?;
        let (shape, mask) = given.integers("attn_masks", 2)?;
        let (gather_shape, gather) = given.integers("gather_index", 2)?;
        if shape != gather_shape || shape[0] != *rows {
            let expected = format!("{shape:?} like `attn_masks`, {rows} rows");
            return Err(ModelError::input(
                "input `gather_index`",
                expected,
                format!("{gather_shape:?}"),
            ));
        }
        let (mut text, mut image) = (vec![0; rows * words], vec![0; rows * regions]);
        for row in 0..*rows {
            let places = row * shape[1]..(row + 1) * shape[1];
            let real = places.filter(|p| mask[*p] != 0).map(|p| gather[p]);
            let mut before = -1;
            for place in real {
                let limit = (words + regions) as i64;
                if place <= before || place >= limit {
                    let expected = format!("rising places under {limit} in row {row}");
                    return Err(ModelError::input("input `gather_index`", expected, place));
                }
                before = place;
                match (place as usize).checked_sub(*words) {
                    Some(region) => image[row * regions + region] = 1,
                    None => text[row * words + place as usize] = 1,
                }
            }
        }
        Ok(Self {
            text: PackedTexts::from_mask(*words, &text),
            image: PackedTexts::from_mask(regions, &image),
            both: PackedTexts::from_mask(shape[1], mask),
        })
    }
}

/// `position_ids`, one row for all texts or one row each; column numbers where the argument is absent.
fn positions(given: &Given, text: &PackedTexts) -> Result<Vec<u32>, ModelError> {
    let name = "position_ids";
    if !given.has(name) {
        return Ok(text.columns().iter().map(|c| *c as u32).collect());
    }
    match given.integers(name, 2)? {
        ([1, length], values) if *length == text.length => {
            let position = |c: &usize| {
                u32::try_from(values[*c])
                    .map_err(|_| ModelError::input("input `position_ids`", "no negative numbers", values[*c]))
            };
            text.columns().iter().map(position).collect()
        }
        _ => given.packed(name, text),
    }
}
