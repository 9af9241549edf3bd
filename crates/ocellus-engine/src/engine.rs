//! The engine: requests are submitted, stepped, cancelled, rewound.

use std::collections::BTreeMap;

use candle_core::Tensor;
use ocellus_base::clock::Clock;
use ocellus_base::trace::span;
use ocellus_models::{Embeddings, Vlm};
use ocellus_nn::BLOCK;

use crate::encoder_cache::EncoderCache;
use crate::error::EngineError;
use crate::event::{Event, FinishReason};
use crate::model::ModelHandle;
use crate::options::EngineOptions;
use crate::prefix_cache::PrefixCache;
use crate::prompt::{self, Input};
use crate::request::{Attached, Picture, Request, RequestId};
use crate::runner::{Part, Runner, each_row};
use crate::scheduler::{Need, Scheduler};
use crate::sequence::Sequence;
use crate::timing::Timing;

/// Runs many requests of one model at a time.
pub struct Engine<'m> {
    pub(crate) runner: Runner<'m>,
    pub(crate) prefixes: PrefixCache,
    encoder: EncoderCache,
    scheduler: Scheduler,
    sequences: BTreeMap<RequestId, Sequence>,
    options: EngineOptions,
    clock: Box<dyn Clock + 'm>,
    /// What happened outside of steps.
    events: Vec<Event>,
    next: u64,
    timing: Timing,
    preemptions: u64,
    scratch: Vec<f32>,
}

/// What is left of an answer after tokens were taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewound {
    /// Generated tokens that stay.
    pub tokens: usize,
    /// The text that those had released. What events said beyond it does not hold any more.
    pub text: String,
}

impl<'m> Engine<'m> {
    pub fn new(
        model: impl Into<ModelHandle<'m>>,
        options: EngineOptions,
        clock: impl Clock + 'm,
    ) -> Result<Self, EngineError> {
        let EngineOptions {
            kv_width,
            kv_blocks,
            poison,
            ..
        } = options;
        Ok(Self {
            runner: Runner::new(model.into(), kv_width, kv_blocks, poison)?,
            prefixes: PrefixCache::default(),
            encoder: EncoderCache::new(options.encoder_cache_bytes),
            scheduler: Scheduler::default(),
            sequences: BTreeMap::new(),
            options,
            clock: Box::new(clock),
            events: Vec::new(),
            next: 0,
            timing: Timing::default(),
            preemptions: 0,
            scratch: Vec::new(),
        })
    }

    pub fn model(&self) -> &dyn Vlm {
        self.runner.vlm()
    }

    pub fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// Where the time of all steps so far went.
    pub fn timing(&self) -> Timing {
        self.timing
    }

    /// How often a sequence gave up its blocks to be read again later.
    pub fn preemptions(&self) -> u64 {
        self.preemptions
    }

    /// Whether no request runs or waits, and nothing is left to be said.
    pub fn is_idle(&self) -> bool {
        self.sequences.is_empty() && self.events.is_empty()
    }

    /// Whether another request may wait.
    pub fn accepts(&self) -> bool {
        self.scheduler.waits() < self.options.waiting
    }

    /// Takes a request; its events come from [`step`](Self::step).
    ///
    /// # Errors
    /// A request that can never be served, and more than may wait.
    pub fn submit(&mut self, request: Request) -> Result<RequestId, EngineError> {
        self.submit_with(request, Attached::default())
    }

