//! A model with everything that turns questions and pictures into its input: tokenizer, template, preprocessing, defaults.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use candle_core::{DType, Device};
use ocellus_hub::{Checkpoint, Location};
use ocellus_media::{PixelRecipe, Recipe};
use ocellus_models::model::Sees;
use ocellus_models::plan::Shape;
use ocellus_models::{FAMILIES, Facts, Grid, ModelError, Vlm};
use ocellus_nn::{Format, Frozen, KvWidth, Measured, Params, Precision};
use ocellus_text::{Template, TextError, TextForm, Tokenizer};

use ocellus_weights::Weights;
use serde_json::Value;

use crate::builtin;
use crate::context::Context;
use crate::error::Failure;
use crate::foresight::{self, Usage};
use crate::gguf;
use crate::held::Held;
use crate::sight;
use crate::speech::Speech;
use crate::values::{self, Dtype, KvCache, Quant};

/// A model ready to be asked.
pub struct Model {
    pub name: String,
    pub loaded: Box<dyn ocellus_models::Model>,
    /// Its sizes, where the family tells them from the config.
    pub shape: Option<Shape>,
    pub held: Held,
    pub tokenizer: Tokenizer,
    pub speech: Speech,
    pub recipe: Recipe,
    /// How pictures become planes, for models that take them so.
    pub planes: Option<PixelRecipe>,
    pub generation: Generation,
    /// It reads one line of print at a time; pages are cut up for it.
    pub reads_lines: bool,
}

/// What `generation_config.json` says.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Generation {
    pub sample: bool,
    pub temperature: Option<f32>,
    pub top_k: Option<usize>,
    pub top_p: Option<f32>,
    pub min_p: Option<f32>,
    pub repetition_penalty: Option<f32>,
    pub end: Vec<u32>,
    pub stop: Vec<String>,
}

/// A checkpoint's text files, wherever they are.
enum Files<'a> {
    BuiltIn,
    Folder(&'a Path),
    /// Made of the metadata of other files.
    Made(BTreeMap<&'static str, String>),
}

impl Files<'_> {
    /// The file's text; nothing when there is no such file.
    fn text(&self, name: &str) -> Result<Option<String>, Failure> {
        match self {
            Files::BuiltIn => {
                Ok(builtin::file(name).map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
            }
            Files::Made(texts) => Ok(texts.get(name).cloned()),
            Files::Folder(folder) => {
                let path = folder.join(name);
                match std::fs::read_to_string(&path) {
                    Ok(text) => Ok(Some(text)),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                    Err(error) => Err(Failure::io("read", &path, &error)),
                }
            }
        }
    }

    /// The text of the file that says what the model is.
    fn config(&self) -> Result<String, Failure> {
        for name in ocellus_models::CONFIG_FILES {
            if let Some(text) = self.text(name)? {
                return Ok(text);
            }
        }
        Err(Failure::new("config.json is missing")
            .hint("a model folder holds config.json, or params.json in the layout of some publishers"))
    }

    fn json(&self, name: &str) -> Result<Option<Value>, Failure> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        let parsed = serde_json::from_str(&text);
        parsed.map(Some).map_err(|error| {
            Failure::new(format!("{name} is not valid JSON: {error}")).hint("download the model again")
        })
    }
}

/// The text of the file in a model's folder that says what it is.
pub fn config(folder: &Path) -> Result<String, Failure> {
    Files::Folder(folder).config()
}

impl Files<'_> {
    /// Tokenizer and template, from files of their own.
    fn words(&self) -> Result<(Tokenizer, Option<Template>), TextError> {
        match self {
            Files::Folder(folder) => Ok((Tokenizer::from_dir(folder)?, Template::from_dir(folder)?)),
            Files::BuiltIn | Files::Made(_) => {
                let bytes = |name| builtin::file(name).unwrap_or_default();
                let source = String::from_utf8_lossy(bytes("chat_template.jinja"));
                let template = Some(source).filter(|source| !source.is_empty());
                Ok((
                    Tokenizer::from_json(bytes("tokenizer.json"))?,
                    template.map(|source| Template::new(&source)).transpose()?,
                ))
            }
        }
    }
}

/// A model, and the files beside its weights.
struct Opened<'a> {
    files: Files<'a>,
    config: String,
    held: Held,
    loaded: Box<dyn ocellus_models::Model>,
    /// Tokenizer and template where no file of their own has them.
    words: Option<(Tokenizer, Option<Template>)>,
}

