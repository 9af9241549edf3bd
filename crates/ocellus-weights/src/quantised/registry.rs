//! All layouts that are read.

use super::layout::Layout;
use super::{affine, awq, bitsandbytes, fp4, gptq, packed, scaled};

/// All layouts; of those with a mark, the first that claims a matrix reads it.
static LAYOUTS: &[&Layout] = &[
    &bitsandbytes::NF4,
    &bitsandbytes::FP4,
    &bitsandbytes::STATELESS,
    &bitsandbytes::INT8,
    &awq::GEMM,
    &awq::GEMV,
    &awq::GEMV_FAST,
    &gptq::LAYOUT,
    &gptq::UNSAID,
    &affine::LAYOUT,
    &fp4::NVFP4,
    &fp4::MODEL_OPTIMIZER,
    &fp4::MXFP4,
    &packed::LAYOUT,
    &scaled::FINE_GRAINED,
    &scaled::SCALED,
];

pub(crate) fn layouts() -> &'static [&'static Layout] {
    LAYOUTS
}
