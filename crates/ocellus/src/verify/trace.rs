//! Cases of families that say themselves how their reference is called: every stage is tapped, then decoding.

use candle_core::Tensor;
use ocellus_base::clock::ManualClock;
use ocellus_engine::{Flow, Picture, Request, Sampling, generate};
use ocellus_models::model::Asked;
use ocellus_models::{Given, Model, Opening, PositionRule, Prompt, Trace, Vision, Vlm};
use ocellus_nn::Taps;
use ocellus_nn::attention::Batch;

use super::Produced;
use super::array::{Array, Values};
use super::case::Case;
use super::compare::compare;
use super::error::CaseError;

pub fn run(case: &Case, model: &dyn Model, tracer: &dyn Trace, out: &mut Produced) -> Result<(), CaseError> {
    let given = given(case)?;
    let mut tapped = Vec::new();
    let mut listen = |name: &str, tensor: &Tensor| tapped.push((name.to_owned(), tensor.clone()));
    let traced = tracer.trace(&given, &mut Taps::new(&mut listen));
    for (name, tensor) in tapped {
        out.put(name, Array::from_tensor(&tensor)?);
    }
    traced?;
    let Some(vlm) = model.generator().filter(|_| case.stage("greedy_ids").is_some()) else {
        return Ok(());
    };
    let asked = tracer.asked(&given)?;
    greedy(case, vlm, &asked, out)
}

/// The inputs and options of a case under the reference's names.
fn given(case: &Case) -> Result<Given, CaseError> {
    let mut given = Given {
        options: case.options.clone(),
        ..Given::default()
    };
    for name in case.input_names() {
        let Array { shape, values } = case.input(&name)?;
        match values {
            Values::Integer(values) => given.integers.insert(name, (shape, values)).is_some(),
            Values::Float(values) => given.floats.insert(name, (shape, values)).is_some(),
        };
    }
    Ok(given)
}

/// Greedy answers step by step with a cache, their margins and logits; and that the engine gives the same.
fn greedy(case: &Case, model: &dyn Vlm, asked: &[Asked], out: &mut Produced) -> Result<(), CaseError> {
    let opening = open(model, asked)?;
    let starts = opening.ids.clone();
    // Some references count what they start from, some only what is new.
    let longest = starts.iter().map(Vec::len).max().unwrap_or(0);
    let whole = case.count("max_new_tokens")?.is_none();
    let steps = match case.count("max_new_tokens")? {
        Some(steps) => steps,
        None => case
            .count("max_length")?
            .ok_or_else(|| case.wrong_option("max_length", "a count"))?
            .saturating_sub(longest),
    };
    let minimum = case.count("min_length")?.unwrap_or(0).saturating_sub(longest);
    let (end, pad) = (case.ids("eos")?, case.ids("pad")?.first().copied().unwrap_or(0));
    let walked = walk(model, opening, steps, minimum, &end)?;

    let width = walked.iter().map(|row| row.len()).max().unwrap_or(0);
    let mut ids = Vec::new();
    for (row, start) in walked.iter().zip(&starts) {
        if whole {
            ids.extend(start.iter().map(|id| i64::from(*id)));
        }
        ids.extend(row.iter().map(|step| i64::from(step.id)));
        ids.extend(std::iter::repeat_n(i64::from(pad), width - row.len()));
    }
    let columns = width + if whole { longest } else { 0 };
    out.put("greedy_ids", Array::integers([walked.len(), columns], ids));
    let margin = |row: &Vec<Step>| {
        let mut margins: Vec<f32> = row.iter().map(|s| s.margin).collect();
        margins.resize(width, 0.0);
        margins
    };
    let margins = walked.iter().flat_map(margin).collect();
    out.put("greedy_margin", Array::floats([walked.len(), width], margins));
    if let Some(vocab) = walked.first().and_then(|row| row.first()).map(|s| s.logits.len()) {
        let logits: Vec<f32> = walked.iter().flatten().flat_map(|s| s.logits.clone()).collect();
        if logits.len() == walked.len() * width * vocab {
            out.put("step_logits", Array::floats([walked.len(), width, vocab], logits));
        }
    }
    // The engine knows no padding: where a row has some, its answer is that of the row without.
    if asked.iter().any(|a| a.offset > 0) {
        let mut bare = asked.to_vec();
        bare.iter_mut().for_each(|a| a.offset = 0);
        let walked = walk(model, open(model, &bare)?, steps, minimum, &end)?;
        return engine(model, &bare, &walked, (steps, minimum, &end), out);
    }
    engine(model, asked, &walked, (steps, minimum, &end), out)
}

fn vision(grid: ocellus_models::Grid) -> Vision {
    Vision {
        grid,
        video_seconds: None,
    }
}

