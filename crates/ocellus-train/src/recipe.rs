//! A recipe: everything that decides what a run computes, in one TOML file.

use ocellus_base::limits;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};

use crate::TrainError;

/// A training run. Two runs of one recipe on one kind of processor give the same weights.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingRecipe {
    pub model: ModelSource,
    pub data: Data,
    pub optimiser: Optimiser,
    pub auxiliary: Auxiliary,
    /// What is read when, in order of `until`.
    pub stages: Vec<TrainingStage>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSource {
    /// Folder with `config.json`, `preprocessor_config.json` and `tokenizer.json`.
    #[serde(skip_serializing)]
    pub folder: PathBuf,
    /// Weights to start from, a safetensors file; only the auxiliary heads then start at random.
    #[serde(default, skip_serializing)]
    pub start: Option<PathBuf>,
    /// Deviation of the random start.
    pub initial_std: f32,
    pub seed: u64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    pub seed: u64,
    /// Folders that hold fonts.
    #[serde(skip_serializing)]
    pub fonts: Vec<PathBuf>,
    /// Text files, or folders of them.
    #[serde(skip_serializing)]
    pub corpus: Vec<PathBuf>,
    /// Pages drawn in every step, of which lines are cut as at work; the rest of the batch is lines drawn alone.
    #[serde(default)]
    pub pages: u64,
    /// Lines taken of one page at most.
    #[serde(default)]
    pub lines_per_page: usize,
    /// Lines of the validation set, drawn with another seed and never trained on.
    pub validation_lines: usize,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Optimiser {
    pub steps: u64,
    /// Examples a step.
    pub batch: usize,
    /// Examples in one packed sequence.
    pub micro_batch: usize,
    /// Parts of a batch that are computed side by side. Part of the recipe, since it decides the order of sums.
    pub shards: usize,
    pub learning_rate: f32,
    pub final_learning_rate: f32,
    pub warmup_steps: u64,
    pub betas: [f32; 2],
    pub weight_decay: f32,
    pub clip_norm: f32,
    /// Decay of the moving average of the weights, which is what ships.
    pub ema: f32,
    /// Matrix products in bf16 instead of f32.
    pub bf16: bool,
}

/// Losses that help the model to find its way and are gone when it is used.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Auxiliary {
    /// Weight of the frame loss: which character has its middle in each frame of a cell.
    pub frames: f32,
    pub frames_per_cell: usize,
    /// Weight of the attention loss: where the named heads should look for the next character.
    pub guide: f32,
    /// Layers whose head 0 is guided.
    pub guide_layers: Vec<usize>,
    /// The share of the run after which the guide fades to nothing, and the share at which it has.
    pub guide_fade: [f32; 2],
}

/// Which lines are read up to a share of the run.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingStage {
    /// Share of the run, 0 to 1, at which this stage ends.
    pub until: f32,
    pub min_chars: usize,
    pub max_chars: usize,
    pub max_cells: usize,
    /// 0 = clean print, 1 = everything that can happen to paper.
    pub difficulty: f32,
}

impl TrainingRecipe {
    /// Reads a recipe. Its paths are relative to the folder in which the program runs.
    ///
    /// # Errors
    /// A file that cannot be read or is no recipe.
    pub fn read(path: &Path) -> Result<Self, TrainError> {
        let text =
            ocellus_base::files::read_text(path, ocellus_base::limits::JSON_BYTES).map_err(|source| {
                TrainError::Io {
                    path: path.into(),
                    source,
                }
            })?;
        let wrong = |message: String| TrainError::Recipe {
            path: path.into(),
            message,
        };
        let recipe: Self = toml::from_str(&text).map_err(|e| wrong(e.to_string()))?;
        recipe.check().map_err(wrong)?;
        Ok(recipe)
    }

