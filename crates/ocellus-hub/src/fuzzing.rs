//! What a fuzz target calls; part of its builds only.

use crate::reference::RepositoryId;
use crate::{HubError, Source, listing};

/// What the answer of each hub would name: its commit and its files.
pub fn listings(bytes: &[u8]) -> Vec<Result<(String, Vec<String>), HubError>> {
    let id = RepositoryId::parse("org/model").expect("a good name");
    let read = |source| {
        let list = listing::parse(source, "host", &id, bytes)?;
        Ok((
            list.commit,
            list.files.into_iter().map(|file| file.name).collect(),
        ))
    };
    [Source::HuggingFace, Source::ModelScope].map(read).into()
}
