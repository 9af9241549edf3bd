//! A loaded model with everything that turns pictures and conversations into answers.
//!
//! A [`Session`] is opened on a checkpoint and asked: [`ask`](Session::ask), [`read_page`](Session::read_page),
//! [`caption`](Session::caption), [`score`](Session::score), [`classify`](Session::classify), [`fill`](Session::fill),
//! [`embed`](Session::embed), [`detect`](Session::detect). It is the only way from bytes and a conversation to text.
//!
//! ```
//! use std::ops::ControlFlow;
//!
//! use ocellus_hub::Checkpoint;
//! use ocellus_session::{OpenOptions, PageOptions, Session, SessionError};
//!
//! # fn main() -> Result<(), SessionError> {
//! // The model inside the program reads lines of print.
//! let session = Session::open(&Checkpoint::built_in(), &OpenOptions::default())?;
//! # let file = b"GIF89a\x01\0\x01\0\x80\0\0\xff\xff\xff\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";
//! let page = session.prepare_page(file, &PageOptions::default())?;
//! let read = session.read_page(&page, &mut |_| ControlFlow::Continue(()))?;
//! assert!(read.lines.is_empty(), "the picture is a blank page");
//! # Ok(())
//! # }
//! ```
//!
//! Knows checkpoints, devices, dtypes and answers; never arguments, a terminal, HTTP or the environment. Time comes in through
//! [`OpenOptions::clock`].

mod adapter;
mod ask;
mod calibrate;
pub mod checkpoint;
pub mod compute;
mod detect;
mod error;
pub mod memory_estimate;
mod merge;
mod needed;
mod new_folder;
mod options;
mod page;
mod pairs;
mod phrases;
pub mod prefetch;
mod quantize;
mod sampling;
mod session;
pub mod storage;
pub mod widths;

pub use adapter::Adapter;
pub use ask::{Answer, Event, Listen, engine_pictures};
pub use calibrate::{Calibration, CalibrationSample};
pub use checkpoint::CheckpointFiles;
pub use compute::{Compute, ComputeOptions};
pub use detect::write_regions;
pub use error::SessionError;
pub use memory_estimate::{MemoryEstimate, PAGE_BYTES, Usage};
pub use merge::{Merged, merge};
pub use needed::Needed;
pub use ocellus_processor::{
    GenerationDefaults, PictureGeometry, PictureProcessor, PixelBounds, PreparedPicture, PromptFormatter,
    TextFiles,
};
pub use options::{CpuOptions, OpenOptions};
pub use page::{PageOptions, PreparedPage};
pub use pairs::{EmbedInput, MASK};
pub use phrases::{Caption, RankedAnswer};
pub use prefetch::prefetched;
pub use quantize::{Quantised, Unquantised};
pub use sampling::{GenerationOptions, MAX_TOKENS};
pub use session::Session;
pub use storage::StorageDtype;
pub use widths::{Activations, Device, Dtype, KvCache, Quant};
