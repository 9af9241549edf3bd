//! Weight files: names to tensors, without knowing what a name means.
//!
//! Reads the safetensors format from a memory-mapped file, from shards that
//! a `model.safetensors.index.json` lists, from bytes compiled into the program, or from owned bytes. Every offset, shape
//! and length is checked once, when a file is opened; a [`View`] handed out later cannot be out of range.
//!
//! ```
//! use ocellus_weights::{Dtype, Weights, encode};
//! use std::collections::BTreeMap;
//!
//! let bias = ("bias".to_string(), Dtype::F32, vec![2], ocellus_weights::f32_bytes(&[1.0, -2.0], Dtype::F32)?);
//! let weights = Weights::from_bytes(encode(&[bias], &BTreeMap::new())?, "example")?;
//! assert_eq!(weights.view("bias")?.to_f32()?, [1.0, -2.0]);
//! # Ok::<(), ocellus_weights::WeightsError>(())
//! ```

mod dtype;
mod error;
mod header;
mod index;
mod npy;
mod regions;
mod storage;
mod view;
mod weights;
mod write;

pub use dtype::Dtype;
pub use error::WeightsError;
pub use header::{MAX_HEADER_BYTES, MAX_RANK, MAX_TENSORS};
pub use index::{MAX_INDEX_BYTES, MAX_SHARDS};
pub use regions::{MAX_REGIONS, MAX_REGIONS_BYTES, Regions, RegionsError};
pub use view::View;
pub use weights::Weights;
pub use write::{TensorBytes, encode, f32_bytes, i64_bytes, write};

/// What every fallible function of this crate returns.
pub type Result<T> = std::result::Result<T, WeightsError>;
