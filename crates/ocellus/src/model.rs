//! A model with everything that turns questions and pictures into its input: tokenizer, template, preprocessing, defaults.

use std::sync::Arc;

use ocellus_base::clock::Clock;
use ocellus_engine::{Engine, EngineOptions};
use ocellus_hub::Checkpoint;
use ocellus_media::{PixelRecipe, Recipe};
use ocellus_models::VisualFormat;
use ocellus_models::plan::Shape;
use ocellus_models::{FAMILIES, Facts, Grid, Vlm};
use ocellus_nn::Measured;
use ocellus_session::{
    CheckpointFiles, Compute, KvCache, Quant, SessionError, StorageDtype, TextFiles, Usage, memory_estimate,
};
use ocellus_text::{TextForm, Tokenizer};
use serde_json::Value;

use crate::context::Context;
use crate::error::Failure;
use crate::generation::Generation;
use crate::speech::Speech;

/// A model ready to be asked.
pub struct Model {
    pub name: String,
    pub loaded: Box<dyn ocellus_models::Model>,
    /// Its sizes, where the family tells them from the config.
    pub shape: Option<Shape>,
    pub storage: StorageDtype,
    pub tokenizer: Tokenizer,
    pub speech: Speech,
    pub recipe: Recipe,
    /// How pictures become planes, for models that take them so.
    pub planes: Option<PixelRecipe>,
    pub generation: Generation,
    /// How its engines are set up.
    pub engine: EngineOptions,
    /// It reads one line of print at a time; pages are cut up for it.
    pub reads_lines: bool,
}

/// A model, and the files beside its weights.
struct Opened {
    files: CheckpointFiles,
    config: String,
    storage: StorageDtype,
    loaded: Box<dyn ocellus_models::Model>,
    engine: EngineOptions,
}

impl Opened {
    /// Computing as the arguments ask, or in a way that measures.
    fn load(
        context: &Context,
        checkpoint: &Checkpoint,
        usage: &Usage,
        measuring: Option<Compute>,
    ) -> Result<Self, Failure> {
        let name = &checkpoint.name;
        let files = CheckpointFiles::open(&checkpoint.location)?;
        let config = files.texts.config().map_err(|error| error.about(name))?;
        let options = context.compute();
        let storage = match measuring {
            // What is measured is not rounded yet.
            Some(_) => StorageDtype::at(Quant::Bf16),
            None => StorageDtype::of(&options, Some(&files.weights)),
        };
        if let Some(available) = context.available_bytes() {
            let text = |file: &str| files.texts.text(file);
            memory_estimate::check(
                available,
                (name, &storage),
                (&config, &files.weights),
                text,
                usage,
            )?;
        }
        let compute = match measuring {
            Some(compute) => compute,
            None => Compute::of(&options, &files.weights).map_err(|error| error.about(name))?,
        };
        let loaded = compute
            .build(&config, files.weights.clone())
            .map_err(|e| Failure::from(e).about(name))?;
        let narrows = loaded.generator().is_some_and(|vlm| vlm.kv_layout().narrows());
        if options.kv_cache != KvCache::Full && !narrows {
            return Err(SessionError::KvCache { name: name.clone() }.into());
        }
        Ok(Self {
            files,
            config,
            storage,
            loaded,
            engine: EngineOptions {
                kv_width: options.kv_cache.width(),
                ..EngineOptions::default()
            },
        })
    }
}

/// A model that looks at pictures and takes no text: no tokenizer is asked of its files.
pub struct Wordless {
    pub name: String,
    pub loaded: Box<dyn ocellus_models::Model>,
    /// Names of the classes of objects and of attributes, where the files say them.
    pub labels: [Vec<String>; 2],
}

/// Files with a class's names on every line, the first of them before a comma.
const LABELS: [&str; 2] = ["objects_vocab.txt", "attributes_vocab.txt"];

