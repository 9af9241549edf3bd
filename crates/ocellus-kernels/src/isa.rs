//! The instruction sets of this processor, detected once.
//!
//! An [`Isa`] is a value that can only be made on a processor that has the instructions, so holding one is the
//! proof that the vector code behind it may run.

use std::sync::OnceLock;

#[cfg(target_arch = "aarch64")]
use crate::simd::Neon;
#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512};
use crate::simd::{Portable, Simd};

/// The instruction levels kernels are written for: those of one kind of processor from the plainest to the richest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// Plain Rust, any processor.
    Portable,
    /// AVX2, FMA and F16C: eight `f32` lanes.
    Avx2,
    /// AVX-512 F, BW, VL and DQ: sixteen `f32` lanes.
    Avx512,
    /// [`Level::Avx512`] with the dot product of bytes (VNNI).
    Avx512Vnni,
    /// [`Level::Avx512Vnni`] with the dot product of bf16.
    Avx512Bf16,
    /// NEON: four `f32` lanes.
    Neon,
    /// [`Level::Neon`] with the dot product of bytes.
    NeonDot,
    /// [`Level::NeonDot`] with the product of small matrices of bytes.
    NeonI8mm,
    /// [`Level::NeonI8mm`] with the dot product of bf16.
    NeonBf16,
}

impl Level {
    #[cfg(target_arch = "x86_64")]
    const ALL: &[Self] = &[
        Self::Portable,
        Self::Avx2,
        Self::Avx512,
        Self::Avx512Vnni,
        Self::Avx512Bf16,
    ];
    #[cfg(target_arch = "aarch64")]
    const ALL: &[Self] = &[
        Self::Portable,
        Self::Neon,
        Self::NeonDot,
        Self::NeonI8mm,
        Self::NeonBf16,
    ];
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    const ALL: &[Self] = &[Self::Portable];

    /// The level's name in settings: `portable`; `avx2`, `avx512`, `avx512-vnni`, `avx512-bf16`; `neon`, `neon-dot`, `neon-i8mm`,
    /// `neon-bf16`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Avx512Vnni => "avx512-vnni",
            Self::Avx512Bf16 => "avx512-bf16",
            Self::Neon => "neon",
            Self::NeonDot => "neon-dot",
            Self::NeonI8mm => "neon-i8mm",
            Self::NeonBf16 => "neon-bf16",
        }
    }
}

/// Proof that the processor has the instructions of a [`Level`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Isa(Level);

/// A computation written once for every vector width; [`Isa::run`] compiles it for a level.
pub(crate) trait Kernel {
    type Out;
    fn run<S: Simd>(self, simd: S) -> Self::Out;
}

static BEST: OnceLock<Level> = OnceLock::new();

impl Isa {
    /// The richest level of this processor, unless [`Isa::settle`] chose another.
    pub fn detect() -> Self {
        #[cfg(test)]
        if let Some(forced) = tests::forced() {
            return forced;
        }
        Self(*BEST.get_or_init(best_level))
    }

