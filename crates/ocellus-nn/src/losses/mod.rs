//! Losses of training recipes, one a file: pure functions of scores and targets, differentiable, in plain candle over the
//! fused losses of [`ops`](crate::ops::loss).

pub mod binary;
pub mod contrastive;
