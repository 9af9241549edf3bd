//! How fast a model runs here: one picture and one prompt, measured part by part, several times.

mod ceilings;
mod flame;
mod intake;
mod measure;
mod profile;
mod prompt;
mod report;
mod shares;
mod table;

pub use ceilings::{Ceilings, ceilings};
pub use intake::{Intake, intake};
pub use measure::{Measured, Run, measure};
pub use profile::{Profile, Profiler};
pub use report::{Report, Setting};
pub use shares::{Costs, Shares};

use crate::args::Bench;
use crate::values::ImageSize;

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub struct Work {
    pub image: ImageSize,
    /// Tokens of the prompt beside those of the picture.
    pub prompt_tokens: usize,
    /// Tokens to generate.
    pub tokens: usize,
    pub runs: usize,
}

impl Work {
    pub fn of(args: &Bench) -> Self {
        Self {
            image: args.image_size,
            prompt_tokens: args.prompt_tokens as usize,
            tokens: args.tokens as usize,
            runs: args.runs.into(),
        }
    }
}

/// The middle value; of an even number of them the mean of the two in the middle. Not a number when there is none.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => (values[n / 2 - 1] + values[n / 2]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use ocellus_kernels::ceilings::Arithmetic;
    use ocellus_models::Grid;

    use super::*;

    /// Three runs that nobody made.
    pub(super) fn measured() -> Measured {
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
    pub(super) fn report() -> Report {
        Report {
            setting: Setting {
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
                arithmetic: Arithmetic::Bf16,
            }),
            ceilings: Some(Ceilings {
                read_gb_s: 50.0,
                f32_gflops: Some(200.0),
                bf16_gflops: Some(400.0),
                int8_gops: None,
            }),
            profile: None,
        }
    }

    #[test]
    fn medians() {
        assert!(median([]).is_nan());
        for (values, expected) in [
            (&[3.0][..], 3.0),
            (&[9.0, 1.0, 2.0], 2.0),
            (&[4.0, 1.0, 2.0, 3.0], 2.5),
        ] {
            assert_eq!(median(values.iter().copied()), expected);
        }
    }
}