    /// Makes [`Isa::detect`] return the level called `name` from now on, if this processor has it; for measurements and for
    /// locating differences. No effect after the first computation.
    ///
    /// # Errors
    /// The names of the levels that there are.
    pub fn settle(name: &str) -> Result<(), Vec<&'static str>> {
        match Self::available().iter().find(|isa| isa.0.name() == name) {
            Some(isa) => {
                let _ = BEST.set(isa.0);
                Ok(())
            }
            None => Err(Self::available().iter().map(|isa| isa.0.name()).collect()),
        }
    }

    /// Every level that this processor has, plainest first.
    pub fn available() -> Vec<Self> {
        let best = best_level();
        let levels = Level::ALL.iter().copied();
        levels.filter(|level| *level <= best).map(Self).collect()
    }

    /// The level this value stands for.
    pub fn level(self) -> Level {
        self.0
    }

    /// Runs `kernel` compiled for this level.
    #[inline]
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Out {
        match self.0 {
            Level::Portable => kernel.run(Portable),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: an `Isa` of this level exists only where detection found AVX2 and FMA.
            Level::Avx2 => unsafe { run_avx2(kernel) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: an `Isa` of these levels exists only where detection found AVX-512 F, BW, VL and DQ.
            Level::Avx512 | Level::Avx512Vnni | Level::Avx512Bf16 => unsafe { run_avx512(kernel) },
            #[cfg(target_arch = "aarch64")]
            // SAFETY: an `Isa` of these levels exists only where detection found NEON.
            Level::Neon | Level::NeonDot | Level::NeonI8mm | Level::NeonBf16 => unsafe { run_neon(kernel) },
            _ => unreachable!("a level of another kind of processor is never detected"),
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn best_level() -> Level {
    if cfg!(miri)
        || !(is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c"))
    {
        return Level::Portable;
    }
    let wide = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512dq");
    let (vnni, bf16) = (
        is_x86_feature_detected!("avx512vnni"),
        is_x86_feature_detected!("avx512bf16"),
    );
    match (wide, vnni, bf16) {
        (false, ..) => Level::Avx2,
        (true, false, _) => Level::Avx512,
        (true, true, false) => Level::Avx512Vnni,
        (true, true, true) => Level::Avx512Bf16,
    }
}

#[cfg(target_arch = "aarch64")]
fn best_level() -> Level {
    use std::arch::is_aarch64_feature_detected as has;
    if cfg!(miri) || !has!("neon") {
        return Level::Portable;
    }
    match (has!("dotprod"), has!("i8mm"), has!("bf16")) {
        (false, ..) => Level::Neon,
        (true, false, _) => Level::NeonDot,
        (true, true, false) => Level::NeonI8mm,
        (true, true, true) => Level::NeonBf16,
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn best_level() -> Level {
    Level::Portable
}

/// # Safety
/// The processor must have AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn run_avx2<K: Kernel>(kernel: K) -> K::Out {
    // SAFETY: passed on to the caller.
    kernel.run(unsafe { Avx2::assume() })
}

/// # Safety
/// The processor must have AVX-512 F, BW, VL and DQ.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma")]
unsafe fn run_avx512<K: Kernel>(kernel: K) -> K::Out {
    // SAFETY: passed on to the caller.
    kernel.run(unsafe { Avx512::assume() })
}

/// # Safety
/// The processor must have NEON.
#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
unsafe fn run_neon<K: Kernel>(kernel: K) -> K::Out {
    // SAFETY: passed on to the caller.
    kernel.run(unsafe { Neon::assume() })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::cell::Cell;

    thread_local!(static FORCED: Cell<Option<Isa>> = const { Cell::new(None) });

    pub(super) fn forced() -> Option<Isa> {
        FORCED.get()
    }

    /// Runs `work` with detection on this thread answering `isa`.
    pub(crate) fn with_isa<T>(isa: Isa, work: impl FnOnce() -> T) -> T {
        struct Reset(Option<Isa>);
        impl Drop for Reset {
            fn drop(&mut self) {
                FORCED.set(self.0);
            }
        }
        let _reset = Reset(FORCED.replace(Some(isa)));
        work()
    }

    /// Runs `test` once for every level of this processor.
    pub(crate) fn on_every_isa(mut test: impl FnMut(Isa)) {
        for isa in Isa::available() {
            with_isa(isa, || test(isa));
        }
    }

    #[test]
    fn levels_start_with_portable_and_end_with_the_detected_one() {
        let levels = Isa::available();
        assert_eq!(levels.first().map(|isa| isa.level()), Some(Level::Portable));
        assert_eq!(levels.last().copied(), Some(Isa::detect()));
    }

    #[test]
    fn forcing_a_level_is_seen_by_detection() {
        on_every_isa(|isa| assert_eq!(Isa::detect(), isa));
    }
}
