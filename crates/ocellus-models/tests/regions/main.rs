//! Models that see regions of a detector: what their abilities give is what their references compute, and what they refuse.

mod abilities;
mod checkpoint;
mod refusals;
