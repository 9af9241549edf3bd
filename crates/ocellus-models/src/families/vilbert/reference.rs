//! Replays the reference's calls: padded texts and regions, all taps, the heads, and the pretraining losses.

use candle_core::Tensor;
use ocellus_nn::Taps;
use ocellus_nn::losses::divergence::kl_divergence;
use ocellus_nn::losses::squared_error::squared_error;
use ocellus_nn::ops::loss::cross_entropy;

use super::config::Target;
use super::{PLACE, Seen, Streams, Vilbert};
use crate::error::ModelError;
use crate::families::regions::{TypedTexts, only, packed, pick, targets};
use crate::packed_texts::PackedTexts;
use crate::reference::{Given, Trace};

impl Trace for Vilbert {
    fn trace(&self, given: &Given, taps: &mut Taps) -> Result<(), ModelError> {
        let text = given.rows("input_ids", "attention_mask")?;
        let shape = given.tensor("image_feat", 3)?.dims3()?;
        let image = region_rows(given, shape.0, shape.1)?;
        let words = TypedTexts {
            ids: text.ids.clone(),
            positions: text.columns().iter().map(|c| *c as u32).collect(),
            types: match given.has("token_type_ids") {
                true => given.packed("token_type_ids", &text)?,
                false => vec![0; text.ids.len()],
            },
            lengths: text.lengths.clone(),
        };
        let seen = Seen {
            features: packed(given, "image_feat", &image, self.config.features)?,
            places: packed(given, "image_loc", &image, PLACE)?,
            lengths: image.lengths.clone(),
        };
        let task = self.task(given)?;
        let tokens = if self.tasks.is_some() {
            longer(&text)
        } else {
            text.clone()
        };

        let mut failed = None;
        let mut padded = |name: &str, x: &Tensor| {
            let unpacked = match side(name) {
                Some(Side::Text) => tokens.unpack(x),
                Some(Side::Image) => image.unpack(x),
                None => Ok(x.clone()),
            };
            match unpacked {
                Ok(x) => taps.tap(name, &x),
                Err(e) => failed = Some(e),
            }
        };
        let mut inner = Taps::new(&mut padded);
        let streams = self.streams(&words, &task, &seen, &mut inner)?;
        self.heads(&streams, &mut inner)?;
        if given.has("masked_lm_labels") {
            self.losses(given, (&text, &image), &streams, &mut inner)?;
        }
        failed.map_or(Ok(()), Err)
    }
}

impl Vilbert {
    fn task(&self, given: &Given) -> Result<Vec<u32>, ModelError> {
        if self.tasks.is_none() {
            return Ok(Vec::new());
        }
        let (_, values) = given.integers("task_ids", 2)?;
        let number = |v: &i64| {
            u32::try_from(*v).map_err(|_| ModelError::input("input `task_ids`", "no negative numbers", v))
        };
        values.iter().map(number).collect()
    }

    fn heads(&self, streams: &Streams, taps: &mut Taps) -> Result<(), ModelError> {
        taps.tap("mlm_logits", &self.masked_words.forward(&streams.text)?);
        let regions = self.masked_regions.forward(&streams.image)?;
        let Some(heads) = &self.heads else {
            taps.tap("region_logits", &regions);
            taps.tap("itm_logits", &self.matching.forward(&streams.fused)?);
            return Ok(());
        };
        taps.tap("region_class_logits", &regions);
        let fused = &streams.fused;
        taps.tap("vqa_logits", &heads.vqa.forward(fused)?);
        taps.tap("gqa_logits", &heads.gqa.forward(fused)?);
        taps.tap("retrieval_logit", &heads.alignment.forward(fused)?);
        taps.tap("entailment_logits", &heads.entailment.forward(fused)?);
        let (rows, width) = fused.dims2()?;
        if rows % 2 == 0 {
            // Two consecutive rows are the two pictures of one statement.
            let pairs = fused.reshape((rows / 2, 2 * width))?;
            taps.tap("nlvr2_logits", &heads.pairs.forward(&pairs)?);
        }
        taps.tap("grounding_logits", &heads.region.forward(&streams.image)?);
        taps.tap("token_logit", &heads.word.forward(&streams.text)?);
        Ok(())
    }

