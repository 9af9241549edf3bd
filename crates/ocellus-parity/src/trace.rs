//! Cases of families that say themselves how their reference is called: every stage is tapped, then decoding.

use candle_core::Tensor;
use ocellus_base::clock::ManualClock;
use ocellus_engine::{Flow, Request, generate};
use ocellus_models::{Given, PrefillInput, ReferencePrompt, Trace, Vlm};
use ocellus_nn::attention::Batch;
use ocellus_nn::{BlockTable, KvCache, KvWidth, Taps};

use crate::array::{Array, Values};
use crate::beams;
use crate::case::Case;
use crate::compare::compare;
use crate::decoding::Decoding;
use crate::error::CaseError;
use crate::produced::Produced;

pub fn run(case: &Case, model: &dyn Trace, out: &mut Produced) -> Result<(), CaseError> {
    let given = given(case)?;
    let mut tapped = Vec::new();
    let mut listen = |name: &str, tensor: &Tensor| tapped.push((name.to_owned(), tensor.clone()));
    let traced = model.trace(&given, &mut Taps::new(&mut listen));
    for (name, tensor) in tapped {
        out.put(name, Array::from_tensor(&tensor)?);
    }
    traced?;
    let decoded = ["greedy_ids", "beam_ids"].map(|name| case.stage(name).is_some());
    let Some(vlm) = model.generator().filter(|_| decoded.contains(&true)) else {
        return Ok(());
    };
    let asked = model.prompts(&given)?;
    let opening = open(model, vlm, &asked)?;
    let decoding = Decoding::of(case, &asked, &opening)?;
    let requests = decoding.requests(&asked)?;
    if decoded[0] {
        greedy((model, vlm), (&asked, opening), &decoding, &requests, out)?;
    }
    if decoded[1] {
        beams::run(case, vlm, &decoding, &requests, out)?;
    }
    Ok(())
}

