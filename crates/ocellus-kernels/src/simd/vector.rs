//! What a set of vector instructions can do.

/// Arithmetic on vectors of `LANES` values.
pub(crate) trait Simd: Copy {
    type V: Copy;
    const LANES: usize;

    fn splat(self, value: f32) -> Self::V;
    /// # Safety
    /// `from` must be readable for `LANES` values.
    unsafe fn load_ptr(self, from: *const f32) -> Self::V;
    /// # Safety
    /// `to` must be writable for `LANES` values.
    unsafe fn store_ptr(self, value: Self::V, to: *mut f32);
    /// The lower halves of `LANES` words as bfloat16.
    ///
    /// # Safety
    /// `from` must be readable for `LANES` words.
    unsafe fn load_low(self, from: *const u32) -> Self::V;
    /// The upper halves of `LANES` words as bfloat16.
    ///
    /// # Safety
    /// `from` must be readable for `LANES` words.
    unsafe fn load_high(self, from: *const u32) -> Self::V;
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`, rounded once where the hardware can.
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    fn sqrt(self, a: Self::V) -> Self::V;
    fn abs(self, a: Self::V) -> Self::V;
    /// Nearest whole number, ties to even.
    fn round(self, a: Self::V) -> Self::V;
    /// `2^n` for whole `n` in -126..=127.
    fn exp2_whole(self, n: Self::V) -> Self::V;
    /// `a * 2^n` for whole `n` in -126..=127.
    #[inline(always)]
    fn times_exp2(self, a: Self::V, n: Self::V) -> Self::V {
        self.mul(a, self.exp2_whole(n))
    }
    /// `yes` where `a < b`, else `no`.
    fn select_lt(self, a: Self::V, b: Self::V, yes: Self::V, no: Self::V) -> Self::V;
    /// Sum of the lanes, always in the same order.
    fn sum(self, a: Self::V) -> f32;
    /// Largest lane.
    fn largest(self, a: Self::V) -> f32;
    /// Writes whole numbers in -127..=127 as bytes; what anything else becomes is not said.
    ///
    /// # Safety
    /// `to` must be writable for `LANES` bytes.
    unsafe fn store_bytes(self, a: Self::V, to: *mut i8);

    #[inline(always)]
    fn zero(self) -> Self::V {
        self.splat(0.0)
    }

    /// The first `LANES` values of a slice that is at least so long.
    #[inline(always)]
    fn load(self, from: &[f32]) -> Self::V {
        assert!(from.len() >= Self::LANES);
        // SAFETY: length checked above.
        unsafe { self.load_ptr(from.as_ptr()) }
    }

    /// Writes the first `LANES` values of a slice that is at least so long.
    #[inline(always)]
    fn store(self, value: Self::V, to: &mut [f32]) {
        assert!(to.len() >= Self::LANES);
        // SAFETY: length checked above.
        unsafe { self.store_ptr(value, to.as_mut_ptr()) }
    }
}
