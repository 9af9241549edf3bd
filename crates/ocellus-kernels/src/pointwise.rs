//! Element-wise functions over slices.

use crate::isa::{Isa, Kernel};
use crate::parallel::{self, Shared};
use crate::simd::Simd;

/// A function of `IN` values to `OUT` values.
pub(crate) trait Pointwise<const IN: usize, const OUT: usize>: Copy + Send + Sync {
    fn apply<S: Simd>(self, s: S, x: [S::V; IN]) -> [S::V; OUT];
}

#[derive(Clone, Copy)]
struct Sum;

impl Pointwise<2, 1> for Sum {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, [a, b]: [S::V; 2]) -> [S::V; 1] {
        [s.add(a, b)]
    }
}

/// `out = a + b`: a residual connection.
///
/// # Panics
/// When the slices are not equally long.
pub fn add(a: &[f32], b: &[f32], out: &mut [f32]) {
    map(Sum, [a, b], [out]);
}

/// Values per task; a multiple of every vector width, so that the split changes no result.
const CHUNK: usize = 1 << 14;

/// `outputs = function(inputs)` for every element.
///
/// # Panics
/// When the slices are not equally long.
pub(crate) fn map<const IN: usize, const OUT: usize>(
    function: impl Pointwise<IN, OUT>,
    inputs: [&[f32]; IN],
    outputs: [&mut [f32]; OUT],
) {
    let len = outputs[0].len();
    let lengths = (inputs.map(<[f32]>::len), outputs.each_ref().map(|out| out.len()));
    assert!(
        lengths == ([len; IN], [len; OUT]),
        "slices differ in length: {lengths:?}"
    );
    let outputs = outputs.map(Shared::new);
    let isa = Isa::detect();
    parallel::for_each(len.div_ceil(CHUNK), len * 16, |chunk| {
        let range = chunk * CHUNK..len.min((chunk + 1) * CHUNK);
        let inputs = inputs.map(|x| &x[range.clone()]);
        // SAFETY: chunks are disjoint, inside slices of `len` values.
        let outputs = outputs.each_ref().map(|out| unsafe { out.range(range.clone()) });
        isa.run(Map {
            function,
            inputs,
            outputs,
        });
    });
}

struct Map<'a, F, const IN: usize, const OUT: usize> {
    function: F,
    inputs: [&'a [f32]; IN],
    outputs: [&'a mut [f32]; OUT],
}

impl<F: Pointwise<IN, OUT>, const IN: usize, const OUT: usize> Kernel for Map<'_, F, IN, OUT> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let len = self.outputs[0].len();
        let whole = len - len % S::LANES;
        let mut at = 0;
        while at < whole {
            let mut x = [s.zero(); IN];
            for (x, from) in x.iter_mut().zip(&self.inputs) {
                *x = s.load(&from[at..]);
            }
            let y = self.function.apply(s, x);
            for (y, to) in y.into_iter().zip(&mut self.outputs) {
                s.store(y, &mut to[at..]);
            }
            at += S::LANES;
        }
        if at == len {
            return;
        }
        // The remainder goes through a padded vector, so that every element is computed by the same arithmetic.
        let mut x = [s.zero(); IN];
        for (x, from) in x.iter_mut().zip(&self.inputs) {
            let mut padded = [0.0; 16];
            padded[..len - at].copy_from_slice(&from[at..]);
            *x = s.load(&padded);
        }
        let y = self.function.apply(s, x);
        for (y, to) in y.into_iter().zip(&mut self.outputs) {
            let mut padded = [0.0; 16];
            s.store(y, &mut padded);
            to[at..].copy_from_slice(&padded[..len - at]);
        }
    }
}
