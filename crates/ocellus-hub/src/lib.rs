//! Where checkpoints come from: built into the program, a folder, the hub's cache on this machine, a download.
//!
//! [`Reference::parse`] reads what a user wrote, [`Hub::resolve`] turns it into a [`Checkpoint`]. The crate reads no
//! environment and picks no folder: the binary fills in a [`HubConfig`].
//!
//! The download is our own, over the blocking HTTP client `ureq`, and not the `hf-hub` crate: version 1.0 of that crate
//! brings an asynchronous runtime and a second HTTP stack, reads the environment itself, sends the token to whatever
//! endpoint is set (a mirror would get it), continues no broken download and compares no checksum. What is needed of
//! the hub's interface is two requests; see `listing.rs`.
//!
//! Promises, each with a test: a snapshot shows a file only when its checksum was right; a broken download continues
//! where it stopped; the token goes to the official host over https and nowhere else; names from the network never
//! leave the cache folder; every wait has a bound.

pub mod adapter;
pub mod built_in;
mod cache;
mod checksum;
mod config;
mod disk;
mod download;
mod error;
#[cfg(fuzzing)]
pub mod fuzzing;
mod gguf;
mod hashed;
mod http;
mod hub;
mod inventory;
mod listing;
mod lock;
mod modelscope;
mod progress;
mod reference;
mod selection;
#[cfg(test)]
mod tests;

pub use crate::config::{HubConfig, Proxy, Source, Timeouts, Token};
pub use crate::disk::available_bytes;
pub use crate::error::HubError;
pub use crate::gguf::GgufFiles;
pub use crate::hub::{Checkpoint, Hub, Location};
pub use crate::inventory::{Cached, CachedSnapshot};
pub use crate::progress::{Progress, Silent};
pub use crate::reference::{BUILT_IN, Reference, RepositoryId, Revision};
pub use crate::selection::is_read;
