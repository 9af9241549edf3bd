//! Weight files: names to tensors, without knowing what a name means.
//!
//! Reads the safetensors format, GGUF files, and the tensors of a torch checkpoint (`.bin`, `.pt`, `.pth`), from a memory-mapped
//! file, from shards that an index lists, from bytes compiled into the program, or from owned bytes. Every offset, shape and
//! length is checked once, when a file is opened; a [`View`] handed out later cannot be out of range.
//!
//! Quantised tensors stay as they are stored: [`View::to_f32`] gives their values, [`View::grouped`] their integers and scales.
//! Matrices whose codes, zeros and scales are tensors beside one another become one: [`Weights::quantised`], [`QuantisedMatrix`].
//!
//! A torch checkpoint is a pickle, a program that could import and call anything. Nothing of it is run: it is read as a
//! description of tensors, and one that wants to import anything else is refused with the name of what it wants
//! ([`WeightsError::Import`]).
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

mod blocks;
mod dtype;
mod error;
pub mod gguf;
mod grouped;
mod header;
mod index;
#[cfg(unix)]
mod lost;
mod low_rank;
mod minifloat;
mod npy;
mod quantised;
mod rebuilt;
mod regions;
mod storage;
mod torch;
mod view;
mod weights;
mod write;

pub use dtype::Dtype;
pub use error::{Result, WeightsError};
pub use grouped::Grouped;
pub use header::{MAX_HEADER_BYTES, MAX_RANK, MAX_TENSORS};
pub use index::{MAX_INDEX_BYTES, MAX_SHARDS};
pub use low_rank::LowRank;
pub use quantised::{QuantisedMatrix, Scheme, Words};
pub use rebuilt::Assembly;
pub use regions::{MAX_REGIONS, MAX_REGIONS_BYTES, Regions, RegionsError};
pub use view::View;
pub use weights::Weights;
pub use write::{TensorBytes, TensorRef, encode, f32_bytes, i64_bytes, write, write_refs};
