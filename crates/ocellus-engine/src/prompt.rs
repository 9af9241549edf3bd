//! A prompt as the decoder reads it, with its pictures encoded.

use candle_core::Tensor;
use ocellus_base::trace::span;
use ocellus_models::{Embeddings, Grid, ModelError, Prompt, Slot, VisualSpan, Vlm};
use ocellus_nn::{BLOCK, CrossSpan, Taps};

use crate::error::EngineError;
use crate::prefix_cache::{BlockKey, Cacheable, key};
use crate::request::{Picture, PictureKey, Request};

/// Fails when a request cannot be served.
pub(crate) fn check(model: &dyn Vlm, request: &Request) -> Result<(), EngineError> {
    let limit = model.facts().max_positions;
    if request.ids.is_empty() {
        return Err(EngineError::Empty);
    }
    if request.ids.len().saturating_add(request.max_tokens) > limit {
        return Err(EngineError::Context {
            prompt: request.ids.len(),
            wanted: request.max_tokens,
            limit,
        });
    }
    request.sampling.check()
}

/// The visual tokens of pictures of one kind, all of them in one packed pass.
pub(crate) fn encode(model: &dyn Vlm, pictures: &[&Picture]) -> Result<Vec<Embeddings>, EngineError> {
    let (features, merge) = (model.facts().patch_features, model.facts().merge);
    for picture in pictures {
        let Grid { t, h, w } = picture.grid;
        // The sums of all pictures may agree where two of them do not.
        if picture.patches.elem_count() != t * h * w * features {
            return Err(EngineError::Model(ModelError::Grid {
                t,
                h,
                w,
                merge,
                patches: picture.patches.elem_count() / features,
            }));
        }
    }
    if pictures.is_empty() {
        return Ok(Vec::new());
    }
    let decoder = model.decoder();
    let ready = |p: &&Picture| {
        let rows = p.patches.elem_count() / features;
        p.patches
            .reshape((rows, features))?
            .to_device(decoder.device())?
            .to_dtype(decoder.dtype())
    };
    let patches: Vec<Tensor> = pictures.iter().map(ready).collect::<Result<_, _>>()?;
    let grids: Vec<Grid> = pictures.iter().map(|p| p.grid).collect();
    let _span = span("tower");
    let patches = match &patches[..] {
        [only] => only.clone(),
        all => Tensor::cat(all, 0)?,
    };
    let all = model.encode(&patches, &grids, &mut Taps::none())?;
    let (mut first, mut each) = (0, Vec::with_capacity(grids.len()));
    if let [_] = grids[..] {
        return Ok(vec![all]);
    }
    for grid in &grids {
        let count = model.visual_tokens(grid);
        each.push(all.narrow(first, count)?);
        first += count;
    }
    Ok(each)
}

/// What the decoder reads of a request before it generates.
pub(crate) struct Input {
    pub ids: Vec<u32>,
    pub embeds: Embeddings,
    pub positions: Vec<[i64; 3]>,
    /// Where the first generated token stands, and what every further one adds to that.
    next: [i64; 3],
    stride: [i64; 3],
    pub cross: Option<CrossSpan>,
}

impl Input {
    /// `pictures` are the visual tokens of the request's pictures and videos, in their order.
    pub fn new(model: &dyn Vlm, request: &Request, pictures: &[Embeddings]) -> Result<Self, EngineError> {
        let _span = span("embed");
        let of_kind = |video: bool| {
            let own = request.pictures.iter().zip(pictures);
            let own: Vec<Embeddings> = own
                .filter(|(p, _)| p.video_seconds.is_some() == video)
                .map(|(_, tokens)| tokens.clone())
                .collect();
            (!own.is_empty()).then(|| Embeddings::cat(&own)).transpose()
        };
        let prompt = Prompt {
            ids: &request.ids,
            visions: visions(request),
            rule: request.rule,
        };
        let (images, videos) = (of_kind(false)?, of_kind(true)?);
        let mut input =
            model.prefill_input(&[prompt], images.as_ref(), videos.as_ref(), &mut Taps::none())?;
        Ok(Self {
            ids: input.ids.swap_remove(0),
            embeds: input.embeds,
            positions: input.positions,
            next: input.next[0],
            stride: input.stride,
            cross: input.cross.and_then(|memory| memory.spans().pop()),
        })
    }

    /// Where generated token number `i` stands.
    pub fn place(&self, i: usize) -> [i64; 3] {
        [0, 1, 2].map(|axis| self.next[axis] + self.stride[axis] * i as i64)
    }

    /// The tokens as far as keys and values depend on them, up to the first that cannot be kept for others; nothing where a model's
    /// keys and values depend on more than the tokens before.
    pub fn cacheable(&self, model: &dyn Vlm, request: &Request) -> Vec<Cacheable> {
        if !model.prefixes_agree() || self.cross.is_some() || self.ids != request.ids {
            return Vec::new();
        }
        let keys = |video: bool| {
            let own = request
                .pictures
                .iter()
                .filter(move |p| p.video_seconds.is_some() == video);
            own.flat_map(|p| std::iter::repeat_n(p.key, model.visual_tokens(&p.grid)))
        };
        let (mut images, mut videos) = (keys(false), keys(true));
        let slots = model.slots(&self.ids);
        let mut tokens = Vec::with_capacity(slots.len());
        for ((id, position), slot) in self.ids.iter().zip(&self.positions).zip(slots) {
            let picture: Option<Option<PictureKey>> = match slot {
                Slot::Text => None,
                Slot::Image => Some(images.next().flatten()),
                Slot::Video => Some(videos.next().flatten()),
            };
            if picture == Some(None) {
                break;
            }
            tokens.push(Cacheable {
                id: *id,
                position: *position,
                picture: picture.flatten(),
            });
        }
        tokens
    }
}

fn visions(request: &Request) -> Vec<VisualSpan> {
    let vision = |p: &Picture| VisualSpan {
        grid: p.grid,
        video_seconds: p.video_seconds,
    };
    request.pictures.iter().map(vision).collect()
}

/// Appends the keys of blocks that `tokens` fill and that have none yet.
pub(crate) fn extend_keys(keys: &mut Vec<BlockKey>, tokens: &[Cacheable]) {
    for block in tokens.chunks_exact(BLOCK).skip(keys.len()) {
        let key = key(keys.last(), block);
        keys.push(key);
    }
}
