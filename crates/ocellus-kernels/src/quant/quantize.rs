//! Rounding weights to few bits.

use half::f16;

use super::format::{Bits, Format};

/// One group of weights as `scale * value + offset`.
pub(super) struct Group {
    pub scale: f32,
    pub offset: f32,
    pub values: Vec<u8>,
}

/// `x` as it comes back from f16 in units of `unit`.
fn held(x: f32, unit: f32) -> f32 {
    f16::from_f32(x / unit).to_f32() * unit
}

/// Rounds a group. With 8 bits the largest weight decides the scale; below, the scale and the offset are the least-squares
/// ones of the best of several roundings, in which an error counts `importance`.
pub(super) fn quantize_group(bits: Bits, weights: &[f32], importance: Option<&[f32]>, unit: f32) -> Group {
    match bits {
        Bits::Eight => symmetric(weights, unit),
        _ => searched(bits.largest(), weights, importance, unit),
    }
}

fn symmetric(weights: &[f32], unit: f32) -> Group {
    let most = weights.iter().fold(0.0_f32, |most, w| most.max(w.abs()));
    let scale = held(most / 127.0, unit);
    let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
    let value = |w: &f32| ((w * inverse).round_ties_even().clamp(-127.0, 127.0) + 128.0) as u8;
    Group {
        scale,
        offset: -128.0 * scale,
        values: weights.iter().map(value).collect(),
    }
}

fn searched(levels: u8, weights: &[f32], importance: Option<&[f32]>, unit: f32) -> Group {
    let (least, most) = weights
        .iter()
        .fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), w| {
            (a.min(*w), b.max(*w))
        });
    let levels = f32::from(levels);
    let (mut best, mut best_error) = (None, f32::INFINITY);
    let mut values = vec![0.0_f32; weights.len()];
    // Ranges somewhat wider and narrower than the weights': with a narrower one the outermost are cut off.
    for step in [0.0_f32, -0.1, -0.2, 0.05] {
        let margin = (most - least) * step * 0.5;
        let (low, high) = (least - margin, most + margin);
        let Some((scale, offset)) = fit(levels, low, high, weights, importance, unit, &mut values) else {
            continue;
        };
        let error = error(scale, offset, weights, &values, importance);
        if error < best_error {
            (best, best_error) = (Some((scale, offset)), error);
        }
    }
    let Some((scale, offset)) = best else {
        // All weights are the same.
        let offset = if weights.is_empty() {
            0.0
        } else {
            held(least, unit)
        };
        return Group {
            scale: 0.0,
            offset,
            values: vec![0; weights.len()],
        };
    };
    round(scale, offset, levels, weights, &mut values);
    Group {
        scale,
        offset,
        values: values.iter().map(|v| *v as u8).collect(),
    }
}

/// The nearest level of every weight.
fn round(scale: f32, offset: f32, levels: f32, weights: &[f32], values: &mut [f32]) {
    let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
    for (value, weight) in values.iter_mut().zip(weights) {
        *value = ((weight - offset) * inverse).round_ties_even().clamp(0.0, levels);
    }
}

/// Scale and offset of the weighted least squares over levels between `low` and `high`; `values` are rounded with them.
fn fit(
    levels: f32,
    low: f32,
    high: f32,
    weights: &[f32],
    importance: Option<&[f32]>,
    unit: f32,
    values: &mut [f32],
) -> Option<(f32, f32)> {
    let scale = (high - low) / levels;
    if !(scale > 0.0 && scale.is_finite()) {
        return None;
    }
    round(scale, low, levels, weights, values);
    let (mut n, mut q, mut qq, mut w, mut qw) = (0.0_f32, 0.0, 0.0, 0.0, 0.0);
    let mut add = |c: f32, value: f32, weight: f32| {
        n += c;
        q += c * value;
        qq += c * value * value;
        w += c * weight;
        qw += c * value * weight;
    };
    match importance {
        Some(importance) => {
            for ((c, value), weight) in importance.iter().zip(values.iter()).zip(weights) {
                add(*c, *value, *weight);
            }
        }
        None => values.iter().zip(weights).for_each(|(v, w)| add(1.0, *v, *w)),
    }
    let determinant = n * qq - q * q;
    let (mut scale, mut offset) = (scale, low);
    if determinant > 0.0 {
        let fitted = (n * qw - q * w) / determinant;
        if fitted > 0.0 && fitted.is_finite() {
            (scale, offset) = (fitted, (w - fitted * q) / n);
        }
    }
    let (scale, offset) = (held(scale, unit), held(offset, unit));
    if scale == 0.0 {
        return None;
    }
    round(scale, offset, levels, weights, values);
    Some((scale, offset))
}

fn error(scale: f32, offset: f32, weights: &[f32], values: &[f32], importance: Option<&[f32]>) -> f32 {
    let square = |(v, w): (&f32, &f32)| {
        let d = scale * v + offset - w;
        d * d
    };
    match importance {
        Some(importance) => {
            let pairs = values.iter().zip(weights).map(square);
            pairs.zip(importance).map(|(e, c)| e * c).sum()
        }
        None => values.iter().zip(weights).map(square).sum(),
    }
}

/// Rows `[rows, k]` rounded to `format` and back, as a model with such weights would see them.
pub fn quantize_rows(format: Format, k: usize, rows: &mut [f32]) {
    let n = rows.len() / k.max(1);
    let packed = super::PackedQ::quantize(format, (n, k), None, |first, into| {
        into.copy_from_slice(&rows[first * k..first * k + into.len()]);
    });
    for (i, row) in rows.chunks_exact_mut(k.max(1)).enumerate() {
        packed.row(i, row);
    }
}
