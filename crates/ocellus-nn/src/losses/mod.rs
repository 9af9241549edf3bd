//! Losses that are written in plain tensor operations, one file each. Differentiable in what the model computed.

pub mod soft_targets;
