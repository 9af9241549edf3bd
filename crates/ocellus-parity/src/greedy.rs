//! Greedy decoding with the engine, and once more without its cache.

use ocellus_base::clock::ManualClock;
use ocellus_engine::{FinishReason, Flow, Picture, Request, Sampling, generate};
use ocellus_nn::Taps;

use crate::array::{Array, Values};
use crate::case::Case;
use crate::compare::compare;
use crate::error::CaseError;
use crate::inputs::{Inputs, Patches, VisualTokens, logits};
use crate::produced::Produced;
use crate::rows::{Pictures, Sequence, rule};

/// Greedy answers in the reference's layout.
pub struct Answers {
    /// `[batch, steps]`: generated ids, the end token included, then padding.
    pub ids: Vec<Vec<u32>>,
}

pub fn run(case: &Case, inputs: &Inputs, visual: &VisualTokens, out: &mut Produced) -> Result<(), CaseError> {
    let pictures = inputs.rows.rows.iter().map(|row| own(inputs, row));
    let pictures = pictures.collect::<Result<_, _>>()?;
    let prompts = inputs.rows.rows.iter().map(|row| row.ids.clone()).collect();
    let answers = answer(case, inputs, visual, prompts, pictures)?;
    let (steps, batch) = (answers.ids.first().map_or(0, Vec::len), answers.ids.len());
    let generated = ids_array(&answers.ids);

    // Everything at once without a cache must give the same ids; its logits give the margins.
    let (mut margins, mut uncached) = (Vec::new(), Vec::new());
    for tops in tops(inputs, visual, &answers.ids)? {
        margins.extend(tops.iter().map(|top| top.margin));
        uncached.push(tops.iter().map(|top| top.id).collect::<Vec<u32>>());
    }
    // Behind an end token the reference writes padding whatever the logits say.
    let (ends, uncached_ids) = (case.ids("eos")?, ids_array(&uncached));
    if ends.is_empty() {
        out.also(compare(
            "uncached/greedy_ids",
            &generated,
            &uncached_ids,
            0.0,
            0.0,
        ));
    }
    out.put("greedy_ids", generated);
    out.put("greedy_margin", Array::floats([batch, steps], margins));
    Ok(())
}

/// The engine's answers to prompts with these pictures.
pub fn answer(
    case: &Case,
    inputs: &Inputs,
    visual: &VisualTokens,
    prompts: Vec<Vec<u32>>,
    pictures: Vec<Vec<Picture>>,
) -> Result<Answers, CaseError> {
    let max_tokens = case
        .count("max_new_tokens")?
        .ok_or_else(|| case.wrong_option("max_new_tokens", "a count"))?;
    let (end, rule) = (case.ids("eos")?, rule(case)?);
    let pad = case.ids("pad")?.first().copied().unwrap_or(0);
    let request = |(ids, pictures)| Request {
        ids,
        pictures,
        max_tokens,
        min_tokens: 0,
        sampling: Sampling::default(),
        end: end.clone(),
        rule,
    };
    let requests: Vec<Request> = prompts.into_iter().zip(pictures).map(request).collect();
    let clock = ManualClock::default();
    let (done, _) = generate(inputs.model.vlm(), &requests, &clock, &mut |_, _| Flow::Continue)?;
    let mut ids: Vec<Vec<u32>> = done
        .iter()
        .map(|g| g.tokens.iter().map(|t| t.id).collect())
        .collect();
    let stopped: Vec<bool> = done.iter().map(|g| g.finish == FinishReason::Stop).collect();
    if stopped.contains(&true) {
        // The engine keeps end tokens to itself: the likeliest token where the answer stops.
        let ended: Vec<Vec<u32>> = match end[..] {
            [only] => stopped
                .iter()
                .map(|s| if *s { vec![only] } else { Vec::new() })
                .collect(),
            _ => {
                let probe: Vec<Vec<u32>> = ids.iter().map(|ids| [ids.as_slice(), &[pad]].concat()).collect();
                let last = tops(inputs, visual, &probe)?.into_iter().zip(&stopped);
                last.map(|(tops, s)| tops.last().filter(|_| *s).map(|top| top.id).into_iter().collect())
                    .collect()
            }
        };
        ids.iter_mut().zip(ended).for_each(|(ids, end)| ids.extend(end));
    }
    let steps = ids.iter().map(Vec::len).max().unwrap_or(0);
    ids.iter_mut().for_each(|ids| ids.resize(steps, pad));
    Ok(Answers { ids })
}

/// Rows of equal length, `[batch, steps]`.
pub fn ids_array(ids: &[Vec<u32>]) -> Array {
    let steps = ids.first().map_or(0, Vec::len);
    Array::integers(
        [ids.len(), steps],
        ids.iter().flatten().map(|id| i64::from(*id)).collect(),
    )
}

/// The likeliest next token and its lead over the second.
struct Top {
    id: u32,
    margin: f32,
}

/// The top of every step when the prompts are followed by `answers`.
fn tops(inputs: &Inputs, visual: &VisualTokens, answers: &[Vec<u32>]) -> Result<Vec<Vec<Top>>, CaseError> {
    let mut sequences = Vec::new();
    for ((row, placed), answer) in inputs.rows.rows.iter().zip(&inputs.positions).zip(answers) {
        let (mut ids, mut at) = (row.ids.clone(), placed.ids.clone());
        // The last id is never read.
        ids.extend(answer.iter().take(answer.len().saturating_sub(1)));
        at.extend((placed.ids.len()..ids.len()).map(|i| [i as i64 + placed.delta; 3]));
        sequences.push((ids, at));
    }
    let borrowed: Vec<_> = sequences
        .iter()
        .map(|(ids, at)| (ids.as_slice(), at.as_slice()))
        .collect();
    let logits = logits(inputs.model.vlm(), &borrowed, visual, &mut Taps::none())?;
    let (vocab, array) = (logits.dim(1)?, Array::from_tensor(&logits)?);
    let Values::Float(values) = array.values else {
        return Ok(Vec::new());
    };
    let (mut first, mut out) = (0, Vec::new());
    for ((ids, _), (row, answer)) in sequences.iter().zip(inputs.rows.rows.iter().zip(answers)) {
        let step = |i: usize| top(&values[(first + row.ids.len() - 1 + i) * vocab..][..vocab]);
        out.push((0..answer.len()).map(step).collect());
        first += ids.len();
    }
    Ok(out)
}

fn top(logits: &[f32]) -> Top {
    let (mut id, mut best, mut second) = (0, f32::NEG_INFINITY, f32::NEG_INFINITY);
    for (i, logit) in (0u32..).zip(logits.iter().copied()) {
        if logit > best {
            (id, second, best) = (i, best, logit);
        } else if logit > second {
            second = logit;
        }
    }
    Top {
        id,
        margin: best - second,
    }
}

/// The pictures of one row for the engine.
fn own(inputs: &Inputs, row: &Sequence) -> Result<Vec<Picture>, CaseError> {
    let rows = &inputs.rows;
    let pick = |pictures: &Pictures, patches: &Patches, index: usize| {
        let (range, width) = (pictures.patches(index), patches.features);
        let vision = pictures.visions[index];
        let patches = patches.values[range.start * width..range.end * width].to_vec();
        let still = Picture::still(patches, width, vision.grid)?;
        Ok(Picture {
            video_seconds: vision.video_seconds,
            ..still
        })
    };
    let images = row.images.clone().map(|i| pick(&rows.images, &inputs.images, i));
    let videos = row.videos.clone().map(|i| pick(&rows.videos, &inputs.videos, i));
    images.chain(videos).collect()
}
