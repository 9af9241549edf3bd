//! The command line. A flag is here when it works, not before.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueHint};
use ocellus_session::{GenerationOptions, PixelBounds, Usage};

use crate::error::Failure;
use crate::values::{self, Activations, Device, Dtype, Format, ImageSize, KvCache, OcrFormat, Quant};

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

/// The model of a command.
#[derive(Debug, Args)]
pub struct Model {
    /// The model [default: OCELLUS_MODEL, else nano]
    #[arg(long, short, value_name = "MODEL")]
    pub model: Option<String>,
}

/// Requests that an engine runs at once.
const STREAMS: i64 = ocellus_base::limits::RUNNING_REQUESTS as i64;

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
