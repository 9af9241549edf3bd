//! Made-up measurements, for tests of reports.

use ocellus_kernels::ceilings::Arithmetic;
use ocellus_models::Grid;

use crate::{Ceilings, Conditions, Costs, Intake, Measured, Report, Run};

/// Three made-up runs.
pub fn measured() -> Measured {
    let run = |times: f64| Run {
        preprocess_s: 0.05 * times,
        encode_s: 20.0 * times,
        prefill_s: 10.0 * times,
        first_token_s: 30.1 * times,
        decode_s: 8.0 * times,
    };
    Measured {
        grid: Grid { t: 1, h: 56, w: 78 },
        prompt_tokens: 1124,
        image_tokens: 1092,
        tokens: 65,
        first_tokens: vec![5, 6, 7],
        runs: [1.25, 1.0, 0.5].map(run).to_vec(),
    }
}

/// What would be said of them.
pub fn report() -> Report {
    Report {
        conditions: Conditions {
            model: "org/model".into(),
            weights: "bf16".into(),
            image: (1092, 784),
            threads: 2,
            processor: "A processor".into(),
            cores: 2,
            isa: "avx512".into(),
        },
        measured: measured(),
        intake: Intake {
            png_mpx_s: 40.0,
            jpeg_mpx_s: 55.5,
        },
        load_s: 2.5,
        peak_bytes: Some(15 << 29),
        costs: Some(Costs {
            tower_flops: 4_000_000_000_000,
            prefill_flops: 2_000_000_000_000,
            token_bytes: 5_000_000_000,
            cache_bytes: 1_000_000_000,
            arithmetic: Arithmetic::Bf16,
        }),
        ceilings: Some(Ceilings {
            read_gb_s: 50.0,
            f32_gflops: Some(200.0),
            bf16_gflops: Some(400.0),
            int8_gops: None,
        }),
        streams: Vec::new(),
        profile: None,
    }
}
