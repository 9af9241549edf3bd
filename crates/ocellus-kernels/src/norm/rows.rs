//! Norms of one row; the two norms differ only in whether the mean is subtracted.

use crate::isa::{Isa, Kernel};
use crate::parallel::{self, Shared};
use crate::simd::Simd;
use crate::simd::reduce::{dot, dot3, squared_distance, sum};

/// Rows per task. Fixed, because weight gradients are summed per task and then over tasks in order.
const ROWS: usize = 128;

/// Inputs of both norms.
#[derive(Clone, Copy)]
pub(super) struct Forward<'a> {
    pub x: &'a [f32],
    pub weight: &'a [f32],
    pub bias: Option<&'a [f32]>,
    pub eps: f32,
    /// Whether the mean is subtracted first.
    pub centered: bool,
}

impl<'a> Forward<'a> {
    /// Number of rows, after checking the shape.
    fn rows(&self, other: usize) -> usize {
        let width = self.weight.len();
        assert_eq!(other, self.x.len(), "norm: slices differ in length");
        if width == 0 {
            assert!(
                self.x.is_empty(),
                "norm: {} values in rows of no width",
                self.x.len()
            );
            return 0;
        }
        assert!(
            self.x.len().is_multiple_of(width),
            "norm: {} values in rows of {width}",
            self.x.len()
        );
        self.x.len() / width
    }

    /// Mean (zero if not subtracted) and reciprocal standard deviation of a row.
    #[inline(always)]
    fn moments<S: Simd>(&self, s: S, x: &[f32]) -> (f32, f32) {
        let width = x.len() as f32;
        let mean = if self.centered { sum(s, x) / width } else { 0.0 };
        let variance = if self.centered {
            squared_distance(s, x, mean)
        } else {
            dot(s, x, x)
        } / width;
        (mean, 1.0 / (variance + self.eps).sqrt())
    }
}

struct ForwardRows<'a> {
    call: Forward<'a>,
    out: &'a mut [f32],
}

impl Kernel for ForwardRows<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Forward { x, weight, bias, .. } = self.call;
        let width = weight.len();
        for (x, out) in x.chunks_exact(width).zip(self.out.chunks_exact_mut(width)) {
            let (mean, scale) = self.call.moments(s, x);
            let (mean_v, scale_v) = (s.splat(mean), s.splat(scale));
            let whole = width - width % S::LANES;
            let mut at = 0;
            while at < whole {
                let normal = s.mul(s.sub(s.load(&x[at..]), mean_v), scale_v);
                let y = match bias {
                    Some(bias) => s.mul_add(normal, s.load(&weight[at..]), s.load(&bias[at..])),
                    None => s.mul(normal, s.load(&weight[at..])),
                };
                s.store(y, &mut out[at..]);
                at += S::LANES;
            }
            for i in whole..width {
                out[i] = (x[i] - mean) * scale * weight[i] + bias.map_or(0.0, |bias| bias[i]);
            }
        }
    }
}

pub(super) fn forward(call: &Forward, out: &mut [f32]) {
    let (rows, width) = (call.rows(out.len()), call.weight.len());
    let shared = Shared::new(out);
    let isa = Isa::detect();
    parallel::for_each(rows.div_ceil(ROWS), rows * width * 8, |task| {
        let range = task * ROWS * width..rows.min((task + 1) * ROWS) * width;
        // SAFETY: tasks have disjoint rows, inside a slice as long as `x`.
        let out = unsafe { shared.range(range.clone()) };
        isa.run(ForwardRows {
            call: Forward {
                x: &call.x[range],
                ..*call
            },
            out,
        });
    });
}

struct BackwardRows<'a> {
    call: Forward<'a>,
    grad_out: &'a [f32],
    grad_x: &'a mut [f32],
    /// Sums over the rows of this task, zero at first.
    grad_weight: &'a mut [f32],
    grad_bias: &'a mut [f32],
}

impl Kernel for BackwardRows<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Forward {
            x, weight, centered, ..
        } = self.call;
        let width = weight.len();
        let rows = x.chunks_exact(width).zip(self.grad_out.chunks_exact(width));
        for ((x, grad), grad_x) in rows.zip(self.grad_x.chunks_exact_mut(width)) {
            let (mean, scale) = self.call.moments(s, x);
            // With n = (x - mean) scale and h = grad weight: grad_x = scale (h - mean(h) - n mean(h n)).
            let along = dot3(s, grad, weight, x, mean);
            let total = if centered { dot(s, grad, weight) } else { 0.0 };
            let common = total / width as f32;
            let slant = along * scale / width as f32;
            let (mean_v, scale_v) = (s.splat(mean), s.splat(scale));
            let (common_v, slant_v) = (s.splat(common), s.splat(-slant));
            let whole = width - width % S::LANES;
            let mut at = 0;
            while at < whole {
                let g = s.load(&grad[at..]);
                let normal = s.mul(s.sub(s.load(&x[at..]), mean_v), scale_v);
                let h = s.sub(s.mul(g, s.load(&weight[at..])), common_v);
                s.store(s.mul(scale_v, s.mul_add(normal, slant_v, h)), &mut grad_x[at..]);
                let sum = s.mul_add(g, normal, s.load(&self.grad_weight[at..]));
                s.store(sum, &mut self.grad_weight[at..]);
                if centered {
                    let sum = s.add(g, s.load(&self.grad_bias[at..]));
                    s.store(sum, &mut self.grad_bias[at..]);
                }
                at += S::LANES;
            }
            for i in whole..width {
                let normal = (x[i] - mean) * scale;
                grad_x[i] = scale * (grad[i] * weight[i] - common - normal * slant);
                self.grad_weight[i] += grad[i] * normal;
                if centered {
                    self.grad_bias[i] += grad[i];
                }
            }
        }
    }
}

pub(super) fn backward(
    call: &Forward,
    grad_out: &[f32],
    grad_x: &mut [f32],
    grad_weight: &mut [f32],
    grad_bias: Option<&mut [f32]>,
) {
    let (rows, width) = (call.rows(grad_x.len()), call.weight.len());
    assert_eq!(grad_out.len(), call.x.len(), "norm: slices differ in length");
    assert_eq!(
        grad_weight.len(),
        width,
        "norm: gradient of weight and weight differ in length"
    );
    let tasks = rows.div_ceil(ROWS);
    let mut partial = vec![0.0_f32; tasks * width * 2];
    let (sums, shared) = (Shared::new(&mut partial), Shared::new(grad_x));
    let isa = Isa::detect();
    parallel::for_each(tasks, rows * width * 16, |task| {
        let range = task * ROWS * width..rows.min((task + 1) * ROWS) * width;
        // SAFETY: tasks have disjoint rows and disjoint sums.
        let (grad_x, sums) = unsafe {
            (
                shared.range(range.clone()),
                sums.range(task * 2 * width..(task + 1) * 2 * width),
            )
        };
        let (grad_weight, grad_bias) = sums.split_at_mut(width);
        let call = Forward {
            x: &call.x[range.clone()],
            ..*call
        };
        isa.run(BackwardRows {
            call,
            grad_out: &grad_out[range],
            grad_x,
            grad_weight,
            grad_bias,
        });
    });
    let add = |out: &mut [f32], offset: usize| {
        out.fill(0.0);
        for sums in partial.chunks_exact((2 * width).max(1)) {
            out.iter_mut()
                .zip(&sums[offset..offset + width])
                .for_each(|(out, sum)| *out += sum);
        }
    };
    add(grad_weight, 0);
    if let Some(grad_bias) = grad_bias {
        add(grad_bias, width);
    }
}
