//! A model with everything that turns pictures and conversations into answers.
//!
//! Knows checkpoints, devices and widths; never arguments, a terminal, HTTP or the environment.

pub mod checkpoint;
pub mod compute;
pub mod error;
pub mod memory_estimate;
pub mod storage;
pub mod text_files;
pub mod widths;

pub use checkpoint::CheckpointFiles;
pub use compute::{Compute, ComputeOptions};
pub use error::SessionError;
pub use memory_estimate::{MemoryEstimate, Usage};
pub use storage::StorageDtype;
pub use text_files::TextFiles;
pub use widths::{Device, Dtype, KvCache, Quant};
