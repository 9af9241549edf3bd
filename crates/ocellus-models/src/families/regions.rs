//! Shared by families that take a picture as regions found by a detector: argument checks, post-norm layer stacks, heads, padded
//! arrays.

mod given;
mod heads;
mod padded;
mod rows;
mod streams;
mod words;

pub(super) use given::{check_hidden, facts, regions};
pub(super) use heads::{Answers, Classes, SEQUENCE};
pub(super) use padded::{only, packed, targets};
pub(super) use rows::{firsts, pick};
pub(super) use streams::{NORM, Stream, divides, labels, layer_names};
pub(super) use words::TypedTexts;
