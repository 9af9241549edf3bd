//! Where in the saved object the tensors are that the checkpoint is about.

use super::machine::Outcome;
use super::value::{Heap, Value};
use std::collections::VecDeque;

/// Keys that trainers put the state dict under, beside the optimizer's state and the epoch.
const WRAPPERS: &[&str] = &["state_dict", "model", "module", "model_state_dict"];

/// Names and places (in [`Heap::tensors`]) of the tensors of the state dict: the first dictionary in which most values are
/// tensors under names, seen from the top. Under a wrapper's key it goes before the dictionary that holds the key.
///
/// Only names are followed, not numbers: an optimizer's state, which is numbered, is never taken for a model.
pub(super) fn find<'p>(saved: &Outcome<'p>) -> Option<Vec<(&'p str, usize)>> {
    let Value::Dict(top) = saved.value else {
        return None;
    };
    let dicts = &saved.heap.dicts;
    let of_tensors: Vec<bool> = (0..dicts.len())
        .map(|place| mostly_tensors(&saved.heap, place))
        .collect();
    let mut seen = vec![false; dicts.len()];
    let mut pending = VecDeque::from([top]);
    while let Some(place) = pending.pop_front() {
        if std::mem::replace(&mut seen[place], true) {
            continue;
        }
        let mut inner: Vec<(usize, usize)> = dicts[place]
            .iter()
            .filter_map(|pair| match pair {
                (Value::Text(key), Value::Dict(inner)) => Some((rank(key), *inner)),
                _ => None,
            })
            .collect();
        inner.sort_by_key(|(rank, _)| *rank); // stable: what is no wrapper keeps its order
        let wrapped = inner
            .iter()
            .find(|(rank, inner)| *rank < WRAPPERS.len() && of_tensors[*inner])
            .map(|(_, inner)| *inner);
        if let Some(found) = wrapped.or(of_tensors[place].then_some(place)) {
            return Some(tensors(&saved.heap, found).collect());
        }
        pending.extend(inner.into_iter().map(|(_, inner)| inner));
    }
    None
}

fn rank(key: &str) -> usize {
    WRAPPERS
        .iter()
        .position(|wrapper| *wrapper == key)
        .unwrap_or(WRAPPERS.len())
}

fn mostly_tensors(heap: &Heap, place: usize) -> bool {
    2 * tensors(heap, place).count() > heap.dicts[place].len()
}

fn tensors<'h, 'p>(heap: &'h Heap<'p>, place: usize) -> impl Iterator<Item = (&'p str, usize)> + use<'h, 'p> {
    heap.dicts[place].iter().filter_map(|pair| match pair {
        (Value::Text(name), Value::Tensor(tensor)) => Some((*name, *tensor)),
        _ => None,
    })
}
