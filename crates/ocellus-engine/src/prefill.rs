//! Requests are read: pictures encoded, prompts in one packed pass; and what every further turn needs.

use candle_core::Tensor;
use ocellus_base::trace::span;
use ocellus_models::{Grid, ModelError, Prompt, Vision, Vlm};
use ocellus_nn::attention::{Batch, Memory};
use ocellus_nn::{Cache, Taps};
use std::sync::Arc;

use crate::request::{EngineError, Picture, Request};

/// Fails when a request cannot be served.
pub(crate) fn check(model: &dyn Vlm, requests: &[Request]) -> Result<(), EngineError> {
    let limit = model.facts().max_positions;
    for r in requests {
        if r.ids.is_empty() {
            return Err(EngineError::Empty);
        }
        if r.ids.len().saturating_add(r.max_tokens) > limit {
            return Err(EngineError::Context {
                prompt: r.ids.len(),
                wanted: r.max_tokens,
                limit,
            });
        }
        r.sampling.check()?;
    }
    Ok(())
}

/// Cells of all pictures and of all videos.
#[derive(Default)]
pub(crate) struct Cells {
    images: Option<Tensor>,
    videos: Option<Tensor>,
}

impl Cells {
    pub fn of(model: &dyn Vlm, requests: &[Request]) -> Result<Self, EngineError> {
        let pictures = || requests.iter().flat_map(|r| &r.pictures);
        Ok(Self {
            images: encode(model, pictures().filter(|p| p.video_seconds.is_none()))?,
            videos: encode(model, pictures().filter(|p| p.video_seconds.is_some()))?,
        })
    }
}

/// All pictures of one kind in one packed pass; `None` when there are none.
fn encode<'p>(
    model: &dyn Vlm,
    pictures: impl Iterator<Item = &'p Picture>,
) -> Result<Option<Tensor>, EngineError> {
    let (features, merge) = (model.facts().patch_features, model.facts().merge);
    let (mut patches, mut grids): (Vec<f32>, Vec<Grid>) = (Vec::new(), Vec::new());
    for picture in pictures {
        let Grid { t, h, w } = picture.grid;
        // The sums of all pictures may agree where two of them do not.
        if picture.patches.len() != t * h * w * features {
            return Err(EngineError::Model(ModelError::Grid {
                t,
                h,
                w,
                merge,
                patches: picture.patches.len() / features,
            }));
        }
        patches.extend_from_slice(&picture.patches);
        grids.push(picture.grid);
    }
    if grids.is_empty() {
        return Ok(None);
    }
    let decoder = model.decoder();
    let rows = patches.len() / features;
    let patches = Tensor::from_vec(patches, (rows, features), decoder.device())?.to_dtype(decoder.dtype())?;
    let _span = span("tower");
    Ok(Some(model.encode(&patches, &grids, &mut Taps::none())?))
}

/// Requests that were read.
pub(crate) struct Prefilled {
    /// What the decoder has read of each request.
    pub ids: Vec<Vec<u32>>,
    /// Where the first generated token of each stands.
    pub next: Vec<[i64; 3]>,
    /// `[requests, vocab]`.
    pub logits: Tensor,
}

/// A decoder in the middle of its work.
pub(crate) struct Turns<'m> {
    model: &'m dyn Vlm,
    stride: [i64; 3],
    memory: Option<Arc<Memory>>,
    pub cache: Cache,
}

impl<'m> Turns<'m> {
    /// Reads every prompt into the first of its `slots`; request `i` owns the slots from `i · slots`.
    pub fn start(
        model: &'m dyn Vlm,
        requests: &[Request],
        cells: &Cells,
        slots: usize,
    ) -> Result<(Self, Prefilled), EngineError> {
        let _span = span("prefill");
        let vision = |p: &Picture| Vision {
            grid: p.grid,
            video_seconds: p.video_seconds,
        };
        let prompt = |r| {
            let Request {
                ids, pictures, rule, ..
            }: &Request = r;
            Prompt {
                offset: 0,
                ids,
                visions: pictures.iter().map(vision).collect(),
                rule: *rule,
            }
        };
        let prompts: Vec<Prompt> = requests.iter().map(prompt).collect();
        let (images, videos) = (cells.images.as_ref(), cells.videos.as_ref());
        let opening = within("embed", || {
            model.open(&prompts, images, videos, &mut Taps::none())
        })?;
        let lengths = opening.lengths();
        let rooms = lengths.iter().zip(requests).map(|(n, r)| n + r.max_tokens);
        let mut cache = model.cache(requests.len() * slots, rooms.max().unwrap_or(0))?;
        let last = lengths.iter().scan(0, |end, n| {
            *end += *n as u32;
            Some(*end - 1)
        });
        let last = Tensor::from_iter(last, opening.embeds.device())?;
        let owners: Vec<usize> = (0..requests.len() * slots).map(|slot| slot / slots).collect();
        let memory = opening.memory.map(|m| Arc::new(m.for_slots(&owners)));
        let batch = Batch {
            slots: (0..requests.len()).map(|i| i * slots).collect(),
            lengths,
            memory: memory.clone(),
        };
        let hidden = model.forward(
            &opening.embeds,
            &opening.positions,
            &batch,
            Some(&mut cache),
            &mut Taps::none(),
        )?;
        let ends = hidden.index_select(&last, 0)?;
        let prefilled = Prefilled {
            logits: within("head", || model.logits(&ends))?,
            ids: opening.ids,
            next: opening.next,
        };
        let turns = Self {
            model,
            stride: opening.stride,
            memory,
            cache,
        };
        Ok((turns, prefilled))
    }

    /// The place behind `at`.
    pub fn after(&self, at: [i64; 3]) -> [i64; 3] {
        [0, 1, 2].map(|axis| at[axis] + self.stride[axis])
    }

    /// Further tokens of sequences: `lengths[i]` of them, packed in `ids` and `positions`, into `slots[i]` → logits behind each
    /// token, `[tokens, vocab]`.
    pub fn turn(
        &mut self,
        ids: &[u32],
        positions: &[[i64; 3]],
        (lengths, slots): (Vec<usize>, Vec<usize>),
    ) -> Result<Tensor, EngineError> {
        let _span = span("decode");
        let batch = Batch {
            lengths,
            slots,
            memory: self.memory.clone(),
        };
        let (model, mut taps) = (self.model, Taps::none());
        let embeds = within("embed", || model.embed(ids, None, None, &mut taps))?;
        let hidden = model.forward(&embeds, positions, &batch, Some(&mut self.cache), &mut taps)?;
        Ok(within("head", || model.logits(&hidden))?)
    }
}

/// A part of the work as a span of its own.
fn within<R>(name: &'static str, work: impl FnOnce() -> R) -> R {
    let _span = span(name);
    work()
}

/// Rows of scores, `[rows, vocab]`, in f32.
pub(crate) fn rows(logits: &Tensor) -> Result<Vec<Vec<f32>>, EngineError> {
    Ok(logits.to_dtype(candle_core::DType::F32)?.to_vec2()?)
}
