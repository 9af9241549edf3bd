//! What several commands share: the model, the size of pictures, how the next token is chosen.

use std::num::{NonZeroU32, NonZeroUsize};

use clap::Args;
use ocellus_session::{GenerationOptions, PixelBounds, Usage};

use crate::error::Failure;
use crate::values::{self};

/// The model of a command.
#[derive(Debug, Args)]
pub struct Model {
    /// The model [default: OCELLUS_MODEL, else nano]
    #[arg(long, short, value_name = "MODEL")]
    pub model: Option<String>,
}

/// How pictures are scaled before the model sees them.
#[derive(Debug, Args)]
pub struct Pixels {
    /// Enlarge pictures to at least this many pixels
    #[arg(long, value_name = "N", value_parser = values::at_least_one::<NonZeroU32>)]
    pub min_pixels: Option<NonZeroU32>,
    /// Shrink pictures to at most this many pixels
    #[arg(long, value_name = "N", value_parser = values::at_least_one::<NonZeroU32>)]
    pub max_pixels: Option<NonZeroU32>,
}

impl Pixels {
    pub fn bounds(&self) -> PixelBounds {
        PixelBounds {
            min_pixels: self.min_pixels.map(|n| n.get().into()),
            max_pixels: self.max_pixels.map(|n| n.get().into()),
        }
    }

    /// Fails where the bounds contradict each other.
    ///
    /// # Errors
    /// Wrong usage.
    pub fn check(&self) -> Result<(), Failure> {
        match (self.min_pixels, self.max_pixels) {
            (Some(min), Some(max)) if min > max => Err(Failure::usage(format!(
                "--min-pixels {min} is more than --max-pixels {max}"
            ))
            .hint("exchange the two values, or leave one out")),
            _ => Ok(()),
        }
    }

    /// A use within these bounds.
    pub fn usage(&self) -> Usage {
        Usage {
            bounds: self.bounds(),
            ..Usage::default()
        }
    }
}

/// How the next token is chosen; what is left out comes from the model's generation_config.json.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Sampling")]
pub struct Sampling {
    /// Stop after this many tokens
    #[arg(long, value_name = "N", value_parser = values::at_least_one::<NonZeroUsize>)]
    pub max_tokens: Option<NonZeroUsize>,
    /// 0 always takes the likeliest token
    #[arg(long, value_name = "T", value_parser = values::not_negative, allow_negative_numbers = true)]
    pub temperature: Option<f32>,
    /// Choose among the likeliest tokens that together have this probability
    #[arg(long, value_name = "P", value_parser = values::share, allow_negative_numbers = true)]
    pub top_p: Option<f32>,
    /// Choose among this many tokens; 0 means all
    #[arg(long, value_name = "K")]
    pub top_k: Option<usize>,
    /// Leave out tokens less likely than this share of the likeliest
    #[arg(long, value_name = "P", value_parser = values::probability, allow_negative_numbers = true)]
    pub min_p: Option<f32>,
    /// Make tokens that were used already less likely; 1 changes nothing
    #[arg(long, value_name = "R", value_parser = values::positive, allow_negative_numbers = true)]
    pub repeat_penalty: Option<f32>,
    /// The same seed gives the same answer
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
    /// End the answer before this text; may be given several times
    #[arg(long, value_name = "TEXT")]
    pub stop: Vec<String>,
}

impl Sampling {
    /// The same as the session takes it, with a seed in any case.
    pub fn options(&self) -> GenerationOptions {
        GenerationOptions {
            max_tokens: self.max_tokens.map(NonZeroUsize::get),
            temperature: self.temperature,
            top_p: self.top_p,
            top_k: self.top_k,
            min_p: self.min_p,
            repetition_penalty: self.repeat_penalty,
            seed: self.seed.unwrap_or_else(crate::environment::fresh_seed),
            stop: self.stop.clone(),
        }
    }
}