    /// Fails where nothing is at a path that the recipe, read from `path`, names.
    ///
    /// # Errors
    /// [`TrainError::Missing`].
    pub fn check_paths(&self, path: &Path) -> Result<(), TrainError> {
        match self.paths().find(|(_, named)| !named.exists()) {
            None => Ok(()),
            Some((field, named)) => Err(TrainError::Missing {
                recipe: path.into(),
                field,
                path: named.into(),
            }),
        }
    }

    /// Every path that it names, with the name of its field.
    fn paths(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let start = self.model.start.iter().map(|path| ("model.start", path));
        let fonts = self.data.fonts.iter().map(|path| ("data.fonts", path));
        let corpus = self.data.corpus.iter().map(|path| ("data.corpus", path));
        std::iter::once(("model.folder", &self.model.folder))
            .chain(start)
            .chain(fonts)
            .chain(corpus)
            .map(|(field, path)| (field, path.as_path()))
    }

    fn check(&self) -> Result<(), String> {
        let (o, d) = (&self.optimiser, &self.data);
        let counts = [
            ("optimiser.batch", 1, o.batch, limits::TRAINING_BATCH),
            ("optimiser.micro_batch", 1, o.micro_batch, limits::TRAINING_BATCH),
            ("optimiser.shards", 1, o.shards, limits::TRAINING_SHARDS),
            ("data.pages", 0, d.pages as usize, limits::TRAINING_BATCH),
            ("data.lines_per_page", 0, d.lines_per_page, limits::TRAINING_BATCH),
            (
                "data.validation_lines",
                0,
                d.validation_lines,
                limits::TRAINING_BATCH,
            ),
            (
                "auxiliary.frames_per_cell",
                1,
                self.auxiliary.frames_per_cell,
                limits::TRAINING_LINE,
            ),
        ];
        let lines = self.stages.iter().flat_map(|stage| {
            [
                ("stages.min_chars", 0, stage.min_chars, limits::TRAINING_LINE),
                ("stages.max_chars", 1, stage.max_chars, limits::TRAINING_LINE),
                ("stages.max_cells", 1, stage.max_cells, limits::TRAINING_LINE),
            ]
        });
        for (name, least, value, most) in counts.into_iter().chain(lines) {
            if value < least {
                return Err(format!("{name} is {value}, expected at least {least}"));
            }
            if value > most {
                return Err(format!("{name} is {value}, expected at most {most}"));
            }
        }
        if self.stages.is_empty() {
            return Err("there is no stage, expected at least one".to_owned());
        }
        if self.stages.windows(2).any(|w| w[0].until >= w[1].until) {
            return Err("the stages' `until` do not rise".to_owned());
        }
        Ok(())
    }

    /// What decides a run, as JSON: all but the places of files, which may move.
    pub fn identity(&self) -> String {
        serde_json::json!(self).to_string()
    }

    /// The first field that differs from an [`identity`](Self::identity), with its value there and here.
    pub fn difference(&self, identity: &str) -> Option<(String, String, String)> {
        // Both are read from text, so that numbers are rounded alike.
        let read = |text: &str| serde_json::from_str(text).unwrap_or(Value::Null);
        differs("", &read(identity), &read(&self.identity()))
    }

    /// The stage at a share of the run.
    pub fn stage(&self, share: f32) -> &TrainingStage {
        self.stages
            .iter()
            .find(|s| share < s.until)
            .unwrap_or(&self.stages[self.stages.len() - 1])
    }
}

fn differs(name: &str, was: &Value, is: &Value) -> Option<(String, String, String)> {
    let inside = |key: &str| match name {
        "" => key.to_owned(),
        name => format!("{name}.{key}"),
    };
    match (was, is) {
        (Value::Object(before), Value::Object(now)) => {
            let keys = before.keys().chain(now.keys());
            let of = |map: &serde_json::Map<String, Value>, key| map.get(key).cloned().unwrap_or_default();
            keys.into_iter()
                .find_map(|key| differs(&inside(key), &of(before, key), &of(now, key)))
        }
        _ => (was != is).then(|| (name.to_owned(), was.to_string(), is.to_string())),
    }
}
