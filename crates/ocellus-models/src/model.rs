//! A loaded model of any family, and the few things that models can do. What a model can do is what it returns.

use candle_core::Tensor;
use ocellus_media::PixelRecipe;
use ocellus_nn::Taps;
use ocellus_text::TextForm;

use crate::experts::Experts;
use crate::fusion::{Grounded, Momentum, States};
use crate::given::Given;
use crate::querying::Querying;
use crate::single_stream::SingleStream;
use crate::vlm::{Facts, Grid, ModelError, Vlm};

/// How a model takes what it sees.
#[derive(Clone, Debug, PartialEq)]
pub enum Sees {
    /// Pictures of any size as cells of its text, by the packed recipe of its `preprocessor_config.json`.
    Cells,
    /// Pictures as planes by this recipe, which the checkpoint's files may change, cut into patches.
    Planes(PixelRecipe),
    /// What a detector found: features of this width.
    Regions { width: usize },
}

/// How a generator is spoken to when no conversation is meant: what stands before a caption, and around a question (`{}`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phrases {
    pub caption: &'static str,
    pub question: &'static str,
}

/// A loaded model.
pub trait Model: Send + Sync {
    fn facts(&self) -> &Facts;

    fn sees(&self) -> Sees {
        Sees::Cells
    }

    /// How it wants texts that are no conversations.
    fn form(&self) -> TextForm {
        TextForm::BARE
    }

    /// Tokens that end its answers, where they are not the checkpoint's `generation_config.json`'s.
    fn ends(&self) -> Vec<u32> {
        Vec::new()
    }

    /// `None` = it is spoken to in conversations, by the checkpoint's chat template.
    fn phrases(&self) -> Option<Phrases> {
        None
    }

    /// Continues text: answers, captions.
    fn generator(&self) -> Option<&dyn Vlm> {
        None
    }

    /// Says how well texts and pictures fit.
    fn matcher(&self) -> Option<&dyn Matcher> {
        None
    }

    /// Puts texts and pictures into one space.
    fn embedder(&self) -> Option<&dyn Embedder> {
        None
    }

    /// Answers questions from a fixed list.
    fn classifier(&self) -> Option<&dyn Classifier> {
        None
    }

    /// Guesses masked words.
    fn filler(&self) -> Option<&dyn Filler> {
        None
    }

    /// Guesses masked regions.
    fn region_filler(&self) -> Option<&dyn RegionFiller> {
        None
    }

    /// Says which words go with which regions.
    fn aligner(&self) -> Option<&dyn Aligner> {
        None
    }

    /// Finds regions in pictures.
    fn detector(&self) -> Option<&dyn Detector> {
        None
    }

    /// Learns from a slowly following copy of itself. `None` also when it was loaded without one.
    fn momentum(&self) -> Option<&dyn Momentum> {
        None
    }

    /// Learns from a copy of its towers, and from texts that it reads anew. `None` also when it was loaded without the copy.
    fn grounded(&self) -> Option<&dyn Grounded> {
        None
    }

    /// Learns from pairs that it reads in one sequence. `None` also when it was loaded without the heads for that.
    fn single_stream(&self) -> Option<&dyn SingleStream> {
        None
    }

    /// Learns in stages, by experts. `None` also when it was loaded without the heads for that.
    fn experts(&self) -> Option<&dyn Experts> {
        None
    }

    /// Learns with queries between pictures and texts. `None` also when it was loaded without what this takes.
    fn querying(&self) -> Option<&dyn Querying> {
        None
    }

    /// Runs as its reference is called. `None` = it is a [`generator`](Self::generator) with pictures in its prompt, which needs no
    /// description of its own.
    fn tracer(&self) -> Option<&dyn Trace> {
        None
    }
}

/// A model that was found to be a generator.
pub struct Generator(Box<dyn Model>);

impl Generator {
    /// Fails when the model does not continue text.
    pub fn new(model: Box<dyn Model>) -> Result<Self, ModelError> {
        if model.generator().is_none() {
            let family = model.facts().family;
            return Err(ModelError::input(
                "the model",
                "one that continues text",
                format!("one of family `{family}` that does not"),
            ));
        }
        Ok(Self(model))
    }

