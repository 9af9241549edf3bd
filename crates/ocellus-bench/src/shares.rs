//! What was reached of what the machine can do.

use ocellus_kernels::ceilings::Arithmetic;
use ocellus_models::plan::Shape;
use ocellus_session::StorageDtype;

use crate::ceilings::Ceilings;
use crate::measure::Measured;
use crate::median::median;

/// What the measured work costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Costs {
    /// Operations of the tower for the picture.
    pub tower_flops: u64,
    /// Operations of the whole prompt.
    pub prefill_flops: u64,
    /// Bytes that a token in the middle of the answer reads.
    pub token_bytes: u64,
    /// The keys and values among them.
    pub cache_bytes: u64,
    /// What products are computed in.
    pub arithmetic: Arithmetic,
}

impl Costs {
    /// Costs of what was measured.
    pub fn of(shape: &Shape, measured: &Measured, storage: &StorageDtype) -> Self {
        let prompt = measured.prompt_tokens as u64;
        let context = prompt + measured.tokens as u64 / 2;
        let turn = shape.decode_cost(context, &storage.widths, storage.kv_cache);
        Self {
            tower_flops: shape.vision_flops(&[measured.grid]),
            prefill_flops: shape.prefill_flops(prompt),
            token_bytes: turn.bytes(),
            cache_bytes: turn.cache_bytes,
            arithmetic: storage.arithmetic,
        }
    }

    /// Bytes of weights that a token reads.
    pub fn weights_bytes(&self) -> u64 {
        self.token_bytes.saturating_sub(self.cache_bytes)
    }
}

/// Shares of the ceilings, 1 = all of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shares {
    /// Of the peak of arithmetic; `None` where there is no instruction for it.
    pub tower: Option<f64>,
    pub prefill: Option<f64>,
    /// Of the memory's bandwidth.
    pub decode: f64,
}

impl Shares {
    pub fn of(measured: &Measured, costs: &Costs, ceilings: &Ceilings) -> Self {
        let peak = ceilings.peak(costs.arithmetic);
        let of_peak = |flops: u64, seconds: f64| peak.map(|peak| flops as f64 / 1e9 / seconds / peak);
        let runs = || measured.runs.iter();
        let decode_tok_s = median(runs().map(|r| measured.decode_tok_s(r)));
        Self {
            tower: of_peak(costs.tower_flops, median(runs().map(|r| r.encode_s))),
            prefill: of_peak(costs.prefill_flops, median(runs().map(|r| r.prefill_s))),
            decode: costs.token_bytes as f64 / 1e9 * decode_tok_s / ceilings.read_gb_s,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::measured;

    #[test]
    fn shares_are_work_over_time_over_the_ceiling() {
        let ceilings = Ceilings {
            read_gb_s: 50.0,
            f32_gflops: Some(200.0),
            bf16_gflops: Some(400.0),
            int8_gops: None,
        };
        let costs = Costs {
            tower_flops: 4_000_000_000_000,
            prefill_flops: 2_000_000_000_000,
            token_bytes: 5_000_000_000,
            cache_bytes: 0,
            arithmetic: Arithmetic::Bf16,
        };
        // The middle run: 20 s in the tower, 10 s in the prompt, 8 tokens a second.
        let shares = Shares::of(&measured(), &costs, &ceilings);
        assert_eq!((shares.tower, shares.prefill), (Some(0.5), Some(0.5)));
        assert!((shares.decode - 0.8).abs() < 1e-9, "{shares:?}");
        let bytes = Costs {
            arithmetic: Arithmetic::Int8,
            ..costs
        };
        assert_eq!(Shares::of(&measured(), &bytes, &ceilings).tower, None);
    }
}
