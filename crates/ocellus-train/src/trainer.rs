//! The training loop: steps, validation, and the state of a run.

use candle_core::Device;
use ocellus_base::clock::Clock;
use ocellus_engine::{Flow, Picture, Request, Sampling};
use ocellus_kernels::gemm::Precision;
use ocellus_models::{Generator, ModelError, PositionRule, families, find};
use ocellus_nn::{Params, Taps, Trainable};
use ocellus_synth::{Corpus, Curriculum, Fonts, Sample, Synth};
use ocellus_text::Tokenizer;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::example::{Ids, Maker};
use crate::frames::FrameHead;
use crate::measure::character_error_rate;
use crate::optimiser::{AUXILIARY, AdamW, Hyper};
use crate::step::{DataParallel, Sums, TrainedModel, Weights};
use crate::{TrainError, TrainingRecipe, checkpoint, schedule};

/// Number of the first sample of the validation set: training never counts so far.
const VALIDATION: u64 = 1 << 62;

/// Pages of the validation set for each page of a step; their lines are at most half of the set.
const VALIDATION_PAGES: u64 = 6;

/// A run in progress.
pub struct Trainer {
    recipe: TrainingRecipe,
    maker: Maker,
    synth: Synth,
    student: TrainedModel,
    optimiser: AdamW,
    workers: DataParallel,
    warnings: Vec<String>,
}

/// What a step did.
#[derive(Clone, Debug)]
pub struct Report {
    pub step: u64,
    pub learning_rate: f32,
    /// Mean cross-entropy of a token.
    pub loss: f64,
    /// Mean cross-entropy of a frame, and of an attention guide.
    pub frame_loss: f64,
    pub guide_loss: f64,
    pub gradient_norm: f64,
    pub examples: usize,
    pub characters: usize,
}

/// What a validation gave.
#[derive(Clone, Debug)]
pub struct Validation {
    /// Edits over characters of what the decoder reads, greedily.
    pub error_rate: f64,
    /// The same of what the frame head reads.
    pub frame_error_rate: Option<f64>,
    pub readings: Vec<Reading>,
}

/// A line of the validation set as it was read.
#[derive(Clone, Debug)]
pub struct Reading {
    pub truth: String,
    pub read: String,
    /// What the frame head reads, where there is one.
    pub by_frames: Option<String>,
}

fn file(folder: &Path, name: &str) -> Result<(PathBuf, String), TrainError> {
    let path = folder.join(name);
    let text = ocellus_base::files::read_text(&path, ocellus_base::limits::JSON_BYTES).map_err(|source| {
        TrainError::Io {
            path: path.clone(),
            source,
        }
    })?;
    Ok((path, text))
}

/// Fails where an adapter lies beside weights to start from: it would be left out.
fn without_adapter(start: &Path) -> Result<(), TrainError> {
    const CONFIG: &str = "adapter_config.json";
    match start.with_file_name(CONFIG).exists() {
        false => Ok(()),
        true => Err(TrainError::Adapter { path: start.into() }),
    }
}

impl Trainer {
    /// Starts a run from random weights, from the recipe's weights, or from the state that `resume` holds.
    pub fn new(recipe: TrainingRecipe, resume: Option<&Path>) -> Result<Self, TrainError> {
        let folder = &recipe.model.folder;
        let tokenizer = Tokenizer::from_dir(folder)?;
        let (path, json) = file(folder, "preprocessor_config.json")?;
        let preprocessing = ocellus_media::Recipe::from_json(&json)?;
        let id = |token: &str| {
            let message = format!("the tokenizer has no `{token}`");
            tokenizer.token_id(token).ok_or(TrainError::Recipe {
                path: path.clone(),
                message,
            })
        };
        let ids = Ids {
            vision_start: id("<|vision_start|>")?,
            vision_end: id("<|vision_end|>")?,
            image: id("<|image_pad|>")?,
            end: id("<|im_end|>")?,
        };
        let precision = if recipe.optimiser.bf16 {
            Precision::Bf16
        } else {
            Precision::F32
        };
        let source = Rc::new(Trainable::random(
            recipe.model.seed,
            recipe.model.initial_std,
            Device::Cpu,
        ));
        let params = Params::new(source.clone(), precision);
        let (_, config) = file(folder, "config.json")?;
        let config = families::parse(&config).map_err(ModelError::from)?;
        let family = find(&config).map_err(ModelError::from)?;
        let model = Generator::new((family.load)(&config, &params)?)?;
        let warnings = config.warnings().iter().map(ToString::to_string).collect();
        let width = model.vlm().decoder().spec().block.width;
        let frames = (recipe.auxiliary.frames > 0.0)
            .then(|| FrameHead::load(&params.at("auxiliary"), width, recipe.auxiliary.frames_per_cell))
            .transpose()?;
        let mut optimiser = AdamW::new(source.vars())?;
        match (resume, &recipe.model.start) {
            (Some(path), _) => checkpoint::load(path, &mut optimiser, &recipe)?,
            (None, Some(path)) => {
                without_adapter(path)?;
                checkpoint::start(path, &mut optimiser)?;
            }
            (None, None) => {}
        }
        let charset = tokenizer.single_characters();
        let fonts = Fonts::load(&recipe.data.fonts, &charset)?;
        let corpus = Corpus::load(&recipe.data.corpus, &charset)?;
        let synth = Synth::new(fonts, corpus, charset, recipe.data.seed);
        Ok(Self {
            maker: Maker {
                tokenizer,
                recipe: preprocessing,
                ids,
                frames_per_cell: recipe.auxiliary.frames_per_cell,
            },
            student: TrainedModel {
                model,
                frames,
                guide_layers: recipe.auxiliary.guide_layers.clone(),
            },
            workers: DataParallel::new(recipe.optimiser.shards),
            recipe,
            synth,
            optimiser,
            warnings,
        })
    }

