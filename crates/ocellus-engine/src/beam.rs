//! Beam search: for every request the most likely hypotheses are extended side by side; the best finished ones are the answers.
//!
//! Scores are sums of log-probabilities, divided by a power of the number of generated tokens when a hypothesis ends (Wu et al.
//! 2016, section 7, in its simplest form). A search ends when its best open hypothesis, if it ended now, would not be better than
//! the worst of the `width` finished ones.

use ocellus_base::clock::ManualClock;
use ocellus_base::limits::HYPOTHESES;
use ocellus_models::Vlm;
use ocellus_nn::BlockTable;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::event::{FinishReason, Token};
use crate::hypothesis::{Next, Opened};
use crate::options::EngineOptions;
use crate::request::Request;

/// Options of a search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Beams {
    /// Number of hypotheses that are kept (beams); 1 is greedy.
    pub width: usize,
    /// Power of the length that sums are divided by: above 0 favours long answers, 0 is the plain sum.
    pub length_penalty: f64,
}

/// A finished continuation.
#[derive(Clone, Debug, PartialEq)]
pub struct Hypothesis {
    /// Without the end token.
    pub tokens: Vec<Token>,
    /// The end token, unless it ended by its length.
    pub end: Option<u32>,
    /// The sum of log-probabilities, the end token's included, divided by (their number) to the power of the length penalty.
    pub score: f32,
}

impl Hypothesis {
    pub fn finish(&self) -> FinishReason {
        match self.end {
            Some(_) => FinishReason::Stop,
            None => FinishReason::Length,
        }
    }
}

/// An open hypothesis.
struct Run {
    tokens: Vec<Token>,
    sum: f64,
    table: BlockTable,
}

/// The search for one request.
struct Search<'r> {
    request: &'r Request,
    beams: Beams,
    opened: Opened,
    /// Best first.
    runs: Vec<Run>,
    /// Best first.
    ended: Vec<Hypothesis>,
}

/// The best continuations of every request, best first, at most `width` of them. Sampling options are ignored.
///
/// Requests are searched side by side and do not influence one another.
pub fn search(
    model: &dyn Vlm,
    requests: &[Request],
    beams: Beams,
) -> Result<Vec<Vec<Hypothesis>>, EngineError> {
    Engine::new(model, EngineOptions::default(), ManualClock::default())?.search(requests, beams)
}

impl Engine<'_> {
    /// As [`search`], in this engine.
    pub fn search(
        &mut self,
        requests: &[Request],
        beams: Beams,
    ) -> Result<Vec<Vec<Hypothesis>>, EngineError> {
        beams.check()?;
        let (opened, logits) = self.open(requests)?;
        let start = |(request, (opened, table)): (_, (Opened, BlockTable))| Search {
            request,
            beams,
            runs: vec![Run {
                tokens: Vec::new(),
                sum: 0.0,
                table,
            }],
            ended: Vec::new(),
            opened,
        };
        let mut searches: Vec<Search> = requests.iter().zip(opened).map(start).collect();
        let done = self.follow(&mut searches, logits);
        for run in searches.iter_mut().flat_map(|s| &mut s.runs) {
            self.close(&mut run.table)?;
        }
        done.map(|()| searches.into_iter().map(|s| s.ended).collect())
    }

    /// Steps all searches until none has an open hypothesis. `scores` are the logits behind the prompts.
    fn follow(&mut self, searches: &mut [Search], mut scores: Vec<Vec<f32>>) -> Result<(), EngineError> {
        loop {
            let mut first = 0;
            for search in searches.iter_mut() {
                let count = search.runs.len();
                let before = search.step(&scores[first..first + count]);
                first += count;
                // A hypothesis continues in the blocks of the one it extends; a block shared by several is copied on write.
                let forks: Vec<BlockTable> = before
                    .parents
                    .iter()
                    .map(|parent| self.runner.fork(&before.runs[*parent].table))
                    .collect();
                search
                    .runs
                    .iter_mut()
                    .zip(forks)
                    .for_each(|(run, table)| run.table = table);
                for mut run in before.runs {
                    self.close(&mut run.table)?;
                }
            }
            let mut next = Vec::new();
            for Search { opened, runs, .. } in searches.iter_mut() {
                for Run { tokens, table, .. } in runs {
                    let last = tokens.len() - 1;
                    next.push(Next {
                        ids: vec![tokens[last].id],
                        positions: vec![opened.place(last)],
                        cross: opened.cross(),
                        table,
                    });
                }
            }
            if next.is_empty() {
                return Ok(());
            }
            scores = self.read_next(next)?;
        }
    }
}

