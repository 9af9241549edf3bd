//! Plain Rust: four lanes in an array, for processors without a path of their own and for Miri.

use super::Simd;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Portable;

type V = [f32; 4];

#[inline(always)]
fn zip(a: V, b: V, f: impl Fn(f32, f32) -> f32) -> V {
    [f(a[0], b[0]), f(a[1], b[1]), f(a[2], b[2]), f(a[3], b[3])]
}

impl Simd for Portable {
    type V = V;
    const LANES: usize = 4;

    #[inline(always)]
    fn splat(self, value: f32) -> V {
        [value; 4]
    }
    #[inline(always)]
    unsafe fn load_ptr(self, from: *const f32) -> V {
        // SAFETY: the caller gives four readable values; the read asks for no alignment beyond `f32`.
        unsafe { from.cast::<V>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store_ptr(self, value: V, to: *mut f32) {
        // SAFETY: the caller gives four writable values.
        unsafe { to.cast::<V>().write_unaligned(value) }
    }
    #[inline(always)]
    unsafe fn load_low(self, from: *const u32) -> V {
        // SAFETY: the caller gives four readable words.
        let words = unsafe { from.cast::<[u32; 4]>().read_unaligned() };
        words.map(|word| f32::from_bits(word << 16))
    }
    #[inline(always)]
    unsafe fn load_high(self, from: *const u32) -> V {
        // SAFETY: as above.
        let words = unsafe { from.cast::<[u32; 4]>().read_unaligned() };
        words.map(|word| f32::from_bits(word & !0xffff))
    }
    #[inline(always)]
    fn add(self, a: V, b: V) -> V {
        zip(a, b, |x, y| x + y)
    }
    #[inline(always)]
    fn sub(self, a: V, b: V) -> V {
        zip(a, b, |x, y| x - y)
    }
    #[inline(always)]
    fn mul(self, a: V, b: V) -> V {
        zip(a, b, |x, y| x * y)
    }
    #[inline(always)]
    fn div(self, a: V, b: V) -> V {
        zip(a, b, |x, y| x / y)
    }
    #[inline(always)]
    fn mul_add(self, a: V, b: V, c: V) -> V {
        // Fused only where that is one instruction; the library call elsewhere is a hundred times slower.
        if cfg!(target_arch = "aarch64") {
            [
                a[0].mul_add(b[0], c[0]),
                a[1].mul_add(b[1], c[1]),
                a[2].mul_add(b[2], c[2]),
                a[3].mul_add(b[3], c[3]),
            ]
        } else {
            self.add(self.mul(a, b), c)
        }
    }
    #[inline(always)]
    fn max(self, a: V, b: V) -> V {
        zip(a, b, |x, y| if x > y { x } else { y })
    }
    #[inline(always)]
    fn min(self, a: V, b: V) -> V {
        zip(a, b, |x, y| if x < y { x } else { y })
    }
    #[inline(always)]
    fn sqrt(self, a: V) -> V {
        a.map(f32::sqrt)
    }
    #[inline(always)]
    fn abs(self, a: V) -> V {
        a.map(f32::abs)
    }
    #[inline(always)]
    fn round(self, a: V) -> V {
        a.map(f32::round_ties_even)
    }
    #[inline(always)]
    fn exp2_whole(self, n: V) -> V {
        n.map(|n| f32::from_bits(((n as i32 + 127) as u32) << 23))
    }
    #[inline(always)]
    fn select_lt(self, a: V, b: V, yes: V, no: V) -> V {
        let pick = |i: usize| if a[i] < b[i] { yes[i] } else { no[i] };
        [pick(0), pick(1), pick(2), pick(3)]
    }
    #[inline(always)]
    fn sum(self, a: V) -> f32 {
        (a[0] + a[2]) + (a[1] + a[3])
    }
    #[inline(always)]
    fn largest(self, a: V) -> f32 {
        a[0].max(a[2]).max(a[1].max(a[3]))
    }
    #[inline(always)]
    unsafe fn store_bytes(self, a: V, to: *mut i8) {
        // SAFETY: the caller gives four writable bytes.
        unsafe { to.cast::<[i8; 4]>().write_unaligned(a.map(|x| x as i8)) }
    }
}
