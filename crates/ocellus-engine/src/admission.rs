//! Admission: waiting requests are encoded and begin, and planned reads get their KV blocks.

use ocellus_models::Embeddings;
use ocellus_nn::BLOCK;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::event::Event;
use crate::prompt::{self, Input};
use crate::request::{Picture, RequestId};

impl Engine<'_> {
    /// Encodes the pictures of the requests that begin next, all in one packed pass, and assembles their prompts.
    pub(crate) fn encode_waiting(&mut self) {
        let (mut chosen, mut tokens) = (Vec::new(), 0);
        let places = self
            .options
            .running
            .saturating_sub(self.scheduler.running().len());
        for id in self.scheduler.waiting().take(places) {
            let sequence = &self.sequences[&id];
            if tokens > 0 && tokens + sequence.request.ids.len() > self.options.prefill_tokens_alone {
                break;
            }
            tokens += sequence.request.ids.len();
            if sequence.input.is_none() {
                chosen.push(id);
            }
        }
        if chosen.is_empty() {
            return;
        }
        let started = self.clock.now_ns();
        let pictures: Vec<Vec<Picture>> = chosen
            .iter()
            .map(|id| self.sequences[id].request.pictures.clone())
            .collect();
        let together: Vec<&[Picture]> = pictures.iter().map(Vec::as_slice).collect();
        let encoded: Vec<Result<Vec<Embeddings>, EngineError>> = match self.encoded(&together) {
            Ok(all) => all.into_iter().map(Ok).collect(),
            // When several requests fail together, each is encoded alone to find the one at fault.
            Err(error) if together.len() == 1 => vec![Err(error)],
            Err(_) => together
                .iter()
                .map(|own| self.encoded(&[own]).map(|mut all| all.remove(0)))
                .collect(),
        };
        let encoded_at = self.clock.now_ns();
        self.timing.encode_ns += encoded_at - started;
        for (id, encoded) in chosen.into_iter().zip(encoded) {
            let sequence = &self.sequences[&id];
            let input = encoded.and_then(|own| Input::new(self.runner.vlm(), &sequence.request, &own));
            match input {
                Ok(input) => {
                    let (model, keep) = (self.runner.vlm(), self.options.prefix_cache);
                    let sequence = self.sequences.get_mut(&id).expect("it was there");
                    sequence.open(model, input, keep);
                }
                Err(error) => self.fail(id, error),
            }
        }
        self.timing.prefill_ns += self.clock.now_ns() - encoded_at;
    }

    /// The visual tokens of the pictures of several requests.
    pub(crate) fn encoded(&mut self, requests: &[&[Picture]]) -> Result<Vec<Vec<Embeddings>>, EngineError> {
        let all: Vec<&Picture> = requests.iter().copied().flatten().collect();
        let mut found: Vec<Option<Embeddings>> = all.iter().map(|p| self.encoder.get(p)).collect();
        for video in [false, true] {
            let missing = |i: &usize| found[*i].is_none() && all[*i].video_seconds.is_some() == video;
            let missing: Vec<usize> = (0..all.len()).filter(missing).collect();
            let pictures: Vec<&Picture> = missing.iter().map(|i| all[*i]).collect();
            let tokens = prompt::encode(self.runner.vlm(), &pictures)?;
            for (i, tokens) in missing.into_iter().zip(tokens) {
                self.encoder.keep(all[i], &tokens);
                found[i] = Some(tokens);
            }
        }
        let mut found = found.into_iter().flatten();
        Ok(requests
            .iter()
            .map(|own| found.by_ref().take(own.len()).collect())
            .collect())
    }

    /// Starts waiting requests in order, as long as the pool has all the blocks for their known tokens.
    pub(crate) fn begin_waiting(&mut self) {
        while self.scheduler.running().len() < self.options.running {
            let Some(id) = self.scheduler.waiting().next() else {
                return;
            };
            let sequence = self.sequences.get_mut(&id).expect("it waits");
            if sequence.input.is_none() {
                return;
            }
            let known = sequence.known();
            // The last known token is always read again, since its logits are needed.
            let whole = (known - 1) / BLOCK;
            let keys = &sequence.keys[..sequence.keys.len().min(whole)];
            let blocks = self.prefixes.take(keys, &mut self.runner.pool);
            sequence.table.len = blocks.len() * BLOCK;
            sequence.table.blocks = blocks;
            let missing = self
                .runner
                .missing(&sequence.table, known + 1 - sequence.table.len);
            let room = self.runner.pool.available() + self.prefixes.idle(&self.runner.pool);
            if missing > room && !self.scheduler.running().is_empty() {
                let mut table = std::mem::take(&mut sequence.table);
                let _ = self.runner.truncate(&mut table, 0);
                return;
            }
            let cached_tokens = sequence.table.len;
            if !sequence.announced {
                sequence.announced = true;
                self.events.push(Event::Started {
                    id,
                    prompt_tokens: sequence.prompt_tokens(),
                    cached_tokens,
                });
            }
            self.scheduler.begin();
        }
    }

    /// Allocates blocks for the planned reads: free ones first, then blocks that only the prefix cache holds, then those of the
    /// youngest sequences (preemption). Returns what can be read.
    pub(crate) fn make_room(&mut self, plan: Vec<(RequestId, usize)>) -> Vec<(RequestId, usize)> {
        let mut ready: Vec<(RequestId, usize)> = Vec::with_capacity(plan.len());
        // Oldest first, so that every sequence finishes eventually.
        let mut order = plan;
        order.sort_by_key(|(id, _)| *id);
        for (id, count) in order {
            while self.scheduler.running().contains(&id) {
                let Some(sequence) = self.sequences.get_mut(&id) else {
                    break;
                };
                let mut table = std::mem::take(&mut sequence.table);
                let prepared = self.runner.prepare(&mut table, count);
                let tokens = table.len + count;
                self.sequences.get_mut(&id).expect("it runs").table = table;
                match prepared {
                    Ok(true) => {
                        ready.push((id, count));
                        break;
                    }
                    Ok(false) if self.evict() => {}
                    Ok(false) => match self.preempt() {
                        Some(other) => ready.retain(|(id, _)| *id != other),
                        None => {
                            let most = self.options.kv_tokens();
                            self.fail(id, EngineError::Room { tokens, most });
                        }
                    },
                    Err(error) => self.fail(id, error),
                }
            }
        }
        // Decoding sequences first: their tokens are embedded together.
        ready.sort_by_key(|(id, _)| !self.sequences[id].decodes());
        ready
    }

    /// Frees a block that only the prefix cache holds.
    pub(crate) fn evict(&mut self) -> bool {
        match self.prefixes.evict(&mut self.runner.pool) {
            Some(block) => self.runner.freed(block).is_ok(),
            None => false,
        }
    }

    fn preempt(&mut self) -> Option<RequestId> {
        let id = self.scheduler.preempt()?;
        self.preemptions += 1;
        let sequence = self.sequences.get_mut(&id).expect("it ran");
        let _ = self.runner.truncate(&mut sequence.table, 0);
        Some(id)
    }
}
