//! How fast a model runs here: one picture and one prompt, measured part by part, several times.

mod intake;
mod measure;
mod prompt;
mod report;

pub use intake::{Intake, intake};
pub use measure::{Measured, Run, measure};
pub use report::{Report, Setting};

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
    use super::median;

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
