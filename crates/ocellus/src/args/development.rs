//! Parity, data, training, measurements, and what the program says of itself.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::model::{Model, Pixels};
use crate::values::{self, Format, ImageSize};

/// Requests that an engine runs at once.
const STREAMS: i64 = ocellus_base::limits::RUNNING_REQUESTS as i64;

#[derive(Debug, Args)]
pub struct Verify {
    /// Folders with case.json, model, inputs.safetensors and expected.safetensors
    #[arg(required_unless_present = "oracle", value_name = "CASE_DIR", value_hint = ValueHint::DirPath)]
    pub cases: Vec<PathBuf>,
    /// Files of recorded answers of published programs (JSON lines), or folders of them, instead of cases; the name of a file
    /// says the kind of its records
    #[arg(long, value_name = "PATH", num_args = 1.., conflicts_with_all = ["cases", "vocabulary"], value_hint = ValueHint::AnyPath)]
    pub oracle: Vec<PathBuf>,
    /// Rank file, tekken.json or tokenizer.json of the cases that name their vocabulary by its checksum; may be repeated
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub vocabulary: Vec<PathBuf>,
    /// How to print the certificate
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

#[derive(Debug, Subcommand)]
pub enum Data {
    /// Draw lines of text as pictures, with what they say
    Synth(Synth),
}

#[derive(Debug, Args)]
pub struct Synth {
    /// Folder to write to; must not exist or be empty
    #[arg(long, short, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub output: PathBuf,
    /// Pictures to draw
    #[arg(long, value_name = "N", default_value = "100", value_parser = values::at_least_one::<NonZeroU32>)]
    pub count: NonZeroU32,
    /// Draw whole pages instead of lines
    #[arg(long)]
    pub pages: bool,
    /// Folder with fonts; may be given several times
    #[arg(long = "fonts", required = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub fonts: Vec<PathBuf>,
    /// Text file, or folder of text files; may be given several times
    #[arg(long = "corpus", required = true, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub corpus: Vec<PathBuf>,
    /// Folder of a model: draw the characters that its tokenizer has; otherwise those of Western European languages
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub model: Option<PathBuf>,
    /// 0 = clean print, 1 = everything that can happen to paper
    #[arg(long, value_name = "D", default_value = "0.5", value_parser = values::probability)]
    pub difficulty: f32,
    /// The same seed draws the same pictures
    #[arg(long, value_name = "S", default_value = "0")]
    pub seed: u64,
}

#[derive(Debug, Args)]
pub struct Train {
    /// The recipe, a TOML file
    #[arg(value_name = "RECIPE", value_hint = ValueHint::FilePath)]
    pub recipe: PathBuf,
    /// Folder for checkpoints and the log of the run
    #[arg(long, short, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub output: PathBuf,
    /// Go on from the last checkpoint in that folder
    #[arg(long)]
    pub resume: bool,
    /// Stop after this many steps, as if interrupted
    #[arg(long, value_name = "N", value_parser = values::at_least_one::<NonZeroU32>)]
    pub stop_after: Option<NonZeroU32>,
}

#[derive(Debug, Args)]
pub struct Bench {
    /// The model, as for `--model`
    #[arg(value_name = "MODEL", conflicts_with = "model")]
    pub name: Option<String>,
    #[command(flatten)]
    pub model: Model,
    /// Size of the picture, which is drawn in memory [default: 1092x784; of a model that reads line by line, a full strip]
    #[arg(long, value_name = "WxH")]
    pub image_size: Option<ImageSize>,
    #[command(flatten)]
    pub pixels: Pixels,
    /// Tokens of the prompt beside those of the picture
    #[arg(long, value_name = "N", default_value = "32", value_parser = clap::value_parser!(u32).range(2..))]
    pub prompt_tokens: u32,
    /// Tokens to generate; end tokens are passed over
    #[arg(long, value_name = "N", default_value = "64", value_parser = clap::value_parser!(u32).range(2..))]
    pub tokens: u32,
    /// Times to measure; the table shows the median
    #[arg(long, value_name = "N", default_value = "3", value_parser = clap::value_parser!(u16).range(1..))]
    pub runs: u16,
    /// Also decode so many requests at once, for each number of the list
    #[arg(long, value_name = "N,N,...", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..=STREAMS))]
    pub streams: Vec<u16>,
    /// Leave the ceilings of the machine out: memory bandwidth and peaks of arithmetic
    #[arg(long)]
    pub no_ceilings: bool,
    /// Also measure every operation: a table, a flame graph in FILE, and its stacks as text in FILE.folded
    #[arg(long, value_name = "FILE.svg", value_hint = ValueHint::FilePath)]
    pub profile: Option<PathBuf>,
    /// Print one line of JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Doctor {
    /// Also try to reach the hub
    #[arg(long)]
    pub online: bool,
    /// How to print the findings
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub struct Man {
    /// The folder to write them to, as in: ~/.local/share/man/man1
    #[arg(long, short, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub output: PathBuf,
}
