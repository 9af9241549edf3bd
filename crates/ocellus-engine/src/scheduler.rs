//! The scheduler: which requests run, which wait, and how many tokens of each a step processes.

use std::collections::VecDeque;

use crate::request::RequestId;

/// The work left of a running sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Need {
    /// Tokens that the decoder has not processed yet.
    pub pending: usize,
    /// It decodes: one generated token a step.
    pub decodes: bool,
}

/// First come, first served; a sequence joins while others decode.
#[derive(Debug, Default)]
pub(crate) struct Scheduler {
    /// Waiting requests, first to start in front.
    waiting: VecDeque<RequestId>,
    /// Running requests, oldest first.
    running: Vec<RequestId>,
}

impl Scheduler {
    pub fn push(&mut self, id: RequestId) {
        self.waiting.push_back(id);
    }

    pub fn waiting(&self) -> impl Iterator<Item = RequestId> {
        self.waiting.iter().copied()
    }

    pub fn running(&self) -> &[RequestId] {
        &self.running
    }

    pub fn waits(&self) -> usize {
        self.waiting.len()
    }

    /// Moves the first waiting request to the running ones.
    pub fn begin(&mut self) -> Option<RequestId> {
        let id = self.waiting.pop_front()?;
        let place = self.running.partition_point(|other| *other < id);
        self.running.insert(place, id);
        Some(id)
    }

    /// A sequence gives up its blocks: the youngest that runs, so that the oldest always comes to its end. It is the first to
    /// begin again. `None` when only one runs.
    pub fn preempt(&mut self) -> Option<RequestId> {
        if self.running.len() < 2 {
            return None;
        }
        let id = self.running.pop()?;
        self.waiting.push_front(id);
        Some(id)
    }

    pub fn remove(&mut self, id: RequestId) {
        self.waiting.retain(|other| *other != id);
        self.running.retain(|other| *other != id);
    }

    /// How many tokens of every running sequence the next step processes: one of each that decodes, then of the others what the budgets
    /// allow, oldest first. `beside` is the budget when others decode, `alone` when none does.
    pub fn plan(
        &self,
        beside: usize,
        alone: usize,
        need: impl Fn(RequestId) -> Need,
    ) -> Vec<(RequestId, usize)> {
        let needs = || self.running.iter().map(|id| (*id, need(*id)));
        let mut plan: Vec<_> = needs()
            .filter(|(_, n)| n.decodes)
            .map(|(id, _)| (id, 1))
            .collect();
        let mut budget = if plan.is_empty() { alone } else { beside };
        for (id, Need { pending, .. }) in needs().filter(|(_, n)| !n.decodes) {
            let count = pending.min(budget);
            budget -= count;
            if count > 0 {
                plan.push((id, count));
            }
        }
        plan
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(list: &[u64]) -> Vec<RequestId> {
        list.iter().map(|i| RequestId(*i)).collect()
    }

    fn begun(count: u64) -> Scheduler {
        let mut scheduler = Scheduler::default();
        (0..count).for_each(|i| scheduler.push(RequestId(i)));
        (0..count).for_each(|_| assert!(scheduler.begin().is_some()));
        scheduler
    }

    #[test]
    fn those_that_decode_come_first_and_prompts_share_the_budget() {
        let scheduler = begun(4);
        // 1 and 3 decode; 0 and 2 have prompts of 10.
        let need = |id: RequestId| Need {
            pending: if id.0 % 2 == 1 { 1 } else { 10 },
            decodes: id.0 % 2 == 1,
        };
        let planned =
            |plan: Vec<(RequestId, usize)>| plan.into_iter().map(|(id, n)| (id.0, n)).collect::<Vec<_>>();
        assert_eq!(planned(scheduler.plan(4, 100, need)), [(1, 1), (3, 1), (0, 4)]);
        assert_eq!(
            planned(scheduler.plan(13, 100, need)),
            [(1, 1), (3, 1), (0, 10), (2, 3)]
        );
        assert_eq!(planned(scheduler.plan(0, 100, need)), [(1, 1), (3, 1)]);
        let prompts = |_| Need {
            pending: 6,
            decodes: false,
        };
        assert_eq!(planned(scheduler.plan(4, 13, prompts)), [(0, 6), (1, 6), (2, 1)]);
    }

    #[test]
    fn the_youngest_gives_way_and_begins_again_first() {
        let mut scheduler = begun(3);
        scheduler.push(RequestId(7));
        assert_eq!(scheduler.preempt(), Some(RequestId(2)));
        assert_eq!(scheduler.preempt(), Some(RequestId(1)));
        assert_eq!(scheduler.preempt(), None, "the last one stays");
        assert_eq!(scheduler.waiting().collect::<Vec<_>>(), ids(&[1, 2, 7]));
        scheduler.remove(RequestId(1));
        assert_eq!(scheduler.begin(), Some(RequestId(2)));
        assert_eq!(scheduler.running(), ids(&[0, 2]));
        assert_eq!(scheduler.waits(), 1);
    }
}