impl Wordless {
    /// Loads a checkpoint onto the device that the user asked for.
    pub fn load(context: &Context, checkpoint: &Checkpoint) -> Result<Self, Failure> {
        let Opened { files, loaded, .. } = Opened::load(context, checkpoint, &Usage::default(), None)?;
        let files = files.texts;
        let name = |line: &str| line.split(',').next().unwrap_or_default().trim().to_owned();
        let [objects, attributes] = LABELS.map(|file| {
            let text = files.text(file)?.unwrap_or_default();
            Ok::<Vec<String>, SessionError>(text.lines().map(name).collect())
        });
        Ok(Self {
            name: checkpoint.name.clone(),
            loaded,
            labels: [objects?, attributes?],
        })
    }
}

impl Model {
    /// Loads a checkpoint onto the device that the user asked for.
    pub fn load(context: &Context, checkpoint: &Checkpoint) -> Result<Self, Failure> {
        Self::load_for(context, checkpoint, &Usage::default())
    }

    /// The same for a use that is known already; what the machine cannot hold is refused.
    pub fn load_for(context: &Context, checkpoint: &Checkpoint, usage: &Usage) -> Result<Self, Failure> {
        Self::opened(checkpoint, Opened::load(context, checkpoint, usage, None)?)
    }

    /// The same on the CPU, with the matrices that `width` rounds below 8 bits unrounded and what goes into them added to
    /// `measured`.
    pub fn load_measured(
        context: &Context,
        checkpoint: &Checkpoint,
        usage: &Usage,
        (width, measured): (Quant, &Arc<Measured>),
    ) -> Result<Self, Failure> {
        let how = Compute::on_cpu(width).measuring(measured);
        Self::opened(checkpoint, Opened::load(context, checkpoint, usage, Some(how))?)
    }

    fn opened(checkpoint: &Checkpoint, opened: Opened) -> Result<Self, Failure> {
        let name = &checkpoint.name;
        let about = |failure: Failure| failure.about(name);
        let Opened {
            mut files,
            config,
            storage,
            loaded,
            engine,
        } = opened;
        if loaded.detector().is_some() {
            return Err(
                Failure::new(format!("{name} finds regions in pictures and takes no text"))
                    .hint("`ocellus detect` runs it"),
            );
        }
        let (tokenizer, template) = files.take_tokenizer_and_template().map_err(|e| about(e.into()))?;
        let files = files.texts;
        let stand_in = template.is_none();
        let speech = match template {
            Some(template) => Speech::Template(Box::new(template)),
            None => Speech::without_template(&tokenizer),
        };
        let tokenizer = match loaded
            .generator()
            .map(|vlm| vlm.placeholder(&Grid { t: 1, h: 1, w: 1 }).len())
        {
            Some(room) if loaded.input().visual != VisualFormat::VisualTokens => {
                tokenizer.with_span_ids(room).map_err(|e| about(e.into()))?
            }
            _ => tokenizer,
        };
        let (recipe, planes) = match loaded.input().visual {
            VisualFormat::VisualTokens => (recipe(&files, loaded.facts()).map_err(about)?, None),
            VisualFormat::Planes(default) => {
                let [own, params] = ["preprocessor_config.json", "params.json"].map(|n| files.text(n));
                let planes = memory_estimate::planes(default, own?.as_deref(), params?.as_deref());
                (Recipe::default(), Some(planes.map_err(|e| about(e.into()))?))
            }
            VisualFormat::Regions { .. } => (Recipe::default(), None),
        };
        let marks = files.json("ocellus.json")?;
        let reads_lines = marks
            .as_ref()
            .and_then(|m| m.get("reads"))
            .and_then(Value::as_str)
            == Some("lines");
        let mut generation = Generation::read(&files, &config, &tokenizer)?;
        // A stand-in template closes turns with this token, whatever the checkpoint's file calls its end.
        let turn_end = tokenizer.token_id("<|im_end|>");
        generation
            .end
            .extend(turn_end.filter(|id| stand_in && !generation.end.contains(id)));
        Ok(Self {
            name: name.clone(),
            loaded,
            shape: shape(&config),
            storage,
            tokenizer,
            speech,
            recipe,
            planes,
            generation,
            engine,
            reads_lines,
        })
    }
}

