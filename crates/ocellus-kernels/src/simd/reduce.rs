//! Reductions of one row to a number. The order of summation depends on the row's length alone.

use super::Simd;

/// Independent partial sums, which hide the latency of an addition.
const CHAINS: usize = 4;

/// The sum of `term` over a row.
#[inline(always)]
fn sum_of<S: Simd, F: Term>(s: S, len: usize, term: F) -> f32 {
    let mut sums = [s.zero(); CHAINS];
    let step = CHAINS * S::LANES;
    let mut at = 0;
    while at + step <= len {
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum = term.add(s, *sum, at + i * S::LANES);
        }
        at += step;
    }
    while at + S::LANES <= len {
        sums[0] = term.add(s, sums[0], at);
        at += S::LANES;
    }
    let mut rest = 0.0;
    while at < len {
        rest += term.one(at);
        at += 1;
    }
    s.sum(s.add(s.add(sums[0], sums[1]), s.add(sums[2], sums[3]))) + rest
}

/// What each value adds to a sum.
trait Term: Copy {
    fn add<S: Simd>(self, s: S, sum: S::V, at: usize) -> S::V;
    fn one(self, at: usize) -> f32;
}

#[derive(Clone, Copy)]
struct Dot<'a>(&'a [f32], &'a [f32]);

impl Term for Dot<'_> {
    #[inline(always)]
    fn add<S: Simd>(self, s: S, sum: S::V, at: usize) -> S::V {
        s.mul_add(s.load(&self.0[at..]), s.load(&self.1[at..]), sum)
    }
    #[inline(always)]
    fn one(self, at: usize) -> f32 {
        self.0[at] * self.1[at]
    }
}

/// The last is a constant that the third slice is measured from.
#[derive(Clone, Copy)]
struct Dot3<'a>(&'a [f32], &'a [f32], &'a [f32], f32);

impl Term for Dot3<'_> {
    #[inline(always)]
    fn add<S: Simd>(self, s: S, sum: S::V, at: usize) -> S::V {
        let distance = s.sub(s.load(&self.2[at..]), s.splat(self.3));
        s.mul_add(s.mul(s.load(&self.0[at..]), s.load(&self.1[at..])), distance, sum)
    }
    #[inline(always)]
    fn one(self, at: usize) -> f32 {
        self.0[at] * self.1[at] * (self.2[at] - self.3)
    }
}

#[derive(Clone, Copy)]
struct Plain<'a>(&'a [f32]);

impl Term for Plain<'_> {
    #[inline(always)]
    fn add<S: Simd>(self, s: S, sum: S::V, at: usize) -> S::V {
        s.add(sum, s.load(&self.0[at..]))
    }
    #[inline(always)]
    fn one(self, at: usize) -> f32 {
        self.0[at]
    }
}

#[derive(Clone, Copy)]
struct SquaredDistance<'a>(&'a [f32], f32);

impl Term for SquaredDistance<'_> {
    #[inline(always)]
    fn add<S: Simd>(self, s: S, sum: S::V, at: usize) -> S::V {
        let d = s.sub(s.load(&self.0[at..]), s.splat(self.1));
        s.mul_add(d, d, sum)
    }
    #[inline(always)]
    fn one(self, at: usize) -> f32 {
        let d = self.0[at] - self.1;
        d * d
    }
}

/// `sum x`.
#[inline(always)]
pub(crate) fn sum<S: Simd>(s: S, x: &[f32]) -> f32 {
    sum_of(s, x.len(), Plain(x))
}

/// `sum x y`; the slices are equally long.
#[inline(always)]
pub(crate) fn dot<S: Simd>(s: S, x: &[f32], y: &[f32]) -> f32 {
    sum_of(s, x.len(), Dot(x, y))
}

/// `sum x y (z - center)`; the slices are equally long.
#[inline(always)]
pub(crate) fn dot3<S: Simd>(s: S, x: &[f32], y: &[f32], z: &[f32], center: f32) -> f32 {
    sum_of(s, x.len(), Dot3(x, y, z, center))
}

/// `sum (x - center)^2`.
#[inline(always)]
pub(crate) fn squared_distance<S: Simd>(s: S, x: &[f32], center: f32) -> f32 {
    sum_of(s, x.len(), SquaredDistance(x, center))
}

/// The largest value; minus infinity for an empty row. NaN may be ignored.
#[inline(always)]
pub(crate) fn largest<S: Simd>(s: S, x: &[f32]) -> f32 {
    let mut most = s.splat(f32::NEG_INFINITY);
    let mut chunks = x.chunks_exact(S::LANES);
    for chunk in &mut chunks {
        most = s.max(s.load(chunk), most);
    }
    chunks
        .remainder()
        .iter()
        .fold(s.largest(most), |most, x| most.max(*x))
}
