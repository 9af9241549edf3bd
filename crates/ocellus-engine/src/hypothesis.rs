//! What beam search and ranking share: prompts that are read once, and continuations that branch off them.

use candle_core::Tensor;
use ocellus_base::trace::span;
use ocellus_models::Embeddings;
use ocellus_nn::{BlockTable, CrossSpan};

use crate::engine::Engine;
use crate::error::EngineError;
use crate::prompt::{Input, check};
use crate::request::{Picture, Request};
use crate::runner::{Part, each_row};

/// A prefilled prompt.
pub(crate) struct Opened(Input);

/// Tokens to process next, which follow those in a block table.
pub(crate) struct Next<'t> {
    pub ids: Vec<u32>,
    pub positions: Vec<[i64; 3]>,
    pub cross: Option<CrossSpan>,
    pub table: &'t mut BlockTable,
}

impl Opened {
    /// Where generated token number `i` stands.
    pub fn place(&self, i: usize) -> [i64; 3] {
        self.0.place(i)
    }

    pub fn cross(&self) -> Option<CrossSpan> {
        self.0.cross.clone()
    }
}

/// Prefilled prompts with their KV blocks.
type OpenedWithTables = Vec<(Opened, BlockTable)>;

impl Engine<'_> {
    /// Prefills the prompts of requests; the logits of each prompt's last token.
    pub(crate) fn open(
        &mut self,
        requests: &[Request],
    ) -> Result<(OpenedWithTables, Vec<Vec<f32>>), EngineError> {
        requests.iter().try_for_each(|r| check(self.model(), r))?;
        if requests.is_empty() {
            return Ok(Default::default());
        }
        let pictures: Vec<&[Picture]> = requests.iter().map(|r| r.pictures.as_slice()).collect();
        let encoded = self.encoded(&pictures)?;
        let inputs: Vec<Input> = requests
            .iter()
            .zip(&encoded)
            .map(|(request, own)| Input::new(self.model(), request, own))
            .collect::<Result<_, _>>()?;
        let mut tables = vec![BlockTable::default(); inputs.len()];
        let _span = span("prefill");
        let parts = inputs.iter().zip(&mut tables).map(|(input, table)| Part {
            positions: input.positions.clone(),
            cross: input.cross.clone(),
            table,
        });
        let embeds: Vec<Embeddings> = inputs.iter().map(|i| i.embeds.clone()).collect();
        let ends: Vec<usize> = inputs
            .iter()
            .scan(0, |end, input| {
                *end += input.ids.len();
                Some(*end - 1)
            })
            .collect();
        let read = self.read_parts(parts.collect(), &Embeddings::cat(&embeds)?);
        let logits = read.and_then(|hidden| rows(&self.runner.logits(&hidden, &ends)?));
        match logits {
            Ok(logits) => Ok((inputs.into_iter().map(Opened).zip(tables).collect(), logits)),
            Err(error) => {
                tables.iter_mut().try_for_each(|table| self.close(table))?;
                Err(error)
            }
        }
    }

    /// Processes tokens that follow those in block tables; the logits of every token.
    pub(crate) fn read_next(&mut self, next: Vec<Next>) -> Result<Vec<Vec<f32>>, EngineError> {
        let _span = span("decode");
        let ids: Vec<u32> = next.iter().flat_map(|n| n.ids.iter().copied()).collect();
        let embeds = self.runner.embed(&ids)?;
        let part = |n| {
            let Next {
                positions,
                cross,
                table,
                ..
            } = n;
            Part {
                positions,
                table,
                cross,
            }
        };
        let hidden = self.read_parts(next.into_iter().map(part).collect(), &embeds)?;
        rows(&self.runner.logits(&hidden, &(0..ids.len()).collect::<Vec<_>>())?)
    }

    fn read_parts(&mut self, mut parts: Vec<Part>, embeds: &Embeddings) -> Result<Tensor, EngineError> {
        for part in &mut parts {
            let count = part.positions.len();
            while !self.runner.prepare(part.table, count)? {
                if !self.evict() {
                    return Err(EngineError::Room {
                        tokens: part.table.len + count,
                        most: self.options().kv_tokens(),
                    });
                }
            }
        }
        self.runner.forward(&mut parts, embeds)
    }

    /// Releases the blocks of a table.
    pub(crate) fn close(&mut self, table: &mut BlockTable) -> Result<(), EngineError> {
        self.runner.truncate(table, 0)
    }
}

fn rows(logits: &Tensor) -> Result<Vec<Vec<f32>>, EngineError> {
    let mut rows = Vec::new();
    each_row(logits, |_, row| rows.push(row.to_vec()))?;
    Ok(rows)
}
