//! Torch checkpoints: published ones equal their safetensors twins, hostile ones are refused in a sentence.

mod assemble;
mod bounds;
mod containers;
mod golden;
mod refusals;
mod state_dicts;
mod tensors;