/// The inputs and options of a case under the reference's names.
pub fn given(case: &Case) -> Result<Given, CaseError> {
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
fn greedy(
    (trace, model): (&dyn Trace, &dyn Vlm),
    (asked, opening): (&[ReferencePrompt], PrefillInput),
    decoding: &Decoding,
    requests: &[Request],
    out: &mut Produced,
) -> Result<(), CaseError> {
    let walked = walk(model, opening, decoding)?;
    let (count, steps) = (walked.len(), walked.first().map_or(0, Vec::len));
    let ids = |(i, row): (usize, &Vec<Step>)| {
        let new: Vec<u32> = row.iter().map(|s| s.id).collect();
        let mut row = decoding.row(i, &new, steps);
        // Some references give the new ids alone: there are as many as were chosen.
        if decoding.columns == Some(steps) {
            row.drain(..row.len() - steps);
        }
        row
    };
    let rows: Vec<Vec<i64>> = walked.iter().enumerate().map(ids).collect();
    let columns = rows.first().map_or(0, Vec::len);
    out.put("greedy_ids", Array::integers([count, columns], rows.concat()));
    let margins = walked.iter().flatten().map(|s| s.margin).collect();
    out.put("greedy_margin", Array::floats([count, steps], margins));
    if let Some(vocab) = walked.first().and_then(|row| row.first()).map(|s| s.logits.len()) {
        let logits = walked.iter().flatten().flat_map(|s| s.logits.clone()).collect();
        out.put("step_logits", Array::floats([count, steps, vocab], logits));
    }
    // The engine knows no padding: where a row has some, its answer is that of the row without.
    if asked.iter().any(|a| a.offset > 0) {
        let mut bare = asked.to_vec();
        bare.iter_mut().for_each(|a| a.offset = 0);
        let walked = walk(model, open(trace, model, &bare)?, decoding)?;
        return engine(model, requests, &walked, &decoding.end, out);
    }
    engine(model, requests, &walked, &decoding.end, out)
}

/// Prompts with their pictures encoded.
fn open(trace: &dyn Trace, model: &dyn Vlm, asked: &[ReferencePrompt]) -> Result<PrefillInput, CaseError> {
    let pictures: Vec<_> = asked.iter().flat_map(|a| a.pictures.clone()).collect();
    let (patches, grids): (Vec<Tensor>, Vec<_>) = pictures.into_iter().unzip();
    let visual_tokens = match patches.is_empty() {
        true => None,
        false => Some(model.encode(&Tensor::cat(&patches, 0)?, &grids, &mut Taps::none())?),
    };
    Ok(trace.padded_input(asked, visual_tokens.as_ref(), &mut Taps::none())?)
}

struct Step {
    id: u32,
    /// Lead of the likeliest token over the second.
    margin: f32,
    logits: Vec<f32>,
}

/// Every sequence until all have had their end token, or for as many tokens as there may be. As in the reference, a sequence
/// behind its end token goes on with padding, whatever its logits say.
fn walk(model: &dyn Vlm, opening: PrefillInput, decoding: &Decoding) -> Result<Vec<Vec<Step>>, CaseError> {
    let (lengths, count) = (opening.lengths(), opening.ids.len());
    let room = BlockTable::blocks_for(lengths.iter().max().unwrap_or(&0) + decoding.steps) as u32;
    let mut cache = KvCache::new(&model.kv_layout(), KvWidth::Full)?;
    cache.grow(count * room as usize)?;
    let table = |i: usize| BlockTable {
        blocks: (i as u32 * room..(i as u32 + 1) * room).collect(),
        len: 0,
    };
    let last: Vec<u32> = lengths
        .iter()
        .scan(0, |sum, n| {
            *sum += *n as u32;
            Some(*sum - 1)
        })
        .collect();
    let mut batch = Batch {
        tables: (0..count).map(table).collect(),
        ..Batch::of(lengths).across(opening.cross.clone())
    };
    let hidden = model.forward(
        &opening.embeds,
        &opening.positions,
        &batch,
        Some(&cache),
        &mut Taps::none(),
    )?;
    advance(&mut batch);
    let last = Tensor::from_vec(last, count, hidden.device())?;
    let mut logits = model.logits(&hidden.index_select(&last, 0)?)?.to_vec2::<f32>()?;
    let (mut next, mut rows): (_, Vec<Vec<Step>>) = (opening.next, (0..count).map(|_| Vec::new()).collect());
    batch.lengths = vec![1; count];
    for step in 0..decoding.steps {
        for (row, logits) in rows.iter_mut().zip(&logits) {
            let early = step < decoding.minimum;
            let mut step = top(logits, if early { &decoding.end } else { &[] });
            if row.iter().any(|s| decoding.end.contains(&s.id)) {
                step.id = decoding.pad;
            }
            row.push(step);
        }
        let ended = |row: &Vec<Step>| row.iter().any(|s| decoding.end.contains(&s.id));
        if rows.iter().all(ended) || step + 1 == decoding.steps {
            break;
        }
        let ids: Vec<u32> = rows.iter().filter_map(|row| row.last().map(|s| s.id)).collect();
        let embeds = model.embed(&ids, None, None, &mut Taps::none())?;
        let hidden = model.forward(&embeds, &next, &batch, Some(&cache), &mut Taps::none())?;
        advance(&mut batch);
        logits = model.logits(&hidden)?.to_vec2::<f32>()?;
        let strides = next.iter_mut().flat_map(|at| at.iter_mut().zip(opening.stride));
        strides.for_each(|(at, step)| *at += step);
    }
    Ok(rows)
}

/// What was read is in the cache.
fn advance(batch: &mut Batch) {
    let read = batch.tables.iter_mut().zip(&batch.lengths);
    read.for_each(|(table, count)| table.len += count);
}

/// The likeliest token that is not `barred`; the margin counts every token.
fn top(logits: &[f32], barred: &[u32]) -> Step {
    let (mut best, mut second, mut allowed) = (f32::NEG_INFINITY, f32::NEG_INFINITY, None);
    for (id, logit) in (0u32..).zip(logits.iter().copied()) {
        if logit > best {
            (second, best) = (best, logit);
        } else if logit > second {
            second = logit;
        }
        if !barred.contains(&id) && allowed.is_none_or(|(_, most)| logit > most) {
            allowed = Some((id, logit));
        }
    }
    Step {
        id: allowed.map_or(0, |(id, _)| id),
        margin: best - second,
        logits: logits.to_vec(),
    }
}

/// A row of our own: the engine, which every command uses, gives the same tokens.
fn engine(
    model: &dyn Vlm,
    requests: &[Request],
    walked: &[Vec<Step>],
    end: &[u32],
    out: &mut Produced,
) -> Result<(), CaseError> {
    let (done, _) = generate(model, requests, &ManualClock::default(), &mut |_, _| {
        Flow::Continue
    })?;
    let flat = |rows: Vec<Vec<u32>>| Array::ids(&rows.concat());
    let got = done.iter().map(|g| g.tokens.iter().map(|t| t.id).collect());
    let before_end = |row: &Vec<Step>| {
        let ids = row.iter().map(|s| s.id);
        ids.take_while(|id| !end.contains(id)).collect()
    };
    let expected = flat(walked.iter().map(before_end).collect());
    let got = flat(got.collect());
    out.also(compare("engine/greedy_ids", &expected, &got, 0.0, 0.0));
    Ok(())
}