    /// What a user should know of the model's config, in sentences.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    pub fn recipe(&self) -> &TrainingRecipe {
        &self.recipe
    }

    /// Steps taken so far.
    pub fn steps(&self) -> u64 {
        self.optimiser.steps
    }

    pub fn parameters(&self) -> usize {
        self.optimiser
            .slots
            .iter()
            .filter(|s| !s.name.starts_with(AUXILIARY))
            .map(|s| s.average.len())
            .sum()
    }

    /// Takes one step.
    pub fn step(&mut self) -> Result<Report, TrainError> {
        let (o, a) = (&self.recipe.optimiser, &self.recipe.auxiliary);
        let step = self.optimiser.steps;
        let share = step as f32 / o.steps.max(1) as f32;
        let stage = self.recipe.stage(share).curriculum();
        let first = step * o.batch as u64;
        let cut = self.cut(step, &stage);
        let make = |i: usize| match cut.get(i) {
            Some(sample) => self.maker.example(sample),
            None => self.maker.example(&self.synth.sample(first + i as u64, &stage)),
        };
        let weights = Weights {
            frames: a.frames,
            guide: a.guide * schedule::fade(share, a.guide_fade),
        };
        let (gradients, sums) = self.workers.gradients(
            &self.student,
            &self.optimiser.slots,
            (o.batch, o.micro_batch),
            &make,
            weights,
        )?;
        let Sums {
            language,
            targets,
            frames,
            frame_count,
            guide,
            guides,
        } = sums;
        let loss = language / targets.max(1) as f64;
        if !loss.is_finite() {
            return Err(TrainError::Diverged { step, loss });
        }
        let hyper = Hyper {
            learning_rate: schedule::learning_rate(o, step),
            betas: o.betas,
            eps: 1e-8,
            weight_decay: o.weight_decay,
            clip_norm: o.clip_norm,
            ema: Some(schedule::ema_decay(o.ema, step)),
        };
        let gradient_norm = self
            .optimiser
            .step(&gradients, 1.0 / targets.max(1) as f32, &hyper)?;
        Ok(Report {
            step,
            learning_rate: hyper.learning_rate,
            loss,
            frame_loss: frames / frame_count.max(1) as f64,
            guide_loss: guide / guides.max(1) as f64,
            gradient_norm,
            examples: o.batch,
            characters: targets - o.batch.min(targets),
        })
    }

    /// The lines of this step's pages.
    fn cut(&self, step: u64, stage: &Curriculum) -> Vec<Sample> {
        let data = &self.recipe.data;
        let pages = (0..data.pages).map(|i| self.synth.cut(step * data.pages + i, stage));
        let lines = pages.flat_map(|lines| lines.into_iter().take(data.lines_per_page));
        lines.take(self.recipe.optimiser.batch).collect()
    }

    /// Reads the validation set with the averaged weights.
    pub fn validate(&self, clock: &dyn Clock) -> Result<Validation, TrainError> {
        let stage = self.recipe.stages[self.recipe.stages.len() - 1].curriculum();
        let data = &self.recipe.data;
        let mut samples: Vec<_> = (0..data.pages * VALIDATION_PAGES)
            .flat_map(|i| {
                self.synth
                    .cut(VALIDATION + i, &stage)
                    .into_iter()
                    .take(data.lines_per_page)
            })
            .take(data.validation_lines / 2)
            .collect();
        let alone = (data.validation_lines - samples.len()) as u64;
        samples.extend((0..alone).map(|i| self.synth.sample(VALIDATION + i, &stage)));
        let strips: Vec<_> = samples.iter().map(|s| s.image.clone()).collect();
        let (readings, by_frames) =
            self.with_average(|| Ok((self.read(&strips, clock)?, self.read_frames(&strips)?)))?;
        let pairs = |read: &[String]| {
            let pairs = samples
                .iter()
                .map(|s| s.text.as_str())
                .zip(read.iter().map(String::as_str));
            character_error_rate(pairs)
        };
        Ok(Validation {
            error_rate: pairs(&readings),
            frame_error_rate: by_frames.as_deref().map(pairs),
            readings: samples
                .into_iter()
                .zip(readings)
                .enumerate()
                .map(|(i, (s, read))| Reading {
                    truth: s.text,
                    read,
                    by_frames: by_frames.as_ref().map(|all| all[i].clone()),
                })
                .collect(),
        })
    }

    /// Reads strips by their frames alone, where the recipe trains a head for them.
    fn read_frames(&self, strips: &[ocellus_media::Gray]) -> Result<Option<Vec<String>>, TrainError> {
        let Some(head) = &self.student.frames else {
            return Ok(None);
        };
        let vlm = self.student.model.vlm();
        let texts = strips.iter().map(|strip| {
            let patches = self.maker.patches(strip)?;
            let rows = patches.values.len() / vlm.facts().patch_features;
            let values = candle_core::Tensor::from_vec(
                patches.values,
                (rows, vlm.facts().patch_features),
                &Device::Cpu,
            )?;
            let cells = vlm.encode(&values, &[patches.grid], &mut Taps::none())?;
            let ids = head.read(vlm, &cells.rows)?;
            Ok(self.maker.tokenizer.decode(&ids)?)
        });
        texts.collect::<Result<_, TrainError>>().map(Some)
    }

    /// Reads strips greedily with the current weights.
    fn read(&self, strips: &[ocellus_media::Gray], clock: &dyn Clock) -> Result<Vec<String>, TrainError> {
        let Ids {
            vision_start,
            vision_end,
            image,
            end,
        } = self.maker.ids;
        let mut requests = Vec::with_capacity(strips.len());
        for strip in strips {
            let patches = self.maker.patches(strip)?;
            let cells = self.student.model.vlm().facts().visual_tokens(&patches.grid);
            let mut ids = vec![vision_start];
            ids.extend(std::iter::repeat_n(image, cells));
            ids.push(vision_end);
            requests.push(Request {
                ids,
                pictures: vec![Picture::still(patches.values, patches.features, patches.grid)?],
                max_tokens: 8 * cells + 8,
                min_tokens: 0,
                sampling: Sampling::default(),
                end: vec![end],
                rule: PositionRule::default(),
            });
        }
        let (answers, _) =
            ocellus_engine::generate(self.student.model.vlm(), &requests, clock, &mut |_, _| {
                Flow::Continue
            })
            .map_err(|e| TrainError::Recipe {
                path: self.recipe.model.folder.clone(),
                message: e.to_string(),
            })?;
        answers
            .iter()
            .map(|a| {
                Ok(self
                    .maker
                    .tokenizer
                    .decode(&a.tokens.iter().map(|t| t.id).collect::<Vec<_>>())?)
            })
            .collect()
    }

    /// Runs `f` while the variables hold the averaged weights.
    fn with_average<R>(&self, f: impl FnOnce() -> Result<R, TrainError>) -> Result<R, TrainError> {
        let mut kept = Vec::with_capacity(self.optimiser.slots.len());
        for slot in &self.optimiser.slots {
            kept.push(slot.var.as_tensor().copy()?);
            let average =
                candle_core::Tensor::from_slice(&slot.average, slot.var.shape(), slot.var.device())?;
            slot.var.set(&average)?;
        }
        let result = f();
        for (slot, weight) in self.optimiser.slots.iter().zip(&kept) {
            slot.var.set(weight)?;
        }
        result
    }

    /// Writes the whole state of the run.
    pub fn save(&self, path: &Path) -> Result<(), TrainError> {
        checkpoint::save(path, &self.optimiser, &self.recipe)
    }

    /// Writes the averaged weights as a model file.
    pub fn export(&self, path: &Path) -> Result<(), TrainError> {
        checkpoint::export(path, &self.optimiser)
    }
}

impl crate::recipe::TrainingStage {
    fn curriculum(&self) -> ocellus_synth::Curriculum {
        ocellus_synth::Curriculum {
            min_chars: self.min_chars,
            max_chars: self.max_chars,
            max_cells: self.max_cells,
            difficulty: self.difficulty,
        }
    }
}
