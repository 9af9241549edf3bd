//! Ranks the answers of a list by their likelihood (Li et al. 2021, section 4: question answering): those with the most likely
//! first tokens are scored in full.

use ocellus_base::clock::ManualClock;
use ocellus_base::limits::HYPOTHESES;
use ocellus_models::Vlm;
use ocellus_nn::BlockTable;

use crate::beam::log_sum_exp;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::hypothesis::{Next, Opened};
use crate::options::EngineOptions;
use crate::request::Request;

/// An answer with its likelihood.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ranked {
    /// Index in the list.
    pub answer: usize,
    /// Natural logarithm of the probability of all of its tokens.
    pub log_likelihood: f32,
}

/// Of `answers`, the `keep` whose first token is most likely after the request, sorted by the likelihood of the whole answer.
/// Answers are ids, end token included; of equally likely ones the earlier comes first. Generation options are ignored.
pub fn rank(
    model: &dyn Vlm,
    request: &Request,
    answers: &[Vec<u32>],
    keep: usize,
) -> Result<Vec<Ranked>, EngineError> {
    Engine::new(model, EngineOptions::default(), ManualClock::default())?.rank(request, answers, keep)
}

impl Engine<'_> {
    /// As [`rank`], in this engine.
    pub fn rank(
        &mut self,
        request: &Request,
        answers: &[Vec<u32>],
        keep: usize,
    ) -> Result<Vec<Ranked>, EngineError> {
        let longest = checked(answers, keep, self.model().decoder().spec().vocab)?;
        let request = Request {
            max_tokens: longest,
            ..request.clone()
        };
        let (mut opened, mut logits) = self.open(&[request])?;
        // One request, one prompt.
        let ((opened, mut table), start) = (opened.remove(0), logits.remove(0));
        let mut kept: Vec<usize> = (0..answers.len()).collect();
        kept.sort_by(|a, b| start[answers[*b][0] as usize].total_cmp(&start[answers[*a][0] as usize]));
        kept.truncate(keep);
        let mut tables: Vec<BlockTable> = kept.iter().map(|_| self.runner.fork(&table)).collect();
        let read = self.read_answers(&opened, kept.iter().map(|i| answers[*i].as_slice()), &mut tables);
        for table in tables.iter_mut().chain([&mut table]) {
            self.close(table)?;
        }
        Ok(measured(answers, kept, &start, &read?))
    }

    /// The logits behind all tokens of the answers but the last of each, packed.
    fn read_answers<'a>(
        &mut self,
        opened: &Opened,
        answers: impl Iterator<Item = &'a [u32]>,
        tables: &mut [BlockTable],
    ) -> Result<Vec<Vec<f32>>, EngineError> {
        let mut next = Vec::new();
        for (answer, table) in answers.zip(tables) {
            // The last token is never read.
            let read = &answer[..answer.len() - 1];
            if !read.is_empty() {
                next.push(Next {
                    ids: read.to_vec(),
                    positions: (0..read.len()).map(|i| opened.place(i)).collect(),
                    cross: opened.cross(),
                    table,
                });
            }
        }
        match next.is_empty() {
            true => Ok(Vec::new()),
            false => self.read_next(next),
        }
    }
}

/// The `kept` answers with their likelihoods, from the logits behind the prompt and behind their tokens.
fn measured(answers: &[Vec<u32>], kept: Vec<usize>, start: &[f32], behind: &[Vec<f32>]) -> Vec<Ranked> {
    let (mut behind, at_start) = (behind.iter(), log_sum_exp(start));
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
    ranked
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