impl Beams {
    fn check(&self) -> Result<(), EngineError> {
        if !(1..=HYPOTHESES).contains(&self.width) {
            let width = self.width;
            return Err(EngineError::Sampling(format!(
                "the width of a beam search is {width}, expected 1 to {HYPOTHESES}"
            )));
        }
        if !self.length_penalty.is_finite() {
            return Err(EngineError::Sampling(
                "the length penalty is not a finite number".to_owned(),
            ));
        }
        Ok(())
    }

    /// The score of a sum over `tokens` log-probabilities.
    fn score(&self, sum: f64, tokens: usize) -> f64 {
        sum / (tokens as f64).powf(self.length_penalty)
    }
}

/// A hypothesis extended by one token.
struct Candidate {
    run: usize,
    token: Token,
    sum: f64,
}

/// The runs before a step, and which of them each run after it came from.
#[derive(Default)]
struct Before {
    runs: Vec<Run>,
    parents: Vec<usize>,
}

impl Search<'_> {
    /// Extends by one token: moves finished candidates to `ended` and keeps the best open ones, which have no blocks yet. The
    /// search is over when none is left.
    fn step(&mut self, scores: &[Vec<f32>]) -> Before {
        if self.runs.is_empty() || self.request.max_tokens == 0 {
            return Before {
                runs: std::mem::take(&mut self.runs),
                parents: Vec::new(),
            };
        }
        let (width, tokens) = (self.beams.width, self.runs[0].tokens.len() + 1);
        let (mut open, mut parents) = (Vec::with_capacity(width), Vec::with_capacity(width));
        for (rank, candidate) in self.candidates(scores, tokens).into_iter().enumerate() {
            let Candidate { run, token, sum } = candidate;
            let stopped = self.request.end.contains(&token.id);
            let mut all = self.runs[run].tokens.clone();
            if !stopped {
                all.push(token);
            }
            if stopped || tokens == self.request.max_tokens {
                // Only those count that would have been kept.
                if rank < width {
                    self.ended.push(Hypothesis {
                        tokens: all,
                        end: stopped.then_some(token.id),
                        score: self.beams.score(sum, tokens) as f32,
                    });
                }
            } else if open.len() < width {
                let table = BlockTable::default();
                open.push(Run {
                    tokens: all,
                    sum,
                    table,
                });
                parents.push(run);
            }
        }
        // Stable: of equal ones the earlier stays in front.
        self.ended.sort_by(|a, b| b.score.total_cmp(&a.score));
        self.ended.truncate(width);
        let best = open.first().map(|run| self.beams.score(run.sum, tokens) as f32);
        let worst = self.ended.get(width - 1).map(|ended| ended.score);
        if best.zip(worst).is_some_and(|(best, worst)| best <= worst) {
            open.clear();
            parents.clear();
        }
        Before {
            runs: std::mem::replace(&mut self.runs, open),
            parents,
        }
    }

    /// The most likely candidates of all hypotheses, best first: enough that `width` stay open even if every hypothesis could
    /// end.
    fn candidates(&self, scores: &[Vec<f32>], tokens: usize) -> Vec<Candidate> {
        let early = tokens <= self.request.min_tokens;
        let mut all = Vec::new();
        for (run, row) in scores.iter().enumerate() {
            let norm = log_sum_exp(row);
            for (id, score) in (0u32..).zip(row) {
                let log_probability = f64::from(*score) - norm;
                let barred = early && self.request.end.contains(&id);
                if !barred && log_probability.is_finite() {
                    let token = Token {
                        id,
                        log_probability: log_probability as f32,
                    };
                    let sum = self.runs[run].sum + log_probability;
                    all.push(Candidate { run, token, sum });
                }
            }
        }
        let order = |a: &Candidate, b: &Candidate| {
            let earlier = (a.run, a.token.id).cmp(&(b.run, b.token.id));
            b.sum.total_cmp(&a.sum).then(earlier)
        };
        let keep = self.beams.width * (1 + self.request.end.len()).max(2);
        if all.len() > keep {
            all.select_nth_unstable_by(keep - 1, order);
            all.truncate(keep);
        }
        all.sort_unstable_by(order);
        all
    }
}

/// Logarithm of the sum of the exponentials.
pub(crate) fn log_sum_exp(row: &[f32]) -> f64 {
    let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = row.iter().map(|x| f64::from(x - most).exp()).sum();
    f64::from(most) + sum.ln()
}
