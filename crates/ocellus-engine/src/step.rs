//! One step of the engine: a forward pass over the planned tokens, and the choice of new tokens.

use candle_core::Tensor;
use ocellus_base::trace::span;
use ocellus_models::Embeddings;
use ocellus_nn::BLOCK;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::event::{Event, FinishReason};
use crate::options::EngineOptions;
use crate::request::RequestId;
use crate::runner::{Part, each_row};
use crate::scheduler::Need;

impl Engine<'_> {
    /// Starts requests while there is room, reads what was planned, chooses a token for each sequence whose known tokens are all
    /// read, and returns all events since the last step, in order. An error of one request ends that request only.
    pub fn step(&mut self) -> Vec<Event> {
        self.encode_waiting();
        self.begin_waiting();
        let plan = self.make_room(self.planned());
        if !plan.is_empty() {
            self.run(&plan);
        }
        std::mem::take(&mut self.events)
    }

    fn planned(&self) -> Vec<(RequestId, usize)> {
        let need = |id: RequestId| {
            let sequence = &self.sequences[&id];
            Need {
                pending: sequence.pending(),
                decodes: sequence.decodes(),
            }
        };
        let EngineOptions {
            prefill_tokens,
            prefill_tokens_alone,
            ..
        } = self.options;
        self.scheduler.plan(prefill_tokens, prefill_tokens_alone, need)
    }

    /// Reads the planned tokens in one pass. If that fails, each sequence is read alone, and those that fail end.
    fn run(&mut self, plan: &[(RequestId, usize)]) {
        let started = self.clock.now_ns();
        let prefills = plan.iter().any(|(id, _)| !self.sequences[id].decodes());
        let read = {
            let _span = span(if prefills { "prefill" } else { "decode" });
            self.read(plan)
        };
        let elapsed = self.clock.now_ns() - started;
        match prefills {
            true => self.timing.prefill_ns += elapsed,
            false => self.timing.decode_ns += elapsed,
        }
        match read {
            Ok(Some(logits)) => {
                let started = self.clock.now_ns();
                self.choose(plan, &logits);
                self.timing.decode_ns += self.clock.now_ns() - started;
            }
            Ok(None) => {}
            Err(error) => match plan {
                [(id, _)] => self.fail(*id, error),
                _ => plan.iter().for_each(|one| self.run(&[*one])),
            },
        }
    }

    /// Logits behind the last known tokens of the sequences that have read all they know, in their order; `None` when there are none.
    fn read(&mut self, plan: &[(RequestId, usize)]) -> Result<Option<Tensor>, EngineError> {
        let embeds = self.embeds(plan)?;
        let before: Vec<usize> = plan.iter().map(|(id, _)| self.sequences[id].table.len).collect();
        let mut tables: Vec<_> = plan
            .iter()
            .map(|(id, _)| self.sequences[id].table.clone())
            .collect();
        let mut parts: Vec<Part> = Vec::with_capacity(plan.len());
        for ((id, count), table) in plan.iter().zip(&mut tables) {
            let sequence = &self.sequences[id];
            parts.push(Part {
                positions: sequence.positions_next(*count),
                table,
                cross: sequence.input.as_ref().and_then(|input| input.cross.clone()),
            });
        }
        let hidden = self.runner.forward(&mut parts, &embeds)?;
        let (mut index, mut end) = (Vec::new(), 0);
        for (((id, count), table), before) in plan.iter().zip(tables).zip(before) {
            end += count;
            let sequence = self.sequences.get_mut(id).expect("it is planned");
            sequence.table = table;
            if sequence.pending() == 0 {
                index.push(end - 1);
            }
            let full = before / BLOCK..(sequence.table.len / BLOCK).min(sequence.keys.len());
            for i in full {
                let (key, block) = (sequence.keys[i], sequence.table.blocks[i]);
                self.prefixes.keep(key, block, &mut self.runner.pool);
            }
        }
        if index.is_empty() {
            return Ok(None);
        }
        self.runner.logits(&hidden, &index).map(Some)
    }

    /// The embeddings of what is planned; sequences that decode stand in front.
    fn embeds(&self, plan: &[(RequestId, usize)]) -> Result<Embeddings, EngineError> {
        let _span = span("embed");
        let decoding = plan.iter().take_while(|(id, _)| self.sequences[id].decodes());
        let first: Vec<u32> = decoding
            .flat_map(|(id, count)| self.sequences[id].generated_next(*count))
            .copied()
            .collect();
        let mut pieces = Vec::new();
        let embed = |ids: &[u32]| self.runner.embed(ids);
        if !first.is_empty() {
            pieces.push(embed(&first)?);
        }
        for (id, count) in &plan[first.len()..] {
            let sequence = &self.sequences[id];
            let generated = sequence.generated_next(*count);
            let of_prompt = count - generated.len();
            if of_prompt > 0 {
                let input = sequence.input.as_ref().expect("a sequence that runs was opened");
                pieces.push(match of_prompt == input.ids.len() {
                    true => input.embeds.clone(),
                    false => input.embeds.narrow(sequence.table.len, of_prompt)?,
                });
            }
            if !generated.is_empty() {
                pieces.push(embed(generated)?);
            }
        }
        Ok(Embeddings::cat(&pieces)?)
    }

    /// Chooses the next token of every sequence that has read all it knows.
    fn choose(&mut self, plan: &[(RequestId, usize)], logits: &Tensor) {
        let _span = span("sample");
        let ready: Vec<RequestId> = plan
            .iter()
            .map(|(id, _)| *id)
            .filter(|id| self.sequences.get(id).is_some_and(|s| s.pending() == 0))
            .collect();
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut chosen = Vec::with_capacity(ready.len());
        let read = each_row(logits, |i, row| {
            let sequence = self.sequences.get_mut(&ready[i]).expect("it is ready");
            if sequence.request.max_tokens > 0 {
                chosen.push((ready[i], Some(sequence.choose(row, &mut scratch))));
            } else {
                chosen.push((ready[i], None));
            }
        });
        self.scratch = scratch;
        if let Err(error) = read {
            let what = error.to_string();
            for id in ready {
                let error = candle_core::Error::Msg(what.clone()).into();
                self.fail(id, error);
            }
            return;
        }
        for (id, chosen) in chosen {
            match chosen {
                None => {
                    self.finish(id, FinishReason::Length);
                }
                Some(Err(error)) => self.fail(id, error),
                Some(Ok(chosen)) => {
                    if let Some(token) = chosen.token {
                        let text = chosen.text;
                        self.events.push(Event::Token { id, token, text });
                    }
                    if let Some(reason) = chosen.finish {
                        self.finish(id, reason);
                    }
                }
            }
        }
    }
}