    pub fn vlm(&self) -> &dyn Vlm {
        self.0.generator().expect("checked when it was made")
    }

    pub fn model(&self) -> &dyn Model {
        self.0.as_ref()
    }
}

/// What a model sees.
#[derive(Clone, Debug)]
pub enum Sight {
    /// Pictures as patch rows `[n, patch_features]`, one picture's after another's.
    Pictures { patches: Tensor, grids: Vec<Grid> },
    /// Pictures as what a detector found in them.
    Regions(Vec<Regions>),
}

/// What a detector found in one picture.
#[derive(Clone, Debug)]
pub struct Regions {
    /// `[regions, width]`.
    pub features: Tensor,
    /// x1, y1, x2, y2 in pixels.
    pub boxes: Vec<[f32; 4]>,
    /// Sides of the picture in pixels.
    pub width: f32,
    pub height: f32,
}

/// Patches of still pictures, and rows and columns of each.
pub type Stills<'a> = (&'a Tensor, Vec<(usize, usize)>);

impl Sight {
    /// The patches and grids, or an error that names what was given instead.
    pub fn pictures(&self) -> Result<(&Tensor, &[Grid]), ModelError> {
        match self {
            Self::Pictures { patches, grids } => Ok((patches, grids)),
            Self::Regions(_) => Err(ModelError::input("the input", "a picture", "region features")),
        }
    }

    /// As [`pictures`](Self::pictures), with rows and columns of every picture, for models of still pictures alone: patches have
    /// `features` values each, and there are as many as the grids say.
    pub fn stills(&self, features: usize) -> Result<Stills<'_>, ModelError> {
        let (patches, grids) = self.pictures()?;
        if let Some(grid) = grids.iter().find(|g| g.t != 1 || g.h == 0 || g.w == 0) {
            let found = format!("a grid of {}x{}x{}", grid.t, grid.h, grid.w);
            return Err(ModelError::input("a picture", "one frame of patches", found));
        }
        let count: usize = grids.iter().map(|g| g.h * g.w).sum();
        if patches.dims() != [count, features] {
            let expected = format!("[{count}, {features}]");
            return Err(ModelError::input(
                "the patches",
                expected,
                format!("{:?}", patches.dims()),
            ));
        }
        Ok((patches, grids.iter().map(|g| (g.h, g.w)).collect()))
    }

    /// The pictures of `which`, in this order; one may come several times.
    pub fn pick(&self, which: &[usize]) -> Result<Self, ModelError> {
        let count = match self {
            Self::Pictures { grids, .. } => grids.len(),
            Self::Regions(regions) => regions.len(),
        };
        if let Some(other) = which.iter().find(|i| **i >= count) {
            let expected = format!("numbers below {count}");
            return Err(ModelError::input("a choice of pictures", expected, other));
        }
        Ok(match self {
            Self::Regions(regions) => Self::Regions(which.iter().map(|i| regions[*i].clone()).collect()),
            Self::Pictures { patches, grids } => {
                let all = States {
                    rows: patches.clone(),
                    lengths: grids.iter().map(|g| g.t * g.h * g.w).collect(),
                };
                Self::Pictures {
                    patches: all.pick(which)?.rows,
                    grids: which.iter().map(|i| grids[*i]).collect(),
                }
            }
        })
    }

    /// The regions of every picture, or an error that names what was given instead.
    pub fn regions(&self) -> Result<&[Regions], ModelError> {
        match self {
            Self::Regions(regions) => Ok(regions),
            Self::Pictures { .. } => Err(ModelError::input("the input", "region features", "a picture")),
        }
    }
}

/// How well a text and a picture fit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PairScore {
    /// Probability that they belong together, from a head trained to tell.
    pub matched: Option<f32>,
    /// Cosine of their embeddings.
    pub similarity: Option<f32>,
}

