//! The command line. A flag is here when it works, not before.

mod development;
mod model;
mod models;
mod tasks;

pub use development::{Bench, Completions, Data, Doctor, Man, Synth, Train, Verify};
pub use model::Sampling;
pub use models::{Merge, Models, Plan, Quantize};
pub use tasks::{Ask, Caption, Chat, Classify, Detect, Embed, Fill, Ocr, Score};

use clap::{Args, Parser, Subcommand};

use crate::values::{self, Activations, Device, Dtype, KvCache, Quant};

/// Runs, trains and measures vision-language models.
///
/// MODEL is `nano` (built in, the default), `org/name[@revision]`, or a model folder. Results go to
/// standard output, everything else to standard error.
#[derive(Debug, Parser)]
#[command(name = "ocellus", version, max_term_width = 100)]
#[command(after_help = "Exit codes: 0 done, 1 something failed, 2 wrong usage, 130 interrupted.")]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Arguments of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Where to compute: cpu, cuda:N or metal
    #[arg(long, global = true, value_name = "DEVICE", default_value = "cpu", value_parser = values::device)]
    pub device: Device,
    /// Element type to compute in [default: f32 on the CPU, bf16 elsewhere; the built-in model is read in q8]
    #[arg(long, global = true, value_parser = values::dtype())]
    pub dtype: Option<Dtype>,
    /// What weights are rounded to on the CPU; the vision tower keeps 8 bits [default: none, or what the files hold]
    #[arg(
        long,
        global = true,
        value_parser = values::quant(),
        value_name = "WIDTH",
        conflicts_with = "dtype"
    )]
    pub quant: Option<Quant>,
    /// What activations are rounded to where weights have few bits, on the CPU; bf16 and f32 widen those weights in memory
    #[arg(long, global = true, value_parser = values::activations(), value_name = "WIDTH", default_value = "int8")]
    pub activations: Activations,
    /// How the keys and values of earlier tokens are kept on the CPU
    #[arg(long, global = true, value_parser = values::kv_cache(), value_name = "WIDTH", default_value = "full")]
    pub kv_cache: KvCache,
    /// The base of a LoRA adapter that is given as the model [default: the one that the adapter names]
    #[arg(long, global = true, value_name = "MODEL")]
    pub base: Option<String>,
    /// Threads to compute with [default: OCELLUS_THREADS, else all]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// No progress, no notes; errors only
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Refuse a model that would run with a warning: config fields and tensors that nothing knows
    #[arg(long, global = true)]
    pub strict: bool,
    /// What to log: off, error, warn, info, debug or trace [default: OCELLUS_LOG, else warn]
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log_level: Option<log::LevelFilter>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Ask a question, about images or not
    Ask(Ask),
    /// Talk with a model
    Chat(Chat),
    /// Read the text of page images (OCR)
    Ocr(Ocr),
    /// Describe images (captions)
    Caption(Caption),
    /// Tell how well texts fit an image: image-text matching
    Score(Score),
    /// Tell which of some labels fits an image: zero-shot classification
    Classify(Classify),
    /// Find words for the masks in a text about an image: fill-mask
    Fill(Fill),
    /// Turn images and texts into embedding vectors
    Embed(Embed),
    /// Find objects and their regions in images, for models that look at regions
    Detect(Detect),
    /// List, download, inspect and remove models
    #[command(subcommand)]
    Models(Models),
    /// Compare a model with recorded results, tensor by tensor
    Verify(Verify),
    /// Make training data
    #[command(subcommand)]
    Data(Data),
    /// Train a model as a recipe says
    Train(Train),
    /// Measure how fast a model runs on this machine
    Bench(Bench),
    /// Show what this machine offers and whether anything is wrong
    Doctor(Doctor),
    /// Print a completion script for a shell
    Completions(Completions),
    /// Write the manual pages of all commands
    #[command(hide = true)]
    Man(Man),
}