/// Prompts with their pictures encoded.
fn open(model: &dyn Vlm, asked: &[Asked]) -> Result<Opening, CaseError> {
    let pictures: Vec<_> = asked.iter().flat_map(|a| a.pictures.clone()).collect();
    let (patches, grids): (Vec<Tensor>, Vec<_>) = pictures.into_iter().unzip();
    let cells = match patches.is_empty() {
        true => None,
        false => Some(model.encode(&Tensor::cat(&patches, 0)?, &grids, &mut Taps::none())?),
    };
    let prompts: Vec<Prompt> = asked
        .iter()
        .map(|a| Prompt {
            ids: &a.ids,
            visions: a.pictures.iter().map(|(_, grid)| vision(*grid)).collect(),
            rule: PositionRule::default(),
            offset: a.offset,
        })
        .collect();
    Ok(model.open(&prompts, cells.as_ref(), None, &mut Taps::none())?)
}

struct Step {
    id: u32,
    /// Lead of the likeliest token over the second.
    margin: f32,
    logits: Vec<f32>,
}

/// Every sequence until its end token (included) or `steps` tokens; end tokens count only from step `minimum` on.
fn walk(
    model: &dyn Vlm,
    opening: Opening,
    steps: usize,
    minimum: usize,
    end: &[u32],
) -> Result<Vec<Vec<Step>>, CaseError> {
    let (lengths, count) = (opening.lengths(), opening.ids.len());
    let room = lengths.iter().max().unwrap_or(&0) + steps;
    let mut cache = model.cache(count, room)?;
    let last: Vec<u32> = lengths
        .iter()
        .scan(0, |sum, n| {
            *sum += *n as u32;
            Some(*sum - 1)
        })
        .collect();
    let mut batch = Batch {
        lengths,
        slots: (0..count).collect(),
        memory: opening.memory.clone(),
    };
    let hidden = model.forward(
        &opening.embeds,
        &opening.positions,
        &batch,
        Some(&mut cache),
        &mut Taps::none(),
    )?;
    let last = Tensor::from_vec(last, count, hidden.device())?;
    let mut logits = model.logits(&hidden.index_select(&last, 0)?)?.to_vec2::<f32>()?;
    let (mut next, mut rows): (_, Vec<Vec<Step>>) = (opening.next, (0..count).map(|_| Vec::new()).collect());
    let mut running: Vec<usize> = (0..count).collect();
    for step in 0..steps {
        for (&i, logits) in running.iter().zip(&logits) {
            let mut allowed = logits.clone();
            if step < minimum {
                end.iter()
                    .for_each(|id| allowed[*id as usize] = f32::NEG_INFINITY);
            }
            rows[i].push(top(&allowed, logits));
        }
        running.retain(|i| rows[*i].last().is_none_or(|s| !end.contains(&s.id)));
        if running.is_empty() || step + 1 == steps {
            break;
        }
        let ids: Vec<u32> = running
            .iter()
            .filter_map(|i| rows[*i].last().map(|s| s.id))
            .collect();
        let positions: Vec<[i64; 3]> = running.iter().map(|i| next[*i]).collect();
        for &i in &running {
            (0..3).for_each(|axis| next[i][axis] += opening.stride[axis]);
        }
        (batch.lengths, batch.slots) = (vec![1; running.len()], running.clone());
        let embeds = model.embed(&ids, None, None, &mut Taps::none())?;
        let hidden = model.forward(&embeds, &positions, &batch, Some(&mut cache), &mut Taps::none())?;
        logits = model.logits(&hidden)?.to_vec2::<f32>()?;
    }
    Ok(rows)
}

fn top(allowed: &[f32], logits: &[f32]) -> Step {
    let (mut id, mut best, mut second) = (0, f32::NEG_INFINITY, f32::NEG_INFINITY);
    for (i, logit) in (0u32..).zip(allowed.iter().copied()) {
        if logit > best {
            (id, second, best) = (i, best, logit);
        } else if logit > second {
            second = logit;
        }
    }
    Step {
        id,
        margin: best - second,
        logits: logits.to_vec(),
    }
}

/// A row of our own: the engine, which every command uses, gives the same tokens.
fn engine(
    model: &dyn Vlm,
    asked: &[Asked],
    walked: &[Vec<Step>],
    (steps, minimum, end): (usize, usize, &[u32]),
    out: &mut Produced,
) -> Result<(), CaseError> {
    let mut requests = Vec::with_capacity(asked.len());
    for a in asked {
        let mut pictures = Vec::with_capacity(a.pictures.len());
        for (patches, grid) in &a.pictures {
            pictures.push(Picture {
                patches: patches.flatten_all()?.to_vec1()?,
                grid: *grid,
                video_seconds: None,
            });
        }
        requests.push(Request {
            ids: a.ids.clone(),
            pictures,
            max_tokens: steps,
            min_tokens: minimum,
            sampling: Sampling::default(),
            end: end.to_vec(),
            rule: PositionRule::default(),
        });
    }
    let (done, _) = generate(model, &requests, &ManualClock::default(), &mut |_, _| {
        Flow::Continue
    })?;
    let flat = |rows: Vec<Vec<u32>>| Array::ids(&rows.concat());
    let got = flat(
        done.iter()
            .map(|g| g.tokens.iter().map(|t| t.id).collect())
            .collect(),
    );
    let ours = |row: &Vec<Step>| row.iter().map(|s| s.id).filter(|id| !end.contains(id)).collect();
    let expected = flat(walked.iter().map(ours).collect());
    out.also(compare("engine/greedy_ids", &expected, &got, 0.0, 0.0));
    Ok(())
}