impl<'a> Opened<'a> {
    /// Computing as the arguments ask, or in a way that measures.
    fn load(
        context: &Context,
        checkpoint: &'a Checkpoint,
        usage: &Usage,
        measuring: Option<Computing>,
    ) -> Result<Self, Failure> {
        let name = &checkpoint.name;
        let mut words = None;
        let (files, weights) = match &checkpoint.location {
            Location::BuiltIn => {
                let bytes = builtin::file("model.safetensors").unwrap_or_default();
                (Files::BuiltIn, Weights::from_static(bytes)?)
            }
            Location::Folder(folder) => (Files::Folder(folder), Weights::open(folder)?),
            Location::Gguf(paths) => {
                let made = gguf::open(paths)?;
                words = Some((made.tokenizer, made.template));
                let texts = BTreeMap::from([
                    ("config.json", made.config),
                    ("preprocessor_config.json", made.preprocessor),
                    ("generation_config.json", made.generation),
                ]);
                (Files::Made(texts), made.weights)
            }
        };
        let config = files.config().map_err(|failure| failure.about(name))?;
        let text = |file: &str| files.text(file);
        let held = match measuring {
            // What is measured is not rounded yet.
            Some(_) => Held::at(Quant::Bf16),
            None => Held::of(context, Some(&weights)),
        };
        foresight::check(context, (name, &held), (&config, &weights), text, usage)?;
        let mut how = match measuring {
            Some(how) => how,
            None => computing(context, &weights).map_err(|failure| failure.about(name))?,
        };
        how.kv_width = match context.global.kv_cache {
            KvCache::Full => KvWidth::Full,
            KvCache::Q8 => KvWidth::Q8,
        };
        let loaded = build(&config, Arc::new(weights), how).map_err(|e| Failure::from(e).about(name))?;
        let pages = loaded.generator().is_some_and(|vlm| vlm.decoder().pages());
        if context.global.kv_cache != KvCache::Full && !pages {
            return Err(Failure::usage(format!(
                "{name} has no keys and values that can be kept in fewer bits"
            ))
            .hint("leave out --kv-cache"));
        }
        Ok(Self {
            files,
            config,
            held,
            loaded,
            words,
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
        let name = |line: &str| line.split(',').next().unwrap_or_default().trim().to_owned();
        let [objects, attributes] = LABELS.map(|file| {
            let text = files.text(file)?.unwrap_or_default();
            Ok::<Vec<String>, Failure>(text.lines().map(name).collect())
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
        let how = Computing {
            measured: Some(measured.clone()),
            ..Computing::on_cpu(width)
        };
        Self::opened(checkpoint, Opened::load(context, checkpoint, usage, Some(how))?)
    }

    fn opened(checkpoint: &Checkpoint, opened: Opened) -> Result<Self, Failure> {
        let name = &checkpoint.name;
        let about = |failure: Failure| failure.about(name);
        let Opened {
            files,
            config,
            held,
            loaded,
            words,
        } = opened;
        if loaded.detector().is_some() {
            return Err(
                Failure::new(format!("{name} finds regions in pictures and takes no text"))
                    .hint("`ocellus detect` runs it"),
            );
        }
        let (tokenizer, template) = match words {
            Some(words) => words,
            None => files.words().map_err(|e| about(e.into()))?,
        };
        let stand_in = template.is_none();
        let speech = match template {
            Some(template) => Speech::Template(Box::new(template)),
            None => Speech::without_template(&tokenizer),
        };
        let tokenizer = match loaded
            .generator()
            .map(|vlm| vlm.spell(&Grid { t: 1, h: 1, w: 1 }).len())
        {
            Some(room) if loaded.sees() != Sees::Cells => {
                tokenizer.with_span_ids(room).map_err(|e| about(e.into()))?
            }
            _ => tokenizer,
        };
        let (recipe, planes) = match loaded.sees() {
            Sees::Cells => (recipe(&files, loaded.facts()).map_err(about)?, None),
            Sees::Planes(default) => {
                let [own, params] = ["preprocessor_config.json", "params.json"].map(|n| files.text(n));
                let planes = sight::planes(default, own?.as_deref(), params?.as_deref());
                (Recipe::default(), Some(planes.map_err(about)?))
            }
            Sees::Regions { .. } => (Recipe::default(), None),
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
            held,
            tokenizer,
            speech,
            recipe,
            planes,
            generation,
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

    /// A result of its parts, whose error names the model.
    pub fn own<T>(&self, result: Result<T, impl Into<Failure>>) -> Result<T, Failure> {
        result.map_err(|error| error.into().about(&self.name))
    }

    /// Ids of texts in the model's own form, special tokens in them taken as plain text.
    pub fn texts(&self, texts: &[String]) -> Result<Vec<Vec<u32>>, Failure> {
        let form = self.loaded.form();
        let ids = texts.iter().map(|text| form.ids(&self.tokenizer, text));
        self.own(ids.collect::<Result<_, _>>())
    }

    /// Ids of a text in which `special` stands for itself and every other special token is plain text.
    pub fn text_with(&self, text: &str, special: &str) -> Result<Vec<u32>, Failure> {
        let (form, bare) = (self.loaded.form(), TextForm::BARE);
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
        let own = self.loaded.ends();
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

/// The model of a config over a set of tensors, none of them left over.
pub fn build(
    config: &str,
    weights: Arc<Weights>,
    how: Computing,
) -> Result<Box<dyn ocellus_models::Model>, ModelError> {
    assemble(config, &Rc::new(how.source(weights)), &how)
}

/// The same over a source of tensors that the caller made.
pub fn assemble(
    config: &str,
    source: &Rc<Frozen>,
    how: &Computing,
) -> Result<Box<dyn ocellus_models::Model>, ModelError> {
    let family = ocellus_models::find(&ocellus_models::families::parse(config)?)?;
    let mut params = Params::new(source.clone(), how.precision);
    if let Some(format) = how.format {
        params = params.rounded(format);
    }
    params = params.keeping(how.kv_width);
    let model = ocellus_models::load(config, &params)?;
    source.finish(|name| family.ignores(name))?;
    Ok(model)
}

/// Where a model computes, in which type, and what its weights are rounded to.
pub struct Computing {
    device: Device,
    dtype: DType,
    precision: Precision,
    format: Option<Format>,
    kv_width: KvWidth,
    measured: Option<Arc<Measured>>,
}

impl Computing {
    /// On the CPU, at one width.
    pub fn on_cpu(width: Quant) -> Self {
        let (precision, format) = match width {
            Quant::F32 => (Precision::F32, None),
            Quant::Bf16 => (Precision::Bf16, None),
            // What is not rounded to few bits has no more to lose in bf16.
            Quant::Q8 => (Precision::Bf16, Some(Format::Q8)),
            Quant::Q6 => (Precision::Bf16, Some(Format::Q6)),
            Quant::Q4 => (Precision::Bf16, Some(Format::Q4)),
        };
        Self {
            device: Device::Cpu,
            dtype: DType::F32,
            precision,
            format,
            kv_width: KvWidth::Full,
            measured: None,
        }
    }

    /// The tensors of a checkpoint as this wants them.
    pub fn source(&self, weights: Arc<Weights>) -> Frozen {
        let source = Frozen::new(weights, self.device.clone(), self.dtype);
        match &self.measured {
            Some(measured) => source.measuring(measured.clone()),
            None => source,
        }
    }

    fn elsewhere(device: Device, dtype: DType) -> Self {
        Self {
            device,
            dtype,
            precision: Precision::F32,
            format: None,
            kv_width: KvWidth::Full,
            measured: None,
        }
    }
}

/// Where and in which type to compute: f32 on the CPU unless asked otherwise, bf16 elsewhere.
fn computing(context: &Context, weights: &Weights) -> Result<Computing, Failure> {
    let device = match context.device()? {
        values::Device::Cpu => Device::Cpu,
        values::Device::Cuda(index) => Device::new_cuda(index).map_err(|e| no_device(&e))?,
        values::Device::Metal => Device::new_metal(0).map_err(|e| no_device(&e))?,
    };
    let packed = weights.metadata().contains_key(ocellus_nn::stored::LAYOUT);
    if packed && !device.is_cpu() {
        return Err(Failure::new("quantised weights work on the CPU only")
            .hint("use the checkpoint that they were made from on this device"));
    }
    if packed && context.global.quant.is_some() {
        return Err(Failure::new("the model is quantised already").hint("leave out --quant"));
    }
    if packed || (weights.gguf().is_some() && context.global.quant.is_none()) {
        // What is not packed has no more to lose in bf16.
        let asked = context.global.dtype == Some(Dtype::F32);
        return Ok(Computing::on_cpu(if asked { Quant::F32 } else { Quant::Bf16 }));
    }
    if let Some(width) = context.global.quant {
        if !device.is_cpu() {
            return Err(
                Failure::new("--quant works on the CPU only").hint("use --dtype bf16 or f16 on this device")
            );
        }
        return Ok(Computing::on_cpu(width));
    }
    match (context.global.dtype, device.is_cpu()) {
        (None | Some(Dtype::F32), true) => Ok(Computing::on_cpu(Quant::F32)),
        (Some(Dtype::Bf16), true) => Ok(Computing::on_cpu(Quant::Bf16)),
        (Some(Dtype::F16), true) => {
            Err(Failure::new("the CPU does not compute in f16").hint("use --dtype bf16 or f32"))
        }
        (Some(Dtype::F32), false) => Ok(Computing::elsewhere(device, DType::F32)),
        (Some(Dtype::F16), false) => Ok(Computing::elsewhere(device, DType::F16)),
        (None | Some(Dtype::Bf16), false) => Ok(Computing::elsewhere(device, DType::BF16)),
    }
}

fn no_device(error: &candle_core::Error) -> Failure {
    Failure::new(format!("the device cannot be used: {error}")).hint("`--device cpu` always works")
}

/// `preprocessor_config.json`, or the part of `processor_config.json` that newer library versions write instead.
fn recipe(files: &Files, facts: &Facts) -> Result<Recipe, Failure> {
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

impl Generation {
    fn read(files: &Files, config: &str, tokenizer: &Tokenizer) -> Result<Self, Failure> {
        let file = files.json("generation_config.json")?.unwrap_or_default();
        let number = |key: &str| file.get(key).and_then(Value::as_f64).map(|n| n as f32);
        let ids = |value: Option<&Value>| -> Vec<u32> {
            let id = |v: &Value| v.as_u64().and_then(|n| u32::try_from(n).ok());
            match value {
                Some(Value::Array(list)) => list.iter().filter_map(id).collect(),
                Some(single) => id(single).into_iter().collect(),
                None => Vec::new(),
            }
        };
        let mut end = ids(file.get("eos_token_id"));
        if end.is_empty() {
            let config: Value = serde_json::from_str(config).unwrap_or_default();
            end = ids(config
                .get("eos_token_id")
                .or_else(|| config.get("text_config")?.get("eos_token_id")));
            end.extend(tokenizer.token_id("<|im_end|>"));
            // Vocabularies of sentences, whose configs need not say it.
            if end.is_empty() {
                end.extend(tokenizer.token_id("[SEP]"));
            }
        }
        let stop = match file.get("stop_strings") {
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            Some(Value::String(one)) => vec![one.clone()],
            _ => Vec::new(),
        };
        Ok(Self {
            sample: file.get("do_sample").and_then(Value::as_bool).unwrap_or(false),
            temperature: number("temperature"),
            top_k: file.get("top_k").and_then(Value::as_u64).map(|k| k as usize),
            top_p: number("top_p"),
            min_p: number("min_p"),
            repetition_penalty: number("repetition_penalty"),
            end,
            stop,
        })
    }

    /// Flags first, then this file, then greedy.
    pub fn sampling(&self, flags: &crate::args::Sampling) -> ocellus_engine::Sampling {
        let default = ocellus_engine::Sampling::default();
        let temperature = if self.sample {
            self.temperature.unwrap_or(1.0)
        } else {
            default.temperature
        };
        ocellus_engine::Sampling {
            temperature: flags.temperature.unwrap_or(temperature),
            top_k: flags
                .top_k
                .or(self.top_k)
                .unwrap_or(if self.sample { 50 } else { default.top_k }),
            top_p: flags.top_p.or(self.top_p).unwrap_or(default.top_p),
            min_p: flags.min_p.or(self.min_p).unwrap_or(default.min_p),
            repetition_penalty: flags
                .repeat_penalty
                .or(self.repetition_penalty)
                .unwrap_or(default.repetition_penalty),
            seed: flags.seed.unwrap_or_else(crate::environment::fresh_seed),
        }
    }
}
