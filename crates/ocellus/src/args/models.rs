//! `ocellus models`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::model::Pixels;
use crate::values::{self, Format, ImageSize};

#[derive(Debug, Subcommand)]
pub enum Models {
    /// List the models on this machine
    List {
        /// How to print the list
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Download models, or bring them up to date
    Pull {
        /// `org/name[@revision]`
        #[arg(required = true, value_name = "MODEL")]
        models: Vec<String>,
    },
    /// Show what a model on this machine consists of
    Show {
        /// `nano`, `org/name[@revision]` or a model folder
        #[arg(value_name = "MODEL")]
        model: String,
        /// How to print it
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Remove downloaded models
    Rm {
        /// org/name, or org/name@revision for one revision
        #[arg(required = true, value_name = "MODEL")]
        models: Vec<String>,
    },
    /// List the families of models that can be run
    Families {
        /// How to print the list
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Tell what a model needs in memory, and what its work costs, before it is loaded
    Plan(Plan),
    /// Write a quantised model, which loads at once
    Quantize(Quantize),
    /// Write a model with its LoRA adapter merged into the weights
    Merge(Merge),
}

#[derive(Debug, Args)]
pub struct Merge {
    /// The folder of an adapter, or of a model with an adapter beside its weights
    #[arg(value_name = "MODEL")]
    pub model: String,
    /// The folder to write, which must not be there yet
    #[arg(long, short, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub output: PathBuf,
}

#[derive(Debug, Args)]
pub struct Quantize {
    /// The model
    #[arg(value_name = "MODEL")]
    pub model: String,
    /// The folder to write, which must not be there yet
    #[arg(long, short, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub output: PathBuf,
    /// Pictures and texts (*.txt), or folders of them, on which the model is run first: weights that matter more there are
    /// rounded more exactly; for q6 and q4
    #[arg(long, value_name = "PATH", num_args = 1.., value_hint = ValueHint::AnyPath)]
    pub calibration: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Plan {
    /// The model
    #[arg(value_name = "MODEL")]
    pub model: String,
    /// Pictures in one request
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u16).range(0..=64))]
    pub images: u16,
    /// Their size
    #[arg(long, value_name = "WxH", default_value = "1280x960")]
    pub image_size: ImageSize,
    #[command(flatten)]
    pub pixels: Pixels,
    /// Tokens of the answer
    #[arg(long, value_name = "N", default_value = "1024", value_parser = values::at_least_one::<NonZeroUsize>)]
    pub max_tokens: NonZeroUsize,
    /// How to print the plan
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}
