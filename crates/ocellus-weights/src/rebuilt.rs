//! Tensors assembled from others, for formats that split or order them differently.
//!
//! Bytes are rearranged without arithmetic. This is repeated for every view, so that no second copy of a checkpoint stays in
//! memory.

use crate::header::Entry;
use crate::{Dtype, Result, View, WeightsError};
use std::borrow::Cow;

/// How a tensor is assembled from stored tensors, which are given by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assembly {
    /// Another name for a tensor.
    As(String),
    /// The rows of these tensors, concatenated; if their types differ, the result is F32.
    Stacked(Vec<String>),
    /// The rows in `heads` equal parts, with the even rows of each part before its odd rows.
    EvenRowsFirst { of: String, heads: usize },
    /// Adds a frame axis: tensors `[n, channels, h, w]`, one per frame, become `[n, channels, frames, h, w]`.
    Frames(Vec<String>),
    /// The last axis behind the first one: of `[n, h, w, channels]` the whole is `[n, channels, h, w]`.
    ChannelsFirst(String),
}

impl Assembly {
    /// The tensors that go into it.
    pub fn parts(&self) -> &[String] {
        match self {
            Assembly::As(one) | Assembly::EvenRowsFirst { of: one, .. } | Assembly::ChannelsFirst(one) => {
                std::slice::from_ref(one)
            }
            Assembly::Stacked(parts) | Assembly::Frames(parts) => parts,
        }
    }

    /// Type and shape of the assembled tensor; the error says which part does not fit.
    pub(crate) fn check(&self, parts: &[&Entry]) -> std::result::Result<(Dtype, Vec<usize>), String> {
        let [first, rest @ ..] = parts else {
            return Err("it has no parts".to_string());
        };
        let one_type = rest.iter().all(|part| part.dtype == first.dtype);
        let plain = |dtype: Dtype| if one_type { dtype } else { Dtype::F32 };
        let mut shape = first.shape.clone();
        match self {
            Assembly::As(_) => Ok((first.dtype, shape)),
            Assembly::Stacked(_) => {
                let fits =
                    |part: &&Entry| part.shape.get(1..) == first.shape.get(1..) && !part.shape.is_empty();
                if !parts.iter().all(fits) {
                    return Err(shapes("rows of one length", parts));
                }
                let rows = parts
                    .iter()
                    .try_fold(0usize, |rows, part| rows.checked_add(part.shape[0]));
                shape[0] = rows.ok_or_else(|| shapes("fewer rows", parts))?;
                Ok((plain(first.dtype), shape))
            }
            Assembly::EvenRowsFirst { heads, .. } => {
                let rows = shape.first().copied().unwrap_or(0);
                // Elements of a vector are not rows of blocks.
                let blocks = shape.len() < 2 && first.dtype.is_quantised();
                let even = heads.checked_mul(2).filter(|halves| *halves > 0);
                if !even.is_some_and(|halves| rows.is_multiple_of(halves)) || blocks {
                    return Err(shapes(&format!("rows for {heads} heads of an even size"), parts));
                }
                Ok((first.dtype, shape))
            }
            Assembly::ChannelsFirst(_) => {
                if shape.len() < 3 || first.dtype.is_quantised() {
                    return Err(shapes("whole values on three axes or more", parts));
                }
                shape[1..].rotate_right(1);
                Ok((first.dtype, shape))
            }
            Assembly::Frames(_) => {
                if shape.len() < 3 || rest.iter().any(|part| part.shape != first.shape) {
                    return Err(shapes("frames of one shape", parts));
                }
                shape.insert(shape.len() - 2, parts.len());
                let dtype = if first.dtype.is_quantised() {
                    Dtype::F32
                } else {
                    plain(first.dtype)
                };
                Ok((dtype, shape))
            }
        }
    }

    /// The bytes of the assembled tensor of type `dtype`.
    pub(crate) fn make<'a>(&self, dtype: Dtype, parts: &[View<'a>]) -> Result<Cow<'a, [u8]>> {
        let bytes: Vec<Cow<'a, [u8]>> = parts
            .iter()
            .map(|part| {
                Ok(if part.dtype == dtype {
                    part.bytes.clone()
                } else {
                    widened(part)?
                })
            })
            .collect::<Result<_>>()?;
        Ok(match (self, &bytes[..]) {
            (Assembly::EvenRowsFirst { heads, .. }, [bytes]) => {
                let rows = parts[0].shape[0];
                let (row, head) = (bytes.len() / rows, rows / heads);
                let order = (0..*heads).flat_map(|h| {
                    let evens = (0..head).step_by(2).chain((1..head).step_by(2));
                    evens.map(move |at| h * head + at)
                });
                Cow::Owned(order.flat_map(|at| &bytes[at * row..][..row]).copied().collect())
            }
            (Assembly::Frames(_), _) => {
                let [.., height, width] = parts[0].shape[..] else {
                    return Ok(Cow::Owned(Vec::new()));
                };
                let frame = height * width * dtype.size_bytes();
                let frames = bytes[0].len() / frame;
                let order =
                    (0..frames).flat_map(|at| bytes.iter().map(move |part| &part[at * frame..][..frame]));
                Cow::Owned(order.flatten().copied().collect())
            }
            (Assembly::ChannelsFirst(_), [bytes]) => {
                let [outputs, inner @ .., channels] = &parts[0].shape[..] else {
                    return Ok(bytes.clone());
                };
                let (places, size) = (inner.iter().product::<usize>(), dtype.size_bytes());
                let order = (0..*outputs).flat_map(|output| {
                    let channel =
                        move |channel| (0..places).map(move |at| (output * places + at) * channels + channel);
                    (0..*channels).flat_map(channel)
                });
                Cow::Owned(
                    order
                        .flat_map(|at| &bytes[at * size..][..size])
                        .copied()
                        .collect(),
                )
            }
            (_, [bytes]) => bytes.clone(),
            _ => Cow::Owned(bytes.concat()),
        })
    }
}

fn widened(part: &View<'_>) -> Result<Cow<'static, [u8]>> {
    Ok(Cow::Owned(
        part.to_f32()?
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect(),
    ))
}

fn shapes(expected: &str, parts: &[&Entry]) -> String {
    let found: Vec<&[usize]> = parts.iter().map(|part| &part.shape[..]).collect();
    format!("its parts have the shapes {found:?}, expected {expected}")
}

/// An assembly whose parts were checked.
#[derive(Clone)]
pub(crate) struct Made {
    pub assembly: Assembly,
    pub dtype: Dtype,
    pub shape: Vec<usize>,
}

impl Made {
    pub fn new(file: &str, name: &str, assembly: Assembly, parts: &[&Entry]) -> Result<Self> {
        let refused = |reason: String| WeightsError::Tensor {
            file: file.to_string(),
            tensor: name.to_string(),
            reason,
        };
        let (dtype, shape) = assembly.check(parts).map_err(refused)?;
        Ok(Self {
            assembly,
            dtype,
            shape,
        })
    }
}
