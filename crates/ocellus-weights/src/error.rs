//! One error type for everything that can be wrong with a weight file.

use crate::Dtype;
use std::path::PathBuf;

/// What every fallible function of this crate returns.
pub type Result<T> = std::result::Result<T, WeightsError>;

/// Why weights could not be read or written. Messages name the file and, where there is one, the tensor.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    #[error("{}: {source}", file.display())]
    Io { file: PathBuf, source: std::io::Error },

    #[error("no weights in {}: expected model.safetensors, model.safetensors.index.json, consolidated.safetensors, \
             pytorch_model.bin, pytorch_model.bin.index.json, or one file of either kind; found {found}", dir.display())]
    NoWeights { dir: PathBuf, found: String },

    #[error(
        "{file} is a Git LFS pointer, not the weights themselves: the large file was not downloaded \
         (`git lfs pull` fetches it)"
    )]
    LfsPointer { file: String },
    #[error("{}: the shard {shard} is missing, and {of} belong together", dir.display())]
    NoShard { dir: PathBuf, shard: String, of: usize },

    #[error("{file} is not a safetensors file: {reason}")]
    NotSafetensors { file: String, reason: String },

    #[error("{file} is not a GGUF file that can be read: {reason}")]
    NotGguf { file: String, reason: String },

    #[error("{file}: the metadata `{key}` cannot be used: {reason}")]
    Key {
        file: String,
        key: String,
        reason: String,
    },

    #[error("{file} is not a checkpoint that torch saved: {reason}")]
    NotTorch { file: String, reason: String },

    #[error(
        "{file} wants to import `{name}`: only tensors are read, nothing in a checkpoint is ever executed"
    )]
    Import { file: String, name: String },

    #[error("{file}: the pickle is damaged or no plain checkpoint (before byte {at}): {reason}")]
    Pickle { file: String, at: u64, reason: String },

    #[error("{file}: the zip archive is damaged or not what torch writes: {reason}")]
    Archive { file: String, reason: String },

    #[error("the quantised matrix `{matrix}` ({layout}) cannot be read: {reason}")]
    Quantised {
        matrix: String,
        layout: &'static str,
        reason: String,
    },

    #[error(
        "the product of {}x{} values does not fit the tensor `{tensor}` of shape {expected:?}", .found[0], .found[1]
    )]
    LowRank {
        tensor: String,
        expected: Vec<usize>,
        found: [usize; 2],
    },

    #[error("{file}: tensor `{tensor}` cannot be read: {reason}")]
    Tensor {
        file: String,
        tensor: String,
        reason: String,
    },

    #[error("{file}: the header is {found} bytes long, more than the {limit} that are accepted")]
    HeaderTooLarge { file: String, found: u64, limit: u64 },

    #[error("{file}: the header lists more than the {limit} tensors that are accepted")]
    TooManyTensors { file: String, limit: usize },

    #[error("{file}: the header is damaged: {reason}")]
    Header { file: String, reason: String },

    #[error("{file}: tensor `{tensor}` has the unknown element type `{found}`")]
    UnknownDtype {
        file: String,
        tensor: String,
        found: String,
    },

    #[error("{file}: tensor `{tensor}` has {found} dimensions, more than the {limit} that are accepted")]
    RankTooLarge {
        file: String,
        tensor: String,
        found: usize,
        limit: usize,
    },

    #[error("{file}: tensor `{tensor}` of shape {shape:?} has more bytes than can be addressed")]
    ShapeOverflow {
        file: String,
        tensor: String,
        shape: Vec<usize>,
    },

    #[error(
        "{file}: tensor `{tensor}` ({dtype}, shape {shape:?}) needs {expected} bytes, its offsets hold {found}"
    )]
    Length {
        file: String,
        tensor: String,
        dtype: Dtype,
        shape: Vec<usize>,
        expected: u64,
        found: u64,
    },

    #[error(
        "{file}: tensor `{tensor}` lies at bytes {start}..{end}, but the file holds {data_bytes} bytes of data"
    )]
    OutOfRange {
        file: String,
        tensor: String,
        start: u64,
        end: u64,
        data_bytes: u64,
    },

    #[error("{file}: tensor `{tensor}` starts at byte {start}, before `{other}` ends at byte {other_end}")]
    Overlap {
        file: String,
        tensor: String,
        other: String,
        start: u64,
        other_end: u64,
    },

    #[error("{file}: {found} bytes of data belong to no tensor (first one at byte {at})")]
    Unclaimed { file: String, at: u64, found: u64 },

    #[error("{file}: tensor `{tensor}` is listed twice")]
    Duplicate { file: String, tensor: String },

    #[error("{index} is damaged: {reason}")]
    Index { index: String, reason: String },

    #[error(
        "{index}: shard name `{shard}` leaves the checkpoint's folder; only plain relative names are accepted"
    )]
    ShardOutside { index: String, shard: String },

    #[error("{index} lists the shard `{shard}`, which is missing ({tensors} tensors are in it)")]
    ShardMissing {
        index: String,
        shard: String,
        tensors: usize,
    },

    #[error("{index} places tensor `{tensor}` in `{shard}`, which does not hold it")]
    NotInShard {
        index: String,
        shard: String,
        tensor: String,
    },

    #[error("no tensor `{tensor}` in {file}{}", nearest.as_ref().map(|n| format!(" (the nearest name is `{n}`)")).unwrap_or_default())]
    Missing {
        file: String,
        tensor: String,
        nearest: Option<String>,
    },

    #[error("tensor `{tensor}` has element type {found}, expected {expected}")]
    WrongDtype {
        tensor: String,
        expected: &'static str,
        found: Dtype,
    },

    #[error("tensor `{tensor}`: the value {value} at index {at} does not fit {expected}")]
    Unrepresentable {
        tensor: String,
        at: usize,
        value: String,
        expected: &'static str,
    },

    /// A file was cut off, or its disk failed, while it was in use.
    #[error("{}: the file lost its end while it was in use", file.display())]
    Lost { file: PathBuf },

    #[error("cannot write values as {found}: expected {expected}")]
    WriteDtype { expected: &'static str, found: Dtype },
}
