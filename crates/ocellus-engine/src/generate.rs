//! The loop: pictures are encoded, prompts are read in one packed pass, then every running sequence gains a token a turn.

use candle_core::Tensor;
use ocellus_base::clock::Clock;
use ocellus_models::{Grid, ModelError, Prompt, Vision, Vlm};
use ocellus_nn::attention::{Batch, Memory};
use ocellus_nn::{Cache, Taps};
use std::sync::Arc;

use crate::request::{EngineError, FinishReason, Flow, Generated, Picture, Request, Timing, Token};
use crate::sampler::Sampler;

/// One running request.
struct Sequence<'r> {
    request: &'r Request,
    sampler: Sampler,
    tokens: Vec<Token>,
    /// Position of the next token.
    next: [i64; 3],
    finish: Option<FinishReason>,
}

/// Continues every request; `receive(request, token)` is called as tokens appear, end tokens excepted.
///
/// Requests run side by side and do not influence one another: each gives the tokens that it would give alone.
pub fn generate(
    model: &dyn Vlm,
    requests: &[Request],
    clock: &dyn Clock,
    receive: &mut dyn FnMut(usize, Token) -> Flow,
) -> Result<(Vec<Generated>, Timing), EngineError> {
    check(model, requests)?;
    if requests.is_empty() {
        return Ok((Vec::new(), Timing::default()));
    }
    let started = clock.now_ms();
    let images = encode(
        model,
        requests
            .iter()
            .flat_map(|r| &r.pictures)
            .filter(|p| p.video_seconds.is_none()),
    )?;
    let videos = encode(
        model,
        requests
            .iter()
            .flat_map(|r| &r.pictures)
            .filter(|p| p.video_seconds.is_some()),
    )?;
    let encoded = clock.now_ms();

    let Prefilled {
        mut sequences,
        mut logits,
        stride,
        memory,
        mut cache,
    } = prefill(model, requests, images.as_ref(), videos.as_ref())?;
    let prefilled = clock.now_ms();

    let mut running: Vec<usize> = (0..sequences.len()).collect();
    loop {
        let vocab = model.decoder().spec().vocab;
        let rows = logits
            .to_dtype(candle_core::DType::F32)?
            .flatten_all()?
            .to_vec1::<f32>()?;
        for (&i, row) in running.iter().zip(rows.chunks_exact(vocab)) {
            take(&mut sequences[i], i, row, receive);
        }
        running.retain(|i| sequences[*i].finish.is_none());
        if running.is_empty() {
            break;
        }
        logits = turn(model, &mut sequences, &running, (stride, &memory), &mut cache)?;
    }
    let timing = Timing {
        encode_ms: encoded - started,
        prefill_ms: prefilled - encoded,
        decode_ms: clock.now_ms() - prefilled,
    };
    let done = |s: Sequence| Generated {
        tokens: s.tokens,
        finish: s.finish.unwrap_or(FinishReason::Length),
    };
    Ok((sequences.into_iter().map(done).collect(), timing))
}

fn check(model: &dyn Vlm, requests: &[Request]) -> Result<(), EngineError> {
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
    Ok(Some(model.encode(&patches, &grids, &mut Taps::none())?))
}

/// Every prompt read, and what further turns need.
struct Prefilled<'r> {
    sequences: Vec<Sequence<'r>>,
    /// `[sequences, vocab]`.
    logits: Tensor,
    stride: [i64; 3],
    memory: Option<Arc<Memory>>,
    cache: Cache,
}

