//! What the machine can do at most, measured beside the model so that both saw the same noise.

use ocellus_base::clock::Clock;
use ocellus_kernels::ceilings::{Arithmetic, Block, Pattern, spin};

/// Bounds over all threads that the model uses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ceilings {
    /// Memory that is read, 10⁹ bytes a second.
    pub read_gb_s: f64,
    /// 10⁹ operations a second in registers; `None` where the processor has no instruction for it.
    pub f32_gflops: Option<f64>,
    pub bf16_gflops: Option<f64>,
    pub int8_gops: Option<f64>,
}

impl Ceilings {
    /// The peak of a kind of arithmetic; of bf16 that of f32 where there is no instruction for it.
    pub fn peak(&self, arithmetic: Arithmetic) -> Option<f64> {
        match arithmetic {
            Arithmetic::F32 => self.f32_gflops,
            Arithmetic::Bf16 => self.bf16_gflops.or(self.f32_gflops),
            Arithmetic::Int8 => self.int8_gops,
        }
    }
}

/// Bytes that are read to measure the memory: more than caches hold.
const MOST_BYTES: u64 = 1 << 30;
/// The least that still says something.
const LEAST_BYTES: u64 = 64 << 20;
/// Times that everything is measured; the best counts, for noise only slows.
const TIMES: usize = 5;
/// What one measurement of arithmetic takes at least.
const SPIN_NS: u64 = 100_000_000;

/// Measures all of them with a buffer that leaves most of `free_bytes` alone; takes a few seconds.
pub fn ceilings(free_bytes: u64, clock: &dyn Clock) -> Ceilings {
    let bytes = (free_bytes / 8).clamp(LEAST_BYTES, MOST_BYTES);
    Ceilings {
        read_gb_s: reading(bytes, clock),
        f32_gflops: arithmetic(Arithmetic::F32, clock),
        bf16_gflops: arithmetic(Arithmetic::Bf16, clock),
        int8_gops: arithmetic(Arithmetic::Int8, clock),
    }
}

fn reading(bytes: u64, clock: &dyn Clock) -> f64 {
    let block = Block::new(bytes as usize);
    let mut best_ns = u64::MAX;
    for pattern in Pattern::USUAL {
        for _ in 0..TIMES {
            let started = clock.now_ns();
            std::hint::black_box(block.read(pattern));
            best_ns = best_ns.min(clock.now_ns() - started);
        }
    }
    // Bytes a nanosecond are 10⁹ bytes a second.
    block.bytes() as f64 / best_ns.max(1) as f64
}

fn arithmetic(arithmetic: Arithmetic, clock: &dyn Clock) -> Option<f64> {
    let (mut rounds, mut best) = (1 << 16, 0.0f64);
    let mut timed = |rounds| {
        let started = clock.now_ns();
        let operations = spin(arithmetic, rounds)?;
        let ns = (clock.now_ns() - started).max(1);
        best = best.max(operations as f64 / ns as f64);
        Some(ns)
    };
    // As many rounds as take long enough to be measured.
    while timed(rounds)? < SPIN_NS && rounds < 1 << 40 {
        rounds *= 4;
    }
    for _ in 1..TIMES {
        timed(rounds)?;
    }
    Some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bf16_without_an_instruction_is_bounded_by_f32() {
        let ceilings = Ceilings {
            read_gb_s: 50.0,
            f32_gflops: Some(200.0),
            bf16_gflops: None,
            int8_gops: None,
        };
        let peaks = [Arithmetic::F32, Arithmetic::Bf16, Arithmetic::Int8].map(|a| ceilings.peak(a));
        assert_eq!(peaks, [Some(200.0), Some(200.0), None]);
    }
}
