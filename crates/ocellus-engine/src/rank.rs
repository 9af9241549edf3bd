//! Answers from a list by how likely the model would write them (Li et al. 2021, section 4: question answering): those whose
//! first token is likeliest are measured in full.

use ocellus_base::limits::HYPOTHESES;
use ocellus_models::Vlm;

use crate::beam::log_sum_exp;
use crate::prefill::{Cells, Turns, check, rows};
use crate::request::{EngineError, Request};

/// An answer that was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ranked {
    /// Place in the list.
    pub answer: usize,
    /// Natural logarithm of the probability of all of its tokens.
    pub log_likelihood: f32,
}

/// Of `answers`, the `keep` whose first token is likeliest after the request, likeliest as a whole first. Answers are ids with
/// the token that ends them; of equally likely ones the earlier comes first. Limits and options of generation do not count.
pub fn rank(
    model: &dyn Vlm,
    request: &Request,
    answers: &[Vec<u32>],
    keep: usize,
) -> Result<Vec<Ranked>, EngineError> {
    let vocab = model.decoder().spec().vocab;
    let longest = checked(answers, keep, vocab)?;
    let request = Request {
        max_tokens: longest,
        ..request.clone()
    };
    let requests = std::slice::from_ref(&request);
    check(model, requests)?;
    let keep = keep.min(answers.len());
    let (mut turns, prefilled) = Turns::start(model, requests, &Cells::of(model, requests)?, keep)?;
    let start = rows(&prefilled.logits)?.concat();
    let mut kept: Vec<usize> = (0..answers.len()).collect();
    kept.sort_by(|a, b| start[answers[*b][0] as usize].total_cmp(&start[answers[*a][0] as usize]));
    kept.truncate(keep);

    // The last token is never read.
    let (mut ids, mut positions, mut places) = (Vec::new(), Vec::new(), (Vec::new(), Vec::new()));
    for (slot, answer) in kept.iter().enumerate() {
        let read = &answers[*answer][..answers[*answer].len() - 1];
        let mut next = prefilled.next[0];
        for id in read {
            ids.push(*id);
            positions.push(next);
            next = turns.after(next);
        }
        if !read.is_empty() {
            places.0.push(read.len());
            places.1.push(slot);
        }
    }
    let copies: Vec<(usize, usize)> = (1..keep).map(|slot| (0, slot)).collect();
    turns.cache.copy(&copies)?;
    let behind = match ids.is_empty() {
        true => Vec::new(),
        false => rows(&turns.turn(&ids, &positions, places)?)?,
    };

    let (mut behind, at_start) = (behind.iter(), log_sum_exp(&start));
    let measure = |answer: usize| {
        let (first, rest) = answers[answer].split_first().expect("checked: not empty");
        let mut sum = f64::from(start[*first as usize]) - at_start;
        for (id, row) in rest.iter().zip(behind.by_ref()) {
            sum += f64::from(row[*id as usize]) - log_sum_exp(row);
        }
        Ranked {
            answer,
            log_likelihood: sum as f32,
        }
    };
    let mut ranked: Vec<Ranked> = kept.into_iter().map(measure).collect();
    ranked.sort_by(|a, b| {
        let earlier = a.answer.cmp(&b.answer);
        b.log_likelihood.total_cmp(&a.log_likelihood).then(earlier)
    });
    Ok(ranked)
}

/// Tokens of the longest answer.
fn checked(answers: &[Vec<u32>], keep: usize, vocab: usize) -> Result<usize, EngineError> {
    let wrong = |what: String| Err(EngineError::Answers(what));
    if answers.is_empty() {
        return wrong("the list of answers is empty".to_owned());
    }
    if !(1..=HYPOTHESES).contains(&keep) {
        return wrong(format!(
            "{keep} answers are to be measured, expected 1 to {HYPOTHESES}"
        ));
    }
    for (i, answer) in answers.iter().enumerate() {
        if answer.is_empty() {
            return wrong(format!("answer {i} has no tokens"));
        }
        if let Some(id) = answer.iter().find(|id| **id as usize >= vocab) {
            return wrong(format!(
                "answer {i} has token id {id}, the vocabulary has {vocab}"
            ));
        }
    }
    Ok(answers.iter().map(Vec::len).max().unwrap_or(0))
}