/// Ids of texts as the model wants them, start and end tokens included.
pub type Texts<'a> = [&'a [u32]];

pub trait Matcher {
    /// Text `i` with picture `i`.
    fn pairs(&self, sight: &Sight, texts: &Texts) -> Result<Vec<PairScore>, ModelError>;
}

pub trait Embedder {
    /// `[pictures, width]`, of length 1 each.
    fn pictures(&self, sight: &Sight) -> Result<Tensor, ModelError>;
    /// `[texts, width]`, of length 1 each.
    fn texts(&self, texts: &Texts) -> Result<Tensor, ModelError>;
    /// What cosines are multiplied by before a softmax over texts.
    fn scale(&self) -> Result<f32, ModelError>;
}

pub trait Classifier {
    /// Question `i` about picture `i` → scores `[questions, answers]`.
    fn answers(&self, sight: &Sight, questions: &Texts) -> Result<Tensor, ModelError>;
    /// The answers' texts, as far as the config has them.
    fn labels(&self) -> &[String];
}

pub trait Filler {
    /// Text `i` with picture `i` → scores of words for every token of the texts, packed `[tokens, vocab]`.
    fn words(&self, sight: &Sight, texts: &Texts) -> Result<Tensor, ModelError>;
}

pub trait RegionFiller {
    /// Text `i` with picture `i`, whose regions `hidden[i]` are hidden → guesses for the hidden regions, in order.
    fn hidden(&self, sight: &Sight, texts: &Texts, hidden: &[&[usize]]) -> Result<RegionGuesses, ModelError>;
}

/// What hidden regions may be.
#[derive(Clone, Debug)]
pub struct RegionGuesses {
    /// Scores of the detector's classes, `[hidden, classes]`, from models that were trained to tell classes.
    pub classes: Option<Tensor>,
    /// Features as the detector would give them, `[hidden, width]`, from models that were trained to give features.
    pub features: Option<Tensor>,
}

pub trait Aligner {
    /// Text `i` with picture `i`.
    fn alignments(&self, sight: &Sight, texts: &Texts) -> Result<Vec<Alignment>, ModelError>;
}

/// Which words of a text go with which regions of a picture.
#[derive(Clone, Debug)]
pub struct Alignment {
    /// How much of each token goes with each region, `[tokens, regions]`; all of it adds up to 1.
    pub plan: Tensor,
    /// What the plan costs: 0 when all words lie on their regions, 2 when all are opposite.
    pub distance: f32,
}

pub trait Detector {
    /// What is in a picture, given as `planes [3, height, width]` by the model's recipe ([`Sees::Planes`]) and with the
    /// `(height, width)` in px that it had before; surest first.
    fn detect(&self, planes: &Tensor, size: (u32, u32)) -> Result<Detected, ModelError>;
}

/// What a detector found in a picture.
#[derive(Clone, Debug)]
pub struct Detected {
    pub regions: Regions,
    /// What each region most likely is.
    pub objects: Vec<Guess>,
    /// What each region is most likely like.
    pub attributes: Vec<Guess>,
}

/// One of the classes that a detector was trained to tell, and how likely it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Guess {
    pub class: u32,
    pub probability: f32,
}

/// A family's reference, called with its own arguments: what parity is measured on.
pub trait Trace {
    /// Computes everything the reference computes from these arguments. Taps every stage under the reference's name, in the
    /// reference's padded shape, zero at padding.
    fn trace(&self, given: &Given, taps: &mut Taps) -> Result<(), ModelError>;

    /// The requests that the arguments make of a generator: prompt ids, and patches and grids of its pictures, row by row.
    fn asked(&self, _given: &Given) -> Result<Vec<Asked>, ModelError> {
        Ok(Vec::new())
    }
}

/// A prompt with its pictures.
#[derive(Clone, Debug)]
pub struct Asked {
    pub ids: Vec<u32>,
    /// `[n, patch_features]` and the grid of every picture.
    pub pictures: Vec<(Tensor, Grid)>,
    /// Places of padding before the first token.
    pub offset: usize,
}
