//! Where tensors lie: in which of a checkpoint's files, and where there.

use crate::header::Entry;
use crate::quantised::{Layout, Scheme};
use std::sync::Arc;

#[derive(Clone)]
pub(super) struct Placed {
    pub file: usize,
    pub entry: Entry,
}

/// A quantised matrix that was found: its tensors, which have no names of their own then.
#[derive(Clone)]
pub(super) struct Found {
    pub layout: &'static Layout,
    /// By the ends of their names.
    pub parts: Vec<(&'static str, Placed)>,
    pub shape: [usize; 2],
    pub scheme: Arc<Scheme>,
}

impl Found {
    pub fn placed(&self) -> impl Iterator<Item = &Placed> {
        self.parts.iter().map(|(_, placed)| placed)
    }

    /// The same behind so many other files.
    pub fn moved(mut self, before: usize) -> Self {
        for (_, placed) in &mut self.parts {
            placed.file += before;
        }
        self
    }
}