impl Model {
    /// The model as one that continues text.
    pub fn vlm(&self) -> Result<&dyn Vlm, Failure> {
        self.loaded.generator().ok_or_else(|| {
            let able = FAMILIES
                .iter()
                .filter(|f| f.tasks.contains(&ocellus_models::Task::Ask));
            let able: Vec<&str> = able.map(|f| f.id).collect();
            Failure::new(format!("{} does not write text", self.name))
                .hint(format!("families that do: {}", able.join(", ")))
        })
    }

    /// An engine of this model.
    pub fn engine<'m>(&'m self, clock: &'m dyn Clock) -> Result<Engine<'m>, Failure> {
        Ok(Engine::new(self.vlm()?, self.engine, clock)?)
    }

    /// A result of its parts, whose error names the model.
    pub fn own<T>(&self, result: Result<T, impl Into<Failure>>) -> Result<T, Failure> {
        result.map_err(|error| error.into().about(&self.name))
    }

    /// Ids of texts in the model's own form, special tokens in them taken as plain text.
    pub fn texts(&self, texts: &[String]) -> Result<Vec<Vec<u32>>, Failure> {
        let form = self.loaded.input().text;
        let ids = texts.iter().map(|text| form.ids(&self.tokenizer, text));
        self.own(ids.collect::<Result<_, _>>())
    }

    /// Ids of a text in which `special` stands for itself and every other special token is plain text.
    pub fn text_with(&self, text: &str, special: &str) -> Result<Vec<u32>, Failure> {
        let (form, bare) = (self.loaded.input().text, TextForm::BARE);
        let id = |token: &str| {
            self.tokenizer.token_id(token).ok_or_else(|| {
                Failure::new(format!("{}: the vocabulary has no {token}", self.name))
                    .hint("the tokenizer and the weights belong to different models")
            })
        };
        let mut ids: Vec<u32> = form.first.map(id).transpose()?.into_iter().collect();
        for (i, part) in text.split(special).enumerate() {
            if i > 0 {
                ids.push(id(special)?);
            }
            ids.extend(bare.ids(&self.tokenizer, &form.clean(part))?);
        }
        let ends = usize::from(form.last.is_some());
        if let Some(most) = form.max_tokens {
            ids.truncate(most.saturating_sub(ends));
        }
        ids.extend(form.last.map(id).transpose()?);
        Ok(ids)
    }

    /// Tokens that end an answer.
    pub fn ends(&self) -> Vec<u32> {
        let own = self.loaded.input().end_tokens;
        if own.is_empty() {
            self.generation.end.clone()
        } else {
            own
        }
    }
}

/// The sizes of a config's model, where its family tells them.
fn shape(config: &str) -> Option<Shape> {
    let config = ocellus_models::families::parse(config).ok()?;
    (ocellus_models::find(&config).ok()?.shape?)(&config).ok()
}

/// `preprocessor_config.json`, or the part of `processor_config.json` that newer library versions write instead.
fn recipe(files: &TextFiles, facts: &Facts) -> Result<Recipe, Failure> {
    let text = match files.text("preprocessor_config.json")? {
        Some(text) => Some(text),
        None => files
            .json("processor_config.json")?
            .and_then(|processor| processor.get("image_processor").map(Value::to_string)),
    };
    let recipe = match text {
        Some(text) => Recipe::from_json(&text)?,
        None => Recipe {
            patch_size: facts.patch_size as u32,
            merge_size: facts.merge as u32,
            temporal_patch_size: facts.temporal_patch_size as u32,
            ..Recipe::default()
        },
    };
    if recipe.features() != facts.patch_features || recipe.merge_size as usize != facts.merge {
        return Err(Failure::new(format!(
            "preprocessor_config.json makes patches of {} values in {}x{} cells, config.json asks for {} in {}x{}",
            recipe.features(),
            recipe.merge_size,
            recipe.merge_size,
            facts.patch_features,
            facts.merge,
            facts.merge
        ))
        .hint("the two files belong to different models; download the model again"));
    }
    Ok(recipe)
}
