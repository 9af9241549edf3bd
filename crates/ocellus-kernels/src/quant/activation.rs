//! Rows of activations quantised to 8 bits.

use crate::gemm::Mat;
use crate::isa::{Isa, Kernel};
use crate::parallel::{self, Shared};
use crate::simd::Simd;

/// Quantised rows: in every group `x = scale * value`, values in -127..=127.
#[derive(Default)]
pub(crate) struct Rounded {
    /// `[rows, groups * group]`, padded with zeros beyond K.
    pub values: Vec<i8>,
    /// Largest value of a group over 127; `[rows, groups]`.
    pub scales: Vec<f32>,
    /// Sum of the values of each group, `[rows, groups]`.
    pub sums: Vec<i32>,
    pub group: usize,
    pub groups: usize,
}

impl Rounded {
    /// Quantises `rows` of `x`, whose columns must be contiguous, in groups of `group`.
    pub fn fill(&mut self, isa: Isa, x: &Mat, rows: std::ops::Range<usize>, group: usize) {
        let (count, groups) = (rows.len(), x.cols.div_ceil(group));
        (self.group, self.groups) = (group, groups);
        grow(&mut self.values, count * groups * group);
        grow(&mut self.scales, count * groups);
        grow(&mut self.sums, count * groups);
        let values = Shared::new(&mut self.values);
        let (scales, sums) = (Shared::new(&mut self.scales), Shared::new(&mut self.sums));
        parallel::for_each(count, 8 * count * x.cols, |i| {
            let row = rows.start + i;
            let from = &x.data[row * x.row_stride..][..x.cols];
            let span = i * groups..(i + 1) * groups;
            // SAFETY: every row has its own place in buffers that were grown for all of them.
            let (values, scales, sums) = unsafe {
                (
                    values.range(span.start * group..span.end * group),
                    scales.range(span.clone()),
                    sums.range(span),
                )
            };
            isa.run(Row {
                from,
                group,
                values,
                scales,
                sums,
            });
        });
    }
}

fn grow<T: Copy + Default>(buffer: &mut Vec<T>, len: usize) {
    if buffer.len() < len {
        buffer.resize(len, T::default());
    }
}

struct Row<'a> {
    from: &'a [f32],
    group: usize,
    values: &'a mut [i8],
    scales: &'a mut [f32],
    sums: &'a mut [i32],
}

impl Kernel for Row<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let groups = self
            .from
            .chunks(self.group)
            .zip(self.values.chunks_exact_mut(self.group));
        for ((from, to), (scale, sum)) in groups.zip(self.scales.iter_mut().zip(self.sums)) {
            // The largest magnitude: the larger of the maximum and the negated minimum.
            let most = magnitude(s, from);
            let inverse = if most > 0.0 { 127.0 / most } else { 0.0 };
            *scale = most / 127.0;
            // Sums of integers this small are exact in f32.
            let (factor, mut totals) = (s.splat(inverse), s.zero());
            let mut total = 0.0;
            let mut at = 0;
            let mut chunks = from.chunks_exact(S::LANES);
            for (chunk, to) in (&mut chunks).zip(to.chunks_exact_mut(S::LANES)) {
                let rounded = s.round(s.mul(s.load(chunk), factor));
                totals = s.add(totals, rounded);
                // SAFETY: `to` has `LANES` bytes.
                unsafe { s.store_bytes(rounded, to.as_mut_ptr()) };
                at += S::LANES;
            }
            for x in chunks.remainder() {
                let rounded = (x * inverse).round_ties_even();
                to[at] = rounded as i8;
                total += rounded;
                at += 1;
            }
            to[at..].fill(0);
            *sum = (s.sum(totals) + total) as i32;
        }
    }
}

/// The largest magnitude; NaN if any value is NaN or infinite.
#[inline(always)]
fn magnitude<S: Simd>(s: S, from: &[f32]) -> f32 {
    let mut most = s.zero();
    let mut sum = s.zero();
    let mut chunks = from.chunks_exact(S::LANES);
    for chunk in &mut chunks {
        let x = s.load(chunk);
        most = s.max(most, s.abs(x));
        // Zero times a finite number is zero, times any other is NaN.
        sum = s.mul_add(x, s.zero(), sum);
    }
    let mut top = s.largest(most);
    let mut odd = s.sum(sum);
    for x in chunks.remainder() {
        top = top.max(x.abs());
        odd += x * 0.0;
    }
    if odd == 0.0 { top } else { f32::NAN }
}