fn prefill<'r>(
    model: &dyn Vlm,
    requests: &'r [Request],
    images: Option<&Tensor>,
    videos: Option<&Tensor>,
) -> Result<Prefilled<'r>, EngineError> {
    let vision = |p: &Picture| Vision {
        grid: p.grid,
        video_seconds: p.video_seconds,
    };
    let prompt = |r: &'r Request| Prompt {
        ids: &r.ids,
        visions: r.pictures.iter().map(vision).collect(),
        rule: r.rule,
        offset: 0,
    };
    let prompts: Vec<Prompt> = requests.iter().map(prompt).collect();
    let opening = model.open(&prompts, images, videos, &mut Taps::none())?;
    let sequence = |((request, ids), next): ((&'r Request, &Vec<u32>), &[i64; 3])| Sequence {
        request,
        sampler: Sampler::new(request.sampling.clone(), ids),
        tokens: Vec::new(),
        next: *next,
        finish: (request.max_tokens == 0).then_some(FinishReason::Length),
    };
    let sequences = requests
        .iter()
        .zip(&opening.ids)
        .zip(&opening.next)
        .map(sequence)
        .collect();
    let lengths = opening.lengths();
    let rooms = lengths.iter().zip(requests).map(|(n, r)| n + r.max_tokens);
    let mut cache = model.cache(requests.len(), rooms.max().unwrap_or(0))?;
    let last = lengths.iter().scan(0, |end, n| {
        *end += *n as u32;
        Some(*end - 1)
    });
    let last = Tensor::from_iter(last, opening.embeds.device())?;
    let batch = Batch {
        slots: (0..requests.len()).collect(),
        lengths,
        memory: opening.memory.clone(),
    };
    let hidden = model.forward(
        &opening.embeds,
        &opening.positions,
        &batch,
        Some(&mut cache),
        &mut Taps::none(),
    )?;
    let logits = model.logits(&hidden.index_select(&last, 0)?)?;
    Ok(Prefilled {
        sequences,
        logits,
        stride: opening.stride,
        memory: opening.memory,
        cache,
    })
}

/// One token for every running sequence → logits of the next, in the order of `running`.
fn turn(
    model: &dyn Vlm,
    sequences: &mut [Sequence],
    running: &[usize],
    (stride, memory): ([i64; 3], &Option<Arc<Memory>>),
    cache: &mut Cache,
) -> Result<Tensor, EngineError> {
    let (mut ids, mut positions) = (Vec::new(), Vec::new());
    for &i in running {
        let sequence = &mut sequences[i];
        ids.extend(sequence.tokens.last().map(|t| t.id));
        positions.push(sequence.next);
        (sequence.next.iter_mut())
            .zip(stride)
            .for_each(|(at, step)| *at += step);
    }
    let batch = Batch {
        lengths: vec![1; running.len()],
        slots: running.to_vec(),
        memory: memory.clone(),
    };
    let embeds = model.embed(&ids, None, None, &mut Taps::none())?;
    let hidden = model.forward(&embeds, &positions, &batch, Some(cache), &mut Taps::none())?;
    Ok(model.logits(&hidden)?)
}

/// Chooses the next token of a sequence and says whether it goes on.
fn take(
    sequence: &mut Sequence,
    index: usize,
    logits: &[f32],
    receive: &mut dyn FnMut(usize, Token) -> Flow,
) {
    if sequence.finish.is_some() {
        return;
    }
    let early;
    let mut scores = logits;
    if sequence.tokens.len() < sequence.request.min_tokens {
        let mut without_end = logits.to_vec();
        let ends = sequence.request.end.iter();
        ends.for_each(|id| {
            if let Some(score) = without_end.get_mut(*id as usize) {
                *score = f32::NEG_INFINITY;
            }
        });
        early = without_end;
        scores = &early;
    }
    let token = sequence.sampler.next(scores);
    if sequence.request.end.contains(&token.id) {
        sequence.finish = Some(FinishReason::Stop);
        return;
    }
    sequence.tokens.push(token);
    sequence.finish = match receive(index, token) {
        Flow::Finish(reason) => Some(reason),
        Flow::Continue if sequence.tokens.len() >= sequence.request.max_tokens => Some(FinishReason::Length),
        Flow::Continue => None,
    };
}
