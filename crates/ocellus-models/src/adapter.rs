//! LoRA adapters in the layout of PEFT: an `adapter_config.json` and the tensors of `adapter_model.safetensors`, applied to the
//! weights of their base.
//!
//! A pair of thin matrices is added to a matrix of the base in f32, which is what the reference computes beside it; to quantised
//! matrices they are not added but computed beside them. Whole tensors (`modules_to_save`, biases) take the place of the base's.
//! What cannot be applied is refused by name.

mod apply;
mod config;
mod error;
mod patterns;
mod places;
mod tensors;

pub use apply::{Adapted, apply};
pub use error::{AdapterError, AdapterWarning};
