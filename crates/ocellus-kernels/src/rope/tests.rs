use proptest::prelude::*;

use super::*;
use crate::testing::{
    assert_close, assert_same_bits, cases, differences, inner, on_every_isa, on_threads, poisoned, values,
    wide,
};

fn exact(x: &[f64], cos: &[f64], sin: &[f64], heads: usize, dim: usize) -> Vec<f64> {
    let half = dim / 2;
    let mut out = vec![0.0; x.len()];
    for (index, (x, out)) in x.chunks_exact(dim).zip(out.chunks_exact_mut(dim)).enumerate() {
        let at = index / heads * dim;
        for i in 0..half {
            out[i] = x[i] * cos[at + i] - x[i + half] * sin[at + i];
            out[i + half] = x[i + half] * cos[at + i + half] + x[i] * sin[at + i + half];
        }
    }
    out
}

proptest! {
    #![proptest_config(cases(32))]
    #[test]
    fn rotation_and_its_slope(tokens in 0_usize..4, heads in 1_usize..4, half in 1_usize..40, seed in any::<u64>()) {
        let dim = 2 * half;
        let (x, grad) = (values(tokens * heads * dim, seed), values(tokens * heads * dim, seed ^ 1));
        // Halves with angles of their own, as multi-axis positions give.
        let (cos, sin) = (values(tokens * dim, seed ^ 2), values(tokens * dim, seed ^ 3));
        let (x64, grad64, cos64, sin64) = (wide(&x), wide(&grad), wide(&cos), wide(&sin));
        let slopes = differences(&x64, |x| inner(&grad64, &exact(x, &cos64, &sin64, heads, dim)));
        on_every_isa(|_| {
            let (mut out, mut grad_x) = (poisoned(x.len()), poisoned(x.len()));
            rotate((&x, heads * dim), &cos, &sin, heads, dim, &mut out);
            let (stride, mut apart) = (heads * dim + 3, poisoned(x.len()));
            let among: Vec<f32> = x.chunks_exact(heads * dim).flat_map(|t| [t, &[f32::NAN; 3]].concat()).collect();
            rotate((&among, stride), &cos, &sin, heads, dim, &mut apart);
            assert_same_bits("apart", &apart, &out);
            rotate_backward(&grad, &cos, &sin, heads, dim, &mut grad_x);
            assert_close("out", &out, &exact(&x64, &cos64, &sin64, heads, dim), 3e-7);
            assert_close("grad x", &grad_x, &slopes, 3e-7);
        });
    }
}

#[test]
#[cfg_attr(miri, ignore = "large")]
fn tokens_and_threads_do_not_change_the_bits() {
    let (tokens, heads, dim) = (400, 6, 48);
    let (x, cos, sin) = (
        values(tokens * heads * dim, 1),
        values(tokens * dim, 2),
        values(tokens * dim, 3),
    );
    on_every_isa(|isa| {
        let on = |threads| {
            let mut out = poisoned(x.len());
            on_threads(threads, isa, || {
                rotate((&x, heads * dim), &cos, &sin, heads, dim, &mut out)
            });
            out
        };
        let whole = on(1);
        assert_same_bits("three threads", &on(3), &whole);
        let (token, wide) = (301, heads * dim);
        let mut alone = poisoned(wide);
        let (x, angles) = (token * wide..(token + 1) * wide, token * dim..(token + 1) * dim);
        rotate(
            (&(values(tokens * wide, 1))[x.clone()], wide),
            &cos[angles.clone()],
            &sin[angles],
            heads,
            dim,
            &mut alone,
        );
        assert_same_bits("a token alone", &alone, &whole[x]);
    });
}

#[test]
#[should_panic(expected = "a head of 3 has no halves")]
fn odd_heads_are_refused() {
    rotate((&[0.0; 3], 3), &[0.0; 3], &[0.0; 3], 1, 3, &mut [0.0; 3]);
}
