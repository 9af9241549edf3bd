//! Layers and fused operations over candle tensors: what every family is built from.
//!
//! Knows layers, operations and the *interface* of a key-value cache; never a family's name, a request,
//! or who owns a block of cache. Every fused operation in [`ops`] has a composed twin in plain candle: the CPU in f32
//! gets the fused one, every other device and type the twin, and the twin is the oracle of the fused one's tests.
//!
//! Tensors are *packed*: the tokens (or patches) of all sequences follow one another in one row dimension, and a list
//! of [`Segment`]s says who may attend to whom. There is no padding and no batch dimension.

pub mod attention;
pub mod block;
pub mod cache;
pub mod conv;
pub mod cross;
pub mod decoder;
pub mod embeddings;
pub mod encoder;
pub mod linear;
pub mod load_error;
pub mod losses;
pub mod measured;
pub mod merger;
pub mod mlp;
pub mod norm;
pub mod ops;
mod packed;
pub mod params;
pub mod position_table;
pub mod qformer;
pub mod relative;
mod result;
pub mod rope;
pub mod rows;
pub mod source;
pub mod stored;
pub mod taps;
pub mod tower;
pub mod vit;

pub use attention::{Attn, Bias, Mask};
pub use block::{Block, Order};
pub use cache::{BlockTable, KvCache, KvLayout};
pub use conv::Conv;
pub use cross::{CrossMemory, CrossSpan};
pub use linear::Linear;
pub use load_error::LoadError;
pub use measured::Measured;
pub use mlp::{Act, Mlp};
pub use norm::Norm;
pub use ocellus_kernels::attention::{BLOCK, KvWidth, Segment};
pub use ocellus_kernels::gemm::Precision;
pub use ocellus_kernels::matrix::Matrix;
pub use ocellus_kernels::quant::Format;
pub use params::{Frozen, Names, Params, Trainable};
pub use result::Result;
pub use rows::Table;
pub use source::Source;
pub use taps::Taps;
