//! Commands that give a model something to do.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueHint};

use super::model::{Model, Pixels, Sampling};
use crate::values::{self, Format, OcrFormat};

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("question").args(["prompt", "text"]))]
pub struct Ask {
    #[command(flatten)]
    pub model: Model,
    /// A picture, which stands before the question; may be given several times
    #[arg(long = "image", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub images: Vec<PathBuf>,
    /// A picture that stands after the question; may be given several times
    #[arg(long = "image-after", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub images_after: Vec<PathBuf>,
    /// The question
    #[arg(long, short, value_name = "TEXT")]
    pub prompt: Option<String>,
    /// The question; `-`, or none at all, takes it from standard input
    #[arg(value_name = "TEXT", num_args = 0..)]
    pub text: Vec<String>,
    /// Choose among these answers, one a line, for models that write answers to single questions
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub answers: Option<PathBuf>,
    /// What a detector found in the picture, for models that look at that: .npz or .safetensors
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub regions: Option<PathBuf>,
    /// What the model is told before the question
    #[arg(long, value_name = "TEXT")]
    pub system: Option<String>,
    #[command(flatten)]
    pub pixels: Pixels,
    /// How to print the answer
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Print the answer when it is complete, not while it grows
    #[arg(long)]
    pub no_stream: bool,
    #[command(flatten)]
    pub sampling: Sampling,
}

impl Ask {
    /// All pictures in their order.
    pub fn pictures(&self) -> impl Iterator<Item = &PathBuf> {
        self.images.iter().chain(&self.images_after)
    }

    /// The question, which was looked for everywhere.
    pub fn question(&self) -> &str {
        self.prompt.as_deref().unwrap_or_default()
    }
}

#[derive(Debug, Args)]
pub struct Chat {
    #[command(flatten)]
    pub model: Model,
    /// A picture for the first question; may be given several times
    #[arg(long = "image", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub images: Vec<PathBuf>,
    /// What the model is told before the conversation
    #[arg(long, value_name = "TEXT")]
    pub system: Option<String>,
    #[command(flatten)]
    pub sampling: Sampling,
}

#[derive(Debug, Args)]
pub struct Ocr {
    /// Pictures, folders of them, searched with the folders in them, or `-` for standard input; every page of a TIFF file is read
    #[arg(required = true, value_name = "INPUT", value_hint = ValueHint::AnyPath)]
    pub inputs: Vec<PathBuf>,
    #[command(flatten)]
    pub model: Model,
    /// What to write
    #[arg(long, value_enum, default_value_t)]
    pub format: OcrFormat,
    /// Write to this file, or into this folder with a file for each input; `-` is standard output
    #[arg(long, short, value_name = "OUT|DIR/", value_hint = ValueHint::AnyPath)]
    pub output: Option<PathBuf>,
    /// Keep lines of which the model is unsure; they are mostly rules, pictures and paper
    #[arg(long)]
    pub keep_uncertain: bool,
    /// Also draw the boxes of the lines into a copy of the page: a PNG or JPEG file, or a folder with a PNG file for each page
    #[arg(long, value_name = "OUT.png|DIR/", value_hint = ValueHint::AnyPath)]
    pub draw: Option<PathBuf>,
    /// What a model that reads whole pages is told [default: to read all the text]
    #[arg(long, short, value_name = "TEXT")]
    pub prompt: Option<String>,
    /// Stop after this many tokens a page, for models that read whole pages [default: 1024]
    #[arg(long, value_name = "N", value_parser = values::at_least_one::<NonZeroUsize>)]
    pub max_tokens: Option<NonZeroUsize>,
    #[command(flatten)]
    pub pixels: Pixels,
}

#[derive(Debug, Args)]
pub struct Caption {
    /// Pictures, folders of pictures, or `-` for standard input
    #[arg(required = true, value_name = "INPUT", value_hint = ValueHint::AnyPath)]
    pub inputs: Vec<PathBuf>,
    #[command(flatten)]
    pub model: Model,
    /// What the caption begins with, or what the model is told
    #[arg(long, short, value_name = "TEXT")]
    pub prompt: Option<String>,
    /// Beam search: follow this many captions side by side and keep the best; 1 takes the likeliest word each time
    #[arg(long, value_name = "N", default_value = "3", value_parser = clap::value_parser!(u8).range(1..=32))]
    pub beams: u8,
    /// Stop after this many tokens
    #[arg(long, value_name = "N", default_value = "30", value_parser = values::at_least_one::<NonZeroUsize>)]
    pub max_tokens: NonZeroUsize,
    /// How to print the captions
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

#[derive(Debug, Args)]
pub struct Score {
    /// A picture
    #[arg(value_name = "INPUT", value_hint = ValueHint::FilePath)]
    pub input: PathBuf,
    /// Texts
    #[arg(required = true, value_name = "TEXT")]
    pub texts: Vec<String>,
    #[command(flatten)]
    pub model: Model,
    /// What a detector found in the picture: .npz or .safetensors with features, boxes and size
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub regions: Option<PathBuf>,
    /// How to print the scores
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

#[derive(Debug, Args)]
pub struct Classify {
    /// A picture
    #[arg(value_name = "INPUT", value_hint = ValueHint::FilePath)]
    pub input: PathBuf,
    /// Labels
    #[arg(required = true, value_name = "LABEL")]
    pub labels: Vec<String>,
    #[command(flatten)]
    pub model: Model,
    /// The sentence that a label stands in
    #[arg(long, value_name = "TEXT", default_value = "a photo of a {}")]
    pub template: String,
    /// How to print the labels
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

#[derive(Debug, Args)]
pub struct Fill {
    /// A picture
    #[arg(value_name = "INPUT", value_hint = ValueHint::FilePath)]
    pub input: PathBuf,
    /// A text with `[MASK]` where words are missing
    #[arg(value_name = "TEXT")]
    pub text: String,
    #[command(flatten)]
    pub model: Model,
    /// What a detector found in the picture: .npz or .safetensors with features, boxes and size
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub regions: Option<PathBuf>,
    /// Words for each mask
    #[arg(long, value_name = "N", default_value = "5", value_parser = values::at_least_one::<NonZeroUsize>)]
    pub top: NonZeroUsize,
    /// How to print the words
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

#[derive(Debug, Args)]
pub struct Embed {
    /// Pictures, `-` for one on standard input, and texts: what neither is a file nor looks like one is a text
    #[arg(required_unless_present = "texts", value_name = "INPUT|TEXT")]
    pub inputs: Vec<String>,
    /// A text, whatever it looks like; may be given several times
    #[arg(long = "text", value_name = "TEXT")]
    pub texts: Vec<String>,
    #[command(flatten)]
    pub model: Model,
    /// How to print the vectors
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

#[derive(Debug, Args)]
pub struct Detect {
    /// Pictures, folders of them, or `-` for standard input
    #[arg(required = true, value_name = "INPUT", value_hint = ValueHint::AnyPath)]
    pub inputs: Vec<PathBuf>,
    #[command(flatten)]
    pub model: Model,
    /// Write features, boxes and size to this file, for `--regions` of other commands, or into a folder with a file for each input
    #[arg(long, short, value_name = "OUT.safetensors|DIR/", value_hint = ValueHint::AnyPath)]
    pub output: Option<PathBuf>,
    /// Also draw the boxes into a copy of the picture: a PNG or JPEG file, or a folder with a PNG file for each input
    #[arg(long, value_name = "OUT.png|DIR/", value_hint = ValueHint::AnyPath)]
    pub draw: Option<PathBuf>,
    /// How to print what was found
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}
