//! The effect of quantisation on weights.

use super::format::Format;
use super::packed::PackedQ;

/// Quantises rows `[rows, k]` to `format` and back: the weights that a quantised model computes with.
pub fn quantize_rows(format: Format, k: usize, rows: &mut [f32]) {
    let n = rows.len() / k.max(1);
    let packed = PackedQ::quantize(format, (n, k), None, |first, into| {
        into.copy_from_slice(&rows[first * k..first * k + into.len()]);
    });
    for (i, row) in rows.chunks_exact_mut(k.max(1)).enumerate() {
        packed.row(i, row);
    }
}
