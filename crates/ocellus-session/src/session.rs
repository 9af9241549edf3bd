//! A loaded model with its processor.

use std::sync::{Arc, Weak};

use ocellus_base::clock::Clock;
use ocellus_engine::{Engine, EngineOptions, ModelHandle};
use ocellus_hub::Checkpoint;
use ocellus_models::plan::Shape;
use ocellus_models::{Model, Task, Vlm, families, find};
use ocellus_nn::Measured;
use ocellus_processor::{PictureProcessor, TextFiles, TextProcessor};

use ocellus_weights::{Weights, WeightsError};

use crate::checkpoint::CheckpointFiles;
use crate::compute::Compute;
use crate::error::SessionError;
use crate::memory_estimate;
use crate::options::OpenOptions;
use crate::storage::StorageDtype;
use crate::widths::{KvCache, Quant};

/// Files with a class's names on every line, the first of them before a comma.
const LABELS: [&str; 2] = ["objects_vocab.txt", "attributes_vocab.txt"];

/// A model ready for requests: weights, tokenizer, prompt format, preprocessing, defaults.
pub struct Session {
    name: String,
    model: Arc<dyn Model>,
    shape: Option<Shape>,
    storage: StorageDtype,
    pictures: PictureProcessor,
    /// `None` = the model takes no text.
    text: Option<TextProcessor>,
    labels: [Vec<String>; 2],
    warnings: Vec<String>,
    /// Gone where the model has taken over all of them.
    weights: Weak<Weights>,
    engine: EngineOptions,
    clock: Arc<dyn Clock>,
}

impl Session {
    /// Loads a checkpoint. Its memory is estimated first; more than is available is refused.
    ///
    /// # Errors
    /// Files that cannot be used or do not belong together, a device or width that cannot be computed with, too little memory.
    pub fn open(checkpoint: &Checkpoint, options: &OpenOptions) -> Result<Self, SessionError> {
        Self::load(checkpoint, options, None)
    }

