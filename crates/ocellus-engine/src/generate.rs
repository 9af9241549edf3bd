//! The loop: pictures are encoded, prompts are read in one packed pass, then every running sequence gains a token a turn.

use candle_core::Tensor;
use ocellus_base::clock::Clock;
use ocellus_base::trace::span;
use ocellus_models::Vlm;

use crate::prefill::{Cells, Turns, check, rows};
use crate::request::{EngineError, FinishReason, Flow, Generated, Request, Timing, Token};
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
    let started = clock.now_ns();
    let cells = Cells::of(model, requests)?;
    let encoded = clock.now_ns();

    let (mut turns, prefilled) = Turns::start(model, requests, &cells, 1)?;
    let starts = requests.iter().zip(&prefilled.ids).zip(&prefilled.next);
    let mut sequences: Vec<Sequence> = starts
        .map(|((request, ids), next)| Sequence {
            request,
            sampler: Sampler::new(request.sampling.clone(), ids),
            tokens: Vec::new(),
            next: *next,
            finish: (request.max_tokens == 0).then_some(FinishReason::Length),
        })
        .collect();
    let mut logits = prefilled.logits;
    let prefilled = clock.now_ns();

    let mut running: Vec<usize> = (0..sequences.len()).collect();
    loop {
        for (&i, row) in running.iter().zip(&rows(&logits)?) {
            take(&mut sequences[i], i, row, receive);
        }
        running.retain(|i| sequences[*i].finish.is_none());
        if running.is_empty() {
            break;
        }
        logits = turn(&mut turns, &mut sequences, &running)?;
    }
    let timing = Timing {
        encode_ns: encoded - started,
        prefill_ns: prefilled - encoded,
        decode_ns: clock.now_ns() - prefilled,
    };
    let done = |s: Sequence| Generated {
        tokens: s.tokens,
        finish: s.finish.unwrap_or(FinishReason::Length),
    };
    Ok((sequences.into_iter().map(done).collect(), timing))
}

/// One token for every running sequence → logits of the next, in the order of `running`.
fn turn(turns: &mut Turns, sequences: &mut [Sequence], running: &[usize]) -> Result<Tensor, EngineError> {
    let (mut ids, mut positions) = (Vec::new(), Vec::new());
    for &i in running {
        let sequence = &mut sequences[i];
        ids.extend(sequence.tokens.last().map(|t| t.id));
        positions.push(sequence.next);
        sequence.next = turns.after(sequence.next);
    }
    turns.turn(&ids, &positions, (vec![1; running.len()], running.to_vec()))
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
    let choosing = span("sample");
    let token = sequence.sampler.next(scores);
    drop(choosing);
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