    /// The same with what goes along with it.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub fn submit_with(&mut self, request: Request, attached: Attached) -> Result<RequestId, EngineError> {
        prompt::check(self.model(), &request)?;
        if !self.accepts() {
            let waiting = self.scheduler.waits();
            return Err(EngineError::Queue { waiting });
        }
        let id = RequestId(self.next);
        self.next += 1;
        self.sequences.insert(id, Sequence::new(request, attached));
        self.scheduler.push(id);
        Ok(id)
    }

    /// Ends a request with what it has generated; false when there is no such request any more. The next step says that it ended.
    pub fn cancel(&mut self, id: RequestId) -> bool {
        self.finish(id, FinishReason::Cancelled)
    }

    /// As [`cancel`](Self::cancel), for a reason.
    pub fn finish(&mut self, id: RequestId, reason: FinishReason) -> bool {
        let Some(mut sequence) = self.take(id) else {
            return false;
        };
        let event = match sequence.finish() {
            Ok(text) => Event::Finished {
                id,
                reason,
                text,
                tokens: sequence.tokens,
            },
            Err(error) => Event::Failed { id, error },
        };
        self.events.push(event);
        true
    }

    fn fail(&mut self, id: RequestId, error: EngineError) {
        if self.take(id).is_some() {
            self.events.push(Event::Failed { id, error });
        }
    }

    /// Takes a sequence out and gives its blocks back.
    fn take(&mut self, id: RequestId) -> Option<Sequence> {
        let mut sequence = self.sequences.remove(&id)?;
        self.scheduler.remove(id);
        // Only poisoning can fail, and then the next step does.
        let _ = self.runner.truncate(&mut sequence.table, 0);
        Some(sequence)
    }

    /// Takes back the last `count` tokens of a request, with everything that followed from them: keys and values, penalties, draws,
    /// text. `None` when there is no such request any more.
    ///
    /// # Errors
    /// When its tokens cannot be turned into text again.
    pub fn rewind(&mut self, id: RequestId, count: usize) -> Result<Option<Rewound>, EngineError> {
        let Some(sequence) = self.sequences.get_mut(&id) else {
            return Ok(None);
        };
        let tokens = sequence.tokens.len().saturating_sub(count);
        if sequence.input.is_none() {
            return Ok(Some(Rewound {
                tokens,
                text: String::new(),
            }));
        }
        let text = sequence.rewind(tokens)?;
        let kept = sequence.kept();
        self.runner.truncate(&mut sequence.table, kept)?;
        Ok(Some(Rewound { tokens, text }))
    }

    /// The requests that run or wait, oldest first.
    pub fn requests(&self) -> impl Iterator<Item = RequestId> {
        self.sequences.keys().copied()
    }

    /// Tokens that a request has generated so far.
    pub fn generated(&self, id: RequestId) -> Option<usize> {
        self.sequences.get(&id).map(|s| s.tokens.len())
    }

    /// Lets requests begin for which there is room, reads what they need, chooses a token of each that has read all it knows, and
    /// returns what happened since the last step, in order. An error of one request ends that request only.
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

    /// Encodes the pictures of the requests that begin next, all in one packed pass, and assembles their prompts.
    fn encode_waiting(&mut self) {
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
            // Whose picture it was shows when each is encoded alone.
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

    /// Requests begin in their order, as long as all blocks that they need to read what they know can be had.
    fn begin_waiting(&mut self) {
        while self.scheduler.running().len() < self.options.running {
            let Some(id) = self.scheduler.waiting().next() else {
                return;
            };
            let sequence = self.sequences.get_mut(&id).expect("it waits");
            if sequence.input.is_none() {
                return;
            }
            let known = sequence.known();
            // The last known token is read again whatever is kept, since its logits are wanted.
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

    /// Gets blocks for what is planned: free ones, then those that are only kept for others, then those of the youngest sequences.
    /// Returns what can be read.
    fn make_room(&mut self, plan: Vec<(RequestId, usize)>) -> Vec<(RequestId, usize)> {
        let mut ready: Vec<(RequestId, usize)> = Vec::with_capacity(plan.len());
        // The oldest first, so that they come to their end.
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
        // Those that decode first: their tokens are embedded together.
        ready.sort_by_key(|(id, _)| !self.sequences[id].decodes());
        ready
    }

    /// Gives back a block that is only kept for others.
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

    /// Reads what is planned. When reading together fails, each is read alone, and those that fail end.
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

    /// Fails with a sentence unless every block is named by exactly those that count as its owners.
    pub fn check(&self) -> Result<(), String> {
        let kept = self.prefixes.blocks();
        let tables = self.sequences.values().map(|s| s.table.blocks.as_slice());
        self.runner.pool.check(tables.chain([kept.as_slice()]))?;
        let known: Vec<RequestId> = self.sequences.keys().copied().collect();
        let mut scheduled: Vec<RequestId> = self
            .scheduler
            .waiting()
            .chain(self.scheduler.running().iter().copied())
            .collect();
        scheduled.sort_unstable();
        if known != scheduled {
            return Err("the scheduler does not have exactly the requests that there are".to_owned());
        }
        let idle = self.scheduler.waiting().map(|id| &self.sequences[&id]);
        match idle.into_iter().all(|s| s.table.blocks.is_empty()) {
            true => Ok(()),
            false => Err("a request that waits has blocks".to_owned()),
        }
    }
}