    /// The same on the CPU, with the matrices that `width` rounds below 8 bits unrounded; statistics of their inputs are
    /// added to `measured`.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_measured(
        checkpoint: &Checkpoint,
        options: &OpenOptions,
        width: Quant,
        measured: &Arc<Measured>,
    ) -> Result<Self, SessionError> {
        let compute = Compute::on_cpu(width).measuring(measured);
        Self::load(checkpoint, options, Some(compute))
    }

    fn load(
        checkpoint: &Checkpoint,
        options: &OpenOptions,
        measuring: Option<Compute>,
    ) -> Result<Self, SessionError> {
        options.cpu.apply()?;
        let name = &checkpoint.name;
        let about = |error: SessionError| error.about(name);
        let mut files = CheckpointFiles::open(checkpoint).map_err(|error| match error {
            // Others name their file.
            SessionError::Model(_) | SessionError::Weights(WeightsError::Quantised { .. }) => about(error),
            error => error,
        })?;
        let config = files.texts.config().map_err(|error| about(error.into()))?;
        let config = families::parse(&config).map_err(|error| about(error.into()))?;
        let storage = match measuring {
            // Matrices that are measured are not quantised yet.
            Some(_) => StorageDtype::at(Quant::Bf16),
            None => StorageDtype::of(&options.compute, Some(&files.weights)),
        };
        if let Some(available) = options.available_bytes {
            let model = (&config, &*files.weights);
            memory_estimate::check(available, (name, &storage), model, &files.texts, &options.usage)?;
        }
        let compute = match measuring {
            Some(compute) => compute,
            None => Compute::of(&options.compute, &files.weights).map_err(about)?,
        };
        let model = compute
            .build(&config, files.weights.clone())
            .map_err(|error| about(error.into()))?;
        let narrows = model.generator().is_some_and(|vlm| vlm.kv_layout().narrows());
        if options.compute.kv_cache != KvCache::Full && !narrows {
            return Err(SessionError::KvCache { name: name.clone() });
        }
        let shape = find(&config).map_err(|error| about(error.into()))?.shape;
        let shape = shape.and_then(|shape| shape(&config).ok());
        let pictures = PictureProcessor::of_model(&files.texts, &*model, shape.as_ref());
        let pictures = pictures.map_err(|error| about(error.into()))?;
        let text = match model.detector() {
            Some(_) => None,
            None => {
                let made = files.take_made();
                let (input, image) = (model.input(), model.generator().and(model.facts().image_token));
                let text = TextProcessor::open(
                    &files.texts,
                    made,
                    &config,
                    pictures.fixed_tokens(),
                    &input,
                    image,
                );
                Some(text.map_err(|error| about(error.into()))?)
            }
        };
        files.weights.intact()?;
        let mut warnings: Vec<String> = config.warnings().iter().map(ToString::to_string).collect();
        warnings.extend(files.adapter.iter().flat_map(|adapter| adapter.warnings.clone()));
        warnings.extend(pictures.warnings().iter().cloned());
        warnings.extend(blank(&files.weights));
        if let Some(warning) = warnings.first().filter(|_| options.strict) {
            return Err(about(SessionError::Strict(warning.clone())));
        }
        Ok(Self {
            name: name.clone(),
            model: model.into(),
            shape,
            storage,
            pictures,
            text,
            labels: labels(&files.texts)?,
            warnings,
            weights: Arc::downgrade(&files.weights),
            engine: EngineOptions {
                kv_width: options.compute.kv_cache.width(),
                ..options.engine
            },
            clock: options.clock.clone(),
        })
    }

    /// The checkpoint's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn model(&self) -> &dyn Model {
        &*self.model
    }

    /// What a user should know of the checkpoint, in sentences.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The model's sizes, where the family computes them from the config.
    pub fn shape(&self) -> Option<&Shape> {
        self.shape.as_ref()
    }

    pub fn storage(&self) -> &StorageDtype {
        &self.storage
    }

    pub fn pictures(&self) -> &PictureProcessor {
        &self.pictures
    }

    /// The tokenizer and prompt formatter.
    ///
    /// # Errors
    /// A model that takes no text.
    pub fn text(&self) -> Result<&TextProcessor, SessionError> {
        self.text.as_ref().ok_or_else(|| SessionError::TakesNoText {
            name: self.name.clone(),
        })
    }

    /// Names of the classes of objects and of attributes that a detector tells, where the files say them.
    pub fn labels(&self) -> &[Vec<String>; 2] {
        &self.labels
    }

    /// The model as one that continues text.
    ///
    /// # Errors
    /// [`SessionError::WritesNoText`].
    pub fn vlm(&self) -> Result<&dyn Vlm, SessionError> {
        self.model.generator().ok_or_else(|| SessionError::WritesNoText {
            name: self.name.clone(),
        })
    }

    /// An engine of this model, for a program that runs several requests at once. It shares the weights and lives on one thread.
    ///
    /// # Errors
    /// A model that writes no text.
    pub fn engine(&self) -> Result<Engine<'static>, SessionError> {
        self.vlm()?;
        let model = ModelHandle::shared(self.model.clone())?;
        Ok(Engine::new(model, self.engine, self.clock.clone())?)
    }

    /// Fails where a file of the weights lost its end while it was in use; what was computed meanwhile is wrong. To be asked by whoever
    /// runs an engine of its own, before results are given away.
    ///
    /// # Errors
    /// [`WeightsError::Lost`](ocellus_weights::WeightsError::Lost).
    pub fn intact(&self) -> Result<(), SessionError> {
        match self.weights.upgrade() {
            Some(weights) => Ok(weights.intact()?),
            None => Ok(()),
        }
    }

    /// Whether its engines keep something of a picture for later requests.
    pub(crate) fn engine_keeps(&self) -> bool {
        self.engine.prefix_cache || self.engine.encoder_cache_bytes > 0
    }

    /// Whether it reads one line of print at a time; pages are cut up for it.
    pub fn reads_lines(&self) -> bool {
        self.pictures.reads_lines()
    }

    /// Fails unless the model takes conversations.
    ///
    /// # Errors
    /// [`SessionError::Unable`] of `task`.
    pub fn check_converses(&self, task: Task) -> Result<(), SessionError> {
        match self.model.generator().is_some() && self.model.input().prompts.is_none() {
            true => Ok(()),
            false => Err(self.cannot(task)),
        }
    }

    /// That the model cannot do a task.
    pub fn cannot(&self, task: Task) -> SessionError {
        let family = self.model.facts().family;
        SessionError::Unable {
            who: format!("{}, a checkpoint of the family {family},", self.name),
            task,
        }
    }

    /// Tokens that end an answer.
    pub(crate) fn ends(&self) -> Result<Vec<u32>, SessionError> {
        let own = self.model.input().end_tokens;
        Ok(if own.is_empty() {
            self.text()?.generation.end.clone()
        } else {
            own
        })
    }

    /// Ids of texts in the model's own form, special tokens in them taken as plain text.
    pub(crate) fn ids(&self, texts: &[impl AsRef<str>]) -> Result<Vec<Vec<u32>>, SessionError> {
        self.own(self.text()?.texts(&self.model.input().text, texts))
    }

    /// A result of its parts, whose error names the model.
    pub(crate) fn own<T>(&self, result: Result<T, impl Into<SessionError>>) -> Result<T, SessionError> {
        let result = result.map_err(|error| error.into().about(&self.name))?;
        self.intact()?;
        Ok(result)
    }
}

/// Warnings about matrices of nothing but zeros, and of no numbers.
fn blank(weights: &Weights) -> impl Iterator<Item = String> {
    let told = |names: Vec<String>, what: &str, why: &str| {
        let (first, of) = (names.first()?, weights.name());
        Some(match names.len() {
            1 => format!("{of}: the matrix `{first}` holds {what}; {why}"),
            count => format!("{of}: {count} matrices hold {what}, `{first}` among them; {why}"),
        })
    };
    let zeros = told(
        weights.blank(),
        "nothing but zeros",
        "the file may not have been fetched to its end",
    );
    let none = told(
        weights.without_numbers(),
        "no numbers (NaN)",
        "it cannot be computed with",
    );
    zeros.into_iter().chain(none)
}

fn labels(files: &TextFiles) -> Result<[Vec<String>; 2], SessionError> {
    let name = |line: &str| line.split(',').next().unwrap_or_default().trim().to_owned();
    let [objects, attributes] = LABELS.map(|file| {
        let text = files.text(file)?.unwrap_or_default();
        Ok::<Vec<String>, SessionError>(text.lines().map(name).collect())
    });
    Ok([objects?, attributes?])
}
