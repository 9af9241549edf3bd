//! How a case decodes, and its prompts as the engine takes them.

use ocellus_engine::{Picture, Request, Sampling};
use ocellus_models::ReferencePrompt;
use ocellus_models::{PositionRule, PrefillInput};

use crate::case::Case;
use crate::error::CaseError;

/// How a case decodes.
pub struct Decoding {
    /// What the decoder starts each sequence from.
    starts: Vec<Vec<u32>>,
    /// Whether that is part of the ids that the reference gives: where it is not simply the prompt again.
    whole: bool,
    /// Ids of a row of expected greedy answers.
    pub columns: Option<usize>,
    /// Most new tokens.
    pub steps: usize,
    /// New tokens before which end tokens are not chosen.
    pub minimum: usize,
    pub end: Vec<u32>,
    pub pad: u32,
}

impl Decoding {
    pub fn of(case: &Case, asked: &[ReferencePrompt], opening: &PrefillInput) -> Result<Self, CaseError> {
        let starts = opening.ids.clone();
        let longest = starts.iter().map(Vec::len).max().unwrap_or(0);
        // Lengths count what a decoder starts from, numbers of new tokens do not.
        let steps = match case.count("max_new_tokens")? {
            Some(steps) => steps,
            None => case
                .count("max_length")?
                .ok_or_else(|| case.wrong_option("max_length", "a count"))?
                .saturating_sub(longest),
        };
        Ok(Self {
            whole: starts.iter().zip(asked).any(|(start, asked)| *start != asked.ids),
            starts,
            columns: case
                .stage("greedy_ids")
                .and_then(|s| s.expected.shape.last().copied()),
            steps,
            minimum: case.count("min_length")?.unwrap_or(0).saturating_sub(longest),
            end: case.ids("eos")?,
            pad: case.ids("pad")?.first().copied().unwrap_or(0),
        })
    }

    /// A row of ids in the reference's layout: new tokens of sequence `i`, its end token included, `width` of them.
    pub fn row(&self, i: usize, new: &[u32], width: usize) -> Vec<i64> {
        let start = self.starts[i].iter().filter(|_| self.whole);
        let mut row: Vec<i64> = start.chain(new).map(|id| i64::from(*id)).collect();
        row.resize(row.len() + width - new.len(), i64::from(self.pad));
        row
    }

    /// The prompts as the engine takes them.
    pub fn requests(&self, asked: &[ReferencePrompt]) -> Result<Vec<Request>, CaseError> {
        let mut requests = Vec::with_capacity(asked.len());
        for a in asked {
            let mut pictures = Vec::with_capacity(a.pictures.len());
            for (patches, grid) in &a.pictures {
                pictures.push(Picture {
                    patches: patches.clone(),
                    grid: *grid,
                    video_seconds: None,
                    key: None,
                });
            }
            requests.push(Request {
                ids: a.ids.clone(),
                pictures,
                max_tokens: self.steps,
                min_tokens: self.minimum,
                sampling: Sampling::default(),
                end: self.end.clone(),
                rule: PositionRule::default(),
            });
        }
        Ok(requests)
    }
}
