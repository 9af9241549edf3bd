//! The engine: requests are submitted, stepped, cancelled, rewound.

use std::collections::BTreeMap;

use ocellus_base::clock::Clock;
use ocellus_models::Vlm;

use crate::encoder_cache::EncoderCache;
use crate::error::EngineError;
use crate::event::{Event, FinishReason};
use crate::model::ModelHandle;
use crate::options::EngineOptions;
use crate::prefix_cache::PrefixCache;
use crate::prompt;
use crate::request::{Attached, Request, RequestId};
use crate::runner::Runner;
use crate::scheduler::Scheduler;
use crate::sequence::Sequence;
use crate::timing::Timing;

/// Runs many requests of one model at a time.
pub struct Engine<'m> {
    pub(crate) runner: Runner<'m>,
    pub(crate) prefixes: PrefixCache,
    pub(crate) encoder: EncoderCache,
    pub(crate) scheduler: Scheduler,
    pub(crate) sequences: BTreeMap<RequestId, Sequence>,
    pub(crate) options: EngineOptions,
    pub(crate) clock: Box<dyn Clock + 'm>,
    /// Events that happened between steps.
    pub(crate) events: Vec<Event>,
    next: u64,
    pub(crate) timing: Timing,
    pub(crate) preemptions: u64,
    pub(crate) scratch: Vec<f32>,
}

/// What remains of an answer after a rewind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewound {
    /// Generated tokens that stay.
    pub tokens: usize,
    /// The text released by those tokens. Text beyond it in earlier events is no longer valid.
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

    /// Time spent in all steps so far.
    pub fn timing(&self) -> Timing {
        self.timing
    }

    /// Number of preemptions: a sequence gave up its blocks and has to be read again.
    pub fn preemptions(&self) -> u64 {
        self.preemptions
    }

    /// Whether no request runs or waits and no event is pending.
    pub fn is_idle(&self) -> bool {
        self.sequences.is_empty() && self.events.is_empty()
    }

    /// Whether the queue has room for another request.
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

    /// As [`submit`](Self::submit), with a tokenizer, stop strings and logits processors.
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

    /// Ends a request with the tokens generated so far; false when it no longer exists. The next step reports its end.
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

    pub(crate) fn fail(&mut self, id: RequestId, error: EngineError) {
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

    /// Removes the last `count` tokens of a request and everything that depends on them: keys and values, penalties, random
    /// draws, text. `None` when the request no longer exists.
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

    /// Fails, with a sentence, unless the references of every block match its owners.
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
