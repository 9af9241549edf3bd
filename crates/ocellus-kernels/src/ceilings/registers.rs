//! Multiplications and additions on values that never leave the registers.
//!
//! Twelve independent chains: more than the latency of a multiply-add times the units that compute it, on every
//! processor that is common.

use std::hint::black_box;

use super::arithmetic::{Arithmetic, CHAINS};
use crate::isa::Isa;
use crate::parallel;

/// Runs `rounds` rounds as often as there are threads, side by side. Returns the operations of all, a multiplication and an
/// addition counted as two; `None` where the processor has no instruction for it at the level at hand.
pub fn spin(arithmetic: Arithmetic, rounds: u64) -> Option<u64> {
    let isa = Isa::detect();
    let single = one(isa, arithmetic, 0)?;
    let times = parallel::threads();
    // As work it counts as more than any other, so that it is spread however few rounds there are.
    parallel::for_each(times, usize::MAX, |_| {
        one(isa, arithmetic, rounds);
    });
    Some(single.saturating_mul(rounds).saturating_mul(times as u64))
}

/// Runs the rounds on this thread; returns the operations of a single round.
fn one(isa: Isa, arithmetic: Arithmetic, rounds: u64) -> Option<u64> {
    #[cfg(target_arch = "x86_64")]
    if let Some(step) = x86::run(isa, arithmetic, rounds) {
        return Some(step * CHAINS as u64);
    }
    #[cfg(target_arch = "aarch64")]
    if let Some(step) = neon::run(isa, arithmetic, rounds) {
        return Some(step * CHAINS as u64);
    }
    let _ = isa;
    (arithmetic == Arithmetic::F32).then(|| portable(rounds) * CHAINS as u64)
}

/// What a compiler makes of plain Rust; returns the operations of one step of a chain.
fn portable(rounds: u64) -> u64 {
    const LANES: usize = 4;
    let (factor, term) = (black_box(0.999f32), black_box(1e-9f32));
    let mut chains = black_box([[1.0f32; LANES]; CHAINS]);
    for _ in 0..rounds {
        for chain in &mut chains {
            chain.iter_mut().for_each(|value| *value = *value * factor + term);
        }
    }
    black_box(chains);
    2 * LANES as u64
}

/// A function that repeats a step on all chains. Starts are hidden from the compiler, or it would see that all chains are one.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! chains {
    ($name:ident, $features:literal, $start:expr, |$chain:ident, $operands:ident| $step:expr, $given:expr) => {
        #[target_feature(enable = $features)]
        fn $name(rounds: u64) {
            let $operands = black_box($given);
            let mut chains = black_box([$start; CHAINS]);
            for _ in 0..rounds {
                for $chain in &mut chains {
                    *$chain = $step;
                }
            }
            black_box(chains);
        }
    };
}

#[cfg(target_arch = "aarch64")]
mod neon;

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;
    use std::hint::black_box;

    use crate::ceilings::arithmetic::{Arithmetic, CHAINS};
    use crate::isa::{Isa, Level};

    /// Runs the rounds with the widest instruction of the level; returns the operations of one step of a chain.
    pub(super) fn run(isa: Isa, arithmetic: Arithmetic, rounds: u64) -> Option<u64> {
        let level = isa.level();
        let step = match arithmetic {
            Arithmetic::F32 if level >= Level::Avx512 => {
                // SAFETY: this level is found only where AVX-512 F is.
                unsafe { fma_512(rounds) };
                2 * 16
            }
            Arithmetic::F32 if level >= Level::Avx2 => {
                // SAFETY: this level is found only where AVX2 and FMA are.
                unsafe { fma_256(rounds) };
                2 * 8
            }
            Arithmetic::Bf16 if level >= Level::Avx512Bf16 => {
                // SAFETY: this level is found only where the bf16 dot product is.
                unsafe { bf16_512(rounds) };
                2 * 32
            }
            Arithmetic::Int8 if level >= Level::Avx512Vnni => {
                // SAFETY: this level is found only where AVX-512 VNNI is.
                unsafe { int8_512(rounds) };
                2 * 64
            }
            Arithmetic::Int8 if level >= Level::Avx2 => {
                // SAFETY: this level is found only where AVX2 is.
                unsafe { int8_256(rounds) };
                2 * 32
            }
            _ => return None,
        };
        Some(step)
    }

    chains!(
        fma_512,
        "avx512f",
        _mm512_set1_ps(1.0),
        |chain, by| _mm512_fmadd_ps(*chain, by.0, by.1),
        (_mm512_set1_ps(0.999), _mm512_set1_ps(1e-9))
    );
    chains!(
        fma_256,
        "avx2,fma",
        _mm256_set1_ps(1.0),
        |chain, by| _mm256_fmadd_ps(*chain, by.0, by.1),
        (_mm256_set1_ps(0.999), _mm256_set1_ps(1e-9))
    );
    chains!(
        bf16_512,
        "avx512f,avx512bf16",
        _mm512_set1_ps(0.0),
        |chain, by| _mm512_dpbf16_ps(*chain, by, by),
        _mm512_cvtne2ps_pbh(_mm512_set1_ps(0.5), _mm512_set1_ps(0.25))
    );
    chains!(
        int8_512,
        "avx512f,avx512vnni",
        _mm512_setzero_si512(),
        |chain, by| _mm512_dpbusd_epi32(*chain, by, by),
        _mm512_set1_epi8(3)
    );
    // Without a byte dot product it takes three instructions; the chain goes through all of them, so that none is done once for all.
    chains!(
        int8_256,
        "avx2",
        _mm256_setzero_si256(),
        |chain, by| _mm256_add_epi32(by.0, _mm256_madd_epi16(_mm256_maddubs_epi16(*chain, by.0), by.1)),
        (_mm256_set1_epi8(3), _mm256_set1_epi16(1))
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::tests::on_every_isa;

    #[test]
    fn operations_grow_with_rounds_and_threads() {
        on_every_isa(|isa| {
            for arithmetic in [Arithmetic::F32, Arithmetic::Bf16, Arithmetic::Int8] {
                let single = one(isa, arithmetic, 3);
                assert_eq!(single, one(isa, arithmetic, 5), "{arithmetic:?}");
                assert_eq!(single.is_some(), one(isa, arithmetic, 0).is_some());
                if let Some(operations) = single {
                    assert_eq!(operations % (2 * CHAINS as u64), 0);
                }
            }
            assert!(
                one(isa, Arithmetic::F32, 1).is_some(),
                "every processor multiplies"
            );
        });
    }

    #[test]
    fn all_threads_work() {
        let threads = parallel::threads() as u64;
        let single = one(Isa::detect(), Arithmetic::F32, 10).unwrap();
        assert_eq!(spin(Arithmetic::F32, 10), Some(10 * single * threads));
    }

    #[test]
    fn wider_levels_do_more_at_a_time() {
        let wide: Vec<u64> = Isa::available()
            .into_iter()
            .filter_map(|isa| one(isa, Arithmetic::F32, 0))
            .collect();
        assert!(wide.is_sorted(), "{wide:?}");
    }
}