    fn losses(
        &self,
        given: &Given,
        (text, image): (&PackedTexts, &PackedTexts),
        streams: &Streams,
        taps: &mut Taps,
    ) -> Result<(), ModelError> {
        let mean = |logits: &Tensor, wanted: Vec<u32>| {
            let (rows, wanted) = only(&wanted);
            let count = rows.len().max(1) as f64;
            Ok::<_, ModelError>((cross_entropy(&pick(logits, &rows)?, &wanted.into())? / count)?)
        };
        let words = self.masked_words.forward(&streams.text)?;
        taps.tap(
            "loss_mlm",
            &mean(&words, targets(given, "masked_lm_labels", text)?)?,
        );

        if self.config.target != Target::Contrast {
            let (regions, wanted) = masked(given, image)?;
            let guessed = self.masked_regions.forward(&pick(&streams.image, &regions)?)?;
            let (each, count) = match self.config.target {
                Target::Classes => (kl_divergence(&guessed, &wanted)?, regions.len()),
                _ => (squared_error(&guessed, &wanted)?, guessed.elem_count()),
            };
            taps.tap("loss_region", &(each.sum_all()? / count.max(1) as f64)?);
        }

        let (_, labels) = given.integers("next_sentence_label", 1)?;
        let labels = labels.iter().map(|l| u32::from(*l != 0)).collect();
        taps.tap(
            "loss_itm",
            &mean(&self.matching.forward(&streams.fused)?, labels)?,
        );
        Ok(())
    }
}

enum Side {
    Text,
    Image,
}

/// The stream that a tap belongs to, if the tap has a row for every token or region.
fn side(name: &str) -> Option<Side> {
    match name {
        "text_embeds" | "hidden_last_text" | "mlm_logits" | "token_logit" => Some(Side::Text),
        "region_embeds"
        | "hidden_last_image"
        | "region_logits"
        | "region_class_logits"
        | "grounding_logits" => Some(Side::Image),
        _ if name.starts_with("text_layer_") => Some(Side::Text),
        _ if name.starts_with("image_layer_") => Some(Side::Image),
        _ if name.starts_with("co_") && name.ends_with("_text") => Some(Side::Text),
        _ if name.starts_with("co_") && name.ends_with("_image") => Some(Side::Image),
        _ => None,
    }
}

fn region_rows(given: &Given, batch: usize, length: usize) -> Result<PackedTexts, ModelError> {
    let name = "image_attention_mask";
    if !given.has(name) {
        return Ok(PackedTexts::from_mask(length, &vec![1; batch * length]));
    }
    let (shape, mask) = given.integers(name, 2)?;
    if shape != [batch, length] {
        let expected = format!("[{batch}, {length}]");
        return Err(ModelError::input(
            format!("input `{name}`"),
            expected,
            format!("{shape:?}"),
        ));
    }
    Ok(PackedTexts::from_mask(length, mask))
}

/// The rows with one position inserted behind the first (the task token).
fn longer(rows: &PackedTexts) -> PackedTexts {
    let length = rows.length + 1;
    let mut mask = vec![0; rows.lengths.len() * length];
    for place in &rows.places {
        let (row, column) = (place / rows.length, place % rows.length);
        mask[row * length + if column == 0 { 0 } else { column + 1 }] = 1;
    }
    (0..rows.lengths.len()).for_each(|row| mask[row * length + 1] = 1);
    PackedTexts::from_mask(length, &mask)
}

/// Row indices of the masked regions, and their targets `[masked, width]`. The arguments do not include region 0.
fn masked(given: &Given, image: &PackedTexts) -> Result<(Vec<u32>, Tensor), ModelError> {
    let (shape, labels) = given.integers("image_label", 2)?;
    let wanted = given.tensor("image_target", 3)?;
    let columns = image.length.saturating_sub(1);
    if shape != [image.lengths.len(), columns] || wanted.dims()[..2] != shape[..] {
        let expected = format!("[{}, {columns}], like input `image_target`", image.lengths.len());
        return Err(ModelError::input(
            "input `image_label`",
            expected,
            format!("{shape:?}"),
        ));
    }
    let (mut packed, mut padded) = (Vec::new(), Vec::new());
    for (i, place) in (0u32..).zip(&image.places) {
        let (row, column) = (place / image.length, place % image.length);
        if column > 0 && labels[row * columns + column - 1] == 1 {
            packed.push(i);
            padded.push((row * columns + column - 1) as u32);
        }
    }
    Ok((packed, pick(&wanted.flatten(0, 1)?, &padded)?))
}
