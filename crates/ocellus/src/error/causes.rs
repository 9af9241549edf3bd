//! Failures of the rooms: each with its exit code and a hint.

use ocellus_bench::BenchError;
use ocellus_engine::EngineError;
use ocellus_hub::{BUILT_IN, HubError};
use ocellus_media::MediaError;
use ocellus_models::families::gguf::GgufError;
use ocellus_models::families::published::published;
use ocellus_models::{ConfigError, FAMILIES, ModelError, Task};
use ocellus_nn::LoadError;
use ocellus_processor::ProcessorError;
use ocellus_session::{Needed, SessionError};
use ocellus_synth::SynthError;
use ocellus_text::TextError;
use ocellus_train::TrainError;
use ocellus_weights::{RegionsError, WeightsError};

use super::failure::Failure;

impl From<HubError> for Failure {
    fn from(error: HubError) -> Self {
        let hint: String = match &error {
            HubError::BadReference { .. } => {
                "write nano, org/name, org/name@revision, or the path of a model folder, as in ./my-model".into()
            }
            HubError::Missing { kind: "folder", .. } | HubError::NotACheckpoint { .. } => {
                "a model folder holds config.json, tokenizer files and weights: *.safetensors, or torch files".into()
            }
            HubError::AdaptersBelow { .. } => "name one of them".into(),
            HubError::AdapterConfig { .. } => "the file is damaged; take it once more from where the adapter was saved".into(),
            HubError::NoBase { .. } => "name the model that it was trained on with --base".into(),
            HubError::TwoAdapters { .. } => {
                "merge the adapter of the base first: ocellus models merge BASE -o DIR".into()
            }
            HubError::NotAnAdapter { .. } => "leave out --base".into(),
            HubError::NoTower { .. } => "a model in GGUF is two files: put the one whose name has `mmproj` in it beside the \
                language model"
                .into(),
            HubError::TowerAlone { .. } => {
                "name the file of the language model; the vision tower is found beside it".into()
            }
            HubError::SeveralModels { .. } => "name one of the files instead of the folder".into(),
            HubError::SeveralTowers { .. } => "keep one of them in the folder".into(),
            HubError::Missing { .. } => "check the path; it is relative to the current folder".into(),
            HubError::BadEndpoint { .. } => "HF_ENDPOINT holds an address such as https://huggingface.co".into(),
            HubError::BadProxy => "check HTTPS_PROXY, HTTP_PROXY and ALL_PROXY".into(),
            HubError::Refused { with_token: true, .. } => {
                "the repository may be misspelt, or its licence not accepted yet on its web page".into()
            }
            HubError::Refused { .. } => "the repository may be misspelt, private or gated; HF_TOKEN (sent to \
                https://huggingface.co only) opens what you may read"
                .into(),
            HubError::NotFound { .. } => {
                "check the spelling of org/name and the revision; a local folder is written ./like/this".into()
            }
            HubError::Status { .. } | HubError::BadListing { .. } => {
                "try again later, or set HF_ENDPOINT to another mirror".into()
            }
            HubError::Unreachable { .. } => "check the connection (`ocellus doctor --online`); what was downloaded is \
                kept, and the same command goes on from there. HF_ENDPOINT sets a mirror, OCELLUS_HUB=modelscope \
                another hub"
                .into(),
            HubError::BadRedirect { .. } => "the address in HF_ENDPOINT may be wrong".into(),
            HubError::UnsafeName { .. } => "do not trust this repository".into(),
            HubError::NoWeights { .. } => {
                "choose a repository that offers the model as safetensors or as one torch checkpoint".into()
            }
            HubError::Unsuitable { .. } => "`ocellus models families` lists what can be run".into(),
            HubError::Checksum { .. } => "run the command again; if it happens twice, the mirror is faulty".into(),
            HubError::NoSpace { .. } => {
                "free some space (`ocellus models rm NAME`), or set HF_HOME to a folder on another disk".into()
            }
            HubError::DiskFull { .. } => "free some space and run the command again; it goes on where it stopped".into(),
            HubError::Offline { .. } => "unset HF_HUB_OFFLINE, or copy the missing files into the cache".into(),
            HubError::Locked { .. } => "wait for the other process, or end it".into(),
            HubError::NotCached { .. } => "`ocellus models list` shows what is there".into(),
            HubError::Cancelled => return Self::interrupted(),
            HubError::Io { source, path, .. } => {
                let hint = Self::io("use", path, source).hint;
                return Self { hint, ..Self::new(error) };
            }
        };
        Self::new(error).hint(hint)
    }
}

fn times(count: usize) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        count => format!("{count} times"),
    }
}

/// What to do about a warning that `--strict` made an error.
const STRICT: &str = "leave out --strict to run the model all the same; a newer version may know it";

/// What to do about a quantised matrix that is not read.
const QUANTISED: &str = "the file is damaged, or its writer stores such matrices in another way; docs/quantisation.md lists the layouts";

impl From<ModelError> for Failure {
    fn from(error: ModelError) -> Self {
        let hint = match &error {
            ModelError::Config(ConfigError::Architecture { .. } | ConfigError::Unnamed { .. }) => {
                "`ocellus models families` lists what can be run"
            }
            ModelError::Config(ConfigError::Strict(_)) => STRICT,
            ModelError::Config(ConfigError::Value { .. }) => {
                "it asks for something that this version does not compute, or the config is damaged"
            }
            ModelError::Config(_) => "the config was changed, or is of another kind of model",
            ModelError::Load(LoadError::Weights(WeightsError::Quantised { .. })) => QUANTISED,
            ModelError::Load(LoadError::Adapter { .. }) => {
                "the adapter belongs to another base: name that one with --base"
            }
            ModelError::Load(LoadError::Weights(_) | LoadError::Missing { .. } | LoadError::Shape { .. }) => {
                "weights and config.json do not belong together: both have to come from one checkpoint"
            }
            ModelError::Load(LoadError::Quantised) => "train the checkpoint that it was made from",
            ModelError::Load(LoadError::Packed { .. }) => {
                "quantise the checkpoint again with `ocellus models quantize`"
            }
            ModelError::Load(LoadError::Untaken { .. }) => {
                "the checkpoint holds more than its config describes; it may be of another kind"
            }
            ModelError::Load(LoadError::Tensor(_)) | ModelError::Tensor(_) => {
                "less memory may be needed with --dtype bf16, fewer pictures, or --max-pixels"
            }
            ModelError::Span { .. } | ModelError::Grid { .. } => {
                "the prompt and its pictures do not belong together"
            }
            ModelError::Input { .. } => "`ocellus models families` lists what each family takes and gives",
            ModelError::Vocabulary { .. } => "the tokenizer and the weights belong to different models",
        };
        Self::new(&error).hint(hint)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        ModelError::from(error).into()
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Model(error) => error.into(),
            EngineError::Text(error) => error.into(),
            EngineError::Room { .. } => Self::new(&error)
                .hint("ask for fewer tokens (--max-tokens), or take --kv-cache q8, which keeps them in half the memory"),
            EngineError::Queue { .. } => Self::new(&error).hint("ask again when some are answered"),
            EngineError::Context { .. } => Self::new(&error)
                .hint("ask for fewer tokens (--max-tokens) or smaller pictures (--max-pixels)"),
            EngineError::NotANumber => Self::new(&error)
                .hint("the weights are damaged, or too large for fewer bits: try --dtype f32, or get the model again"),
            EngineError::Empty => {
                Self::new(&error).hint("the model's chat template made nothing of the question")
            }
            EngineError::Answers(_) => Self::usage(&error),
            EngineError::Sampling(_) => Self::usage(&error).hint("give the option a value in this range, or leave it out"),
        }
    }
}

impl From<BenchError> for Failure {
    fn from(error: BenchError) -> Self {
        match error {
            BenchError::Session(error) => error.into(),
            BenchError::Engine(error @ EngineError::Context { .. }) => Self::new(&error).hint(
                "measure with fewer tokens (--tokens, --prompt-tokens) or a smaller picture (--image-size)",
            ),
            BenchError::Engine(error) => error.into(),
            BenchError::Text(error) => error.into(),
            _ => Self::new(&error),
        }
    }
}

impl From<MediaError> for Failure {
    fn from(error: MediaError) -> Self {
        let hint = match &error {
            MediaError::TooNarrow { .. }
            | MediaError::SideTooLong { .. }
            | MediaError::TooManyPixels { .. }
            | MediaError::TooMuchMemory { .. } => "cut the picture into parts, or scale it down",
            MediaError::RecipeJson { .. } | MediaError::RecipeField { .. } => {
                "the model's preprocessor_config.json asks for something that is not computed here, or was changed"
            }
            _ => "JPEG, PNG, WebP, GIF, BMP and TIFF are read; converting the picture may help",
        };
        Self::new(&error).hint(hint)
    }
}

impl From<TextError> for Failure {
    fn from(error: TextError) -> Self {
        Self::new(&error)
            .hint("the model's tokenizer or chat template cannot be used; the publisher's repository may have others")
    }
}

impl From<SynthError> for Failure {
    fn from(error: SynthError) -> Self {
        Self::new(&error).hint("fonts are TTF or OTF files, texts are UTF-8 text files")
    }
}

impl From<TrainError> for Failure {
    fn from(error: TrainError) -> Self {
        match error {
            TrainError::Model(error) => error.into(),
            TrainError::Synth(error) => error.into(),
            TrainError::Text(error) => error.into(),
            TrainError::Media(error) => error.into(),
            TrainError::Weights(error) => error.into(),
            TrainError::Io { path, source } => Self::io("use", &path, &source),
            TrainError::NoRun { .. } => Self::new(&error).hint("leave out --resume to begin a run"),
            TrainError::NotEmpty { .. } => {
                Self::new(&error).hint("--resume goes on with a run; another -o begins a new one")
            }
            TrainError::InUse { .. } => Self::new(&error).hint("wait for it, or name another folder with -o"),
            TrainError::OtherRecipe { .. } => Self::new(&error)
                .hint("a run goes on with the recipe it was begun with; another -o begins a new run"),
            TrainError::Recipe { .. } => Self::new(&error).hint("recipes/nano.toml is a complete recipe"),
            TrainError::Missing { .. } => Self::new(&error).hint(
                "paths in a recipe begin at the folder where the command runs: run it where they exist, or change them",
            ),
            TrainError::Checkpoint { .. } => {
                Self::new(&error).hint("the checkpoint belongs to another recipe")
            }
            TrainError::Adapter { .. } => Self::new(&error)
                .hint("merge it first: ocellus models merge FOLDER -o DIR; or take adapter_config.json out of the folder"),
            TrainError::Diverged { .. } => {
                Self::new(&error).hint("lower the learning rate and resume from the last checkpoint")
            }
            other => Self::new(&other),
        }
    }
}

impl From<WeightsError> for Failure {
    fn from(error: WeightsError) -> Self {
        let hint = match &error {
            WeightsError::Lost { .. } => {
                "start again; put a new file in the place of an old one by renaming it"
            }
            WeightsError::Io { .. } => "check that the file exists and may be read",
            WeightsError::NoWeights { .. } => {
                "weights are *.safetensors files, or torch files: *.bin, *.pt, *.pth"
            }
            WeightsError::Import { .. } => "get the checkpoint from its publisher, best as safetensors",
            WeightsError::NotTorch { .. } | WeightsError::Pickle { .. } | WeightsError::Archive { .. } => {
                "the file is damaged or of another kind; a safetensors file of the model is the safer choice"
            }
            WeightsError::NotGguf { .. } | WeightsError::Tensor { .. } | WeightsError::Key { .. } => {
                "the file is damaged, or stored in a way that is not read; another file of the model may be"
            }
            WeightsError::Quantised { .. } => QUANTISED,
            WeightsError::LfsPointer { .. } => "run `git lfs pull` in the model folder",
            WeightsError::ShardMissing { .. } | WeightsError::NoShard { .. } => {
                "a downloaded model is completed by `ocellus models pull`; of another, copy the missing file beside the others"
            }
            WeightsError::LowRank { .. } => "the adapter belongs to another base: name that one with --base",
            WeightsError::Missing { .. } => {
                "weights and config.json do not belong together: both have to come from one checkpoint"
            }
            WeightsError::Duplicate { .. } => {
                "two files hold it: leave those of one checkpoint in the folder, without copies of them"
            }
            WeightsError::Index { .. }
            | WeightsError::ShardOutside { .. }
            | WeightsError::NotInShard { .. } => {
                "the index is not of these files; without it the shards are read by their own headers"
            }
            // What is wrong was written so: the same bytes would come again.
            WeightsError::WrongDtype { .. }
            | WeightsError::Unrepresentable { .. }
            | WeightsError::UnknownDtype { .. }
            | WeightsError::RankTooLarge { .. }
            | WeightsError::TooManyTensors { .. } => {
                "the checkpoint stores it in a way that is not read; another version of the model may be"
            }
            _ => {
                "the file is damaged or was not written whole: fetch it anew where its size differs from its publisher's"
            }
        };
        Self::new(&error).hint(hint)
    }
}

impl From<RegionsError> for Failure {
    fn from(error: RegionsError) -> Self {
        Self::new(&error).hint(match &error {
            RegionsError::Io { .. } => "check the path; it is relative to the current folder",
            _ => {
                "a file of regions holds features [n, width], boxes [n, 4] in pixels, and the picture's size"
            }
        })
    }
}

impl From<GgufError> for Failure {
    fn from(error: GgufError) -> Self {
        let hint = match error {
            GgufError::Weights(error) => return error.into(),
            GgufError::TowerAlone { .. } | GgufError::NoTower { .. } => {
                "a model in GGUF is two files: the language model, and its vision tower, whose name has `mmproj` in it"
            }
            GgufError::Kind { .. } => {
                "both files must be of one model; `ocellus models families` lists what can be run"
            }
            GgufError::Unread { .. } => {
                "a newer version may know it; running without it could give wrong answers"
            }
            GgufError::Value { .. } => {
                "it asks for something that this version does not compute, or the files belong to different models"
            }
            _ => {
                "the files may be damaged or of an old converter; a newer conversion may load, and the model's safetensors do"
            }
        };
        Self::new(&error).hint(hint)
    }
}

impl From<ProcessorError> for Failure {
    fn from(error: ProcessorError) -> Self {
        let hint = match error {
            ProcessorError::Text(error) => return error.into(),
            ProcessorError::Media(error) => return error.into(),
            ProcessorError::Model(error) => return error.into(),
            ProcessorError::Io { action, path, source } => return Self::io(action, &path, &source),
            ProcessorError::PixelBounds { .. } => {
                return Self::usage(&error).hint("change --min-pixels or --max-pixels");
            }
            ProcessorError::NoConfig => {
                "a model folder holds config.json, or params.json in the layout of some publishers"
            }
            ProcessorError::Patches { .. } => {
                "the two files belong to different models: both have to come from one checkpoint"
            }
            ProcessorError::NoImageToken { .. } => {
                "take tokenizer.json and tokenizer_config.json from the publisher's repository"
            }
            ProcessorError::LfsPointer { .. } => "run `git lfs pull` in the model folder",
            ProcessorError::Json { .. } => {
                "the file was changed or cut off; get it again from where the model came from"
            }
            _ => "`ocellus models show` lists the files of a model",
        };
        Self::new(&error).hint(hint)
    }
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        let hint: String = match error {
            SessionError::About { name, error } => return Self::from(*error).about(&name),
            SessionError::Weights(error) => return error.into(),
            SessionError::Gguf(error) => return error.into(),
            SessionError::Adapter(error) => return error.into(),
            SessionError::Hub(error) => return error.into(),
            SessionError::NoAdapter { .. } => {
                "name the folder of an adapter, or of a model with an adapter beside its weights".into()
            }
            SessionError::MergeQuantised { .. } => {
                "use the adapter as it is, which leaves the base's weights what they are; or name the base that was quantised with --base".into()
            }
            SessionError::Model(error) => return error.into(),
            SessionError::Processor(error) => return error.into(),
            SessionError::Engine(error) => return error.into(),
            SessionError::Regions(error) => return error.into(),
            SessionError::Io { action, path, source } => return Self::io(action, &path, &source),
            SessionError::Cancelled => return Self::interrupted(),
            SessionError::Strict(_) => STRICT.into(),
            SessionError::InstructionSet { asked, known } => {
                return Self::usage(format!(
                    "the environment variable OCELLUS_ISA is `{asked}`, which this processor does not have"
                ))
                .hint(format!("one of {}", known.join(", ")));
            }
            SessionError::QuantElsewhere => {
                return Self::new("--quant works on the CPU only")
                    .hint("use --dtype bf16 or f16 on this device");
            }
            SessionError::KvCache { .. } => return Self::usage(&error).hint("leave out --kv-cache"),
            SessionError::PictureCount { expected, .. } => {
                return Self::usage(&error).hint(format!("give --image {}", times(expected)));
            }
            SessionError::LooksAtPictures { .. } => return Self::usage(&error).hint("leave out --regions"),
            SessionError::LooksAtRegions { .. } => {
                "give the features with --regions FILE.npz, or make them with `ocellus detect`".into()
            }
            SessionError::PicturesInText { .. } => "`ocellus ask --image FILE` shows it a picture".into(),
            SessionError::TakesNoText { .. } => "`ocellus detect` runs it".into(),
            SessionError::WritesNoText { .. } => name_another(Task::Ask),
            SessionError::Unable { task, .. } => name_another(task),
            SessionError::Device(_) => "`--device cpu` always works".into(),
            SessionError::NoSuchDevice { .. } => {
                "leave out --device, or build with `--features cuda` or `--features metal`".into()
            }
            SessionError::QuantisedWeightsElsewhere => {
                "use the checkpoint that they were made from on this device".into()
            }
            SessionError::QuantisedAlready => "leave out --quant".into(),
            SessionError::QuantisedBefore { .. } => {
                "quantise the checkpoint that it was made from; rounding twice loses more".into()
            }
            SessionError::NotAFolder { ref name, .. } if name == BUILT_IN => {
                "it is small as it is; name a downloaded model or a folder".into()
            }
            SessionError::NotAFolder { action, .. } => format!("name the checkpoint that it was made from: that can be {action}"),
            SessionError::TooManyPictures { .. } => {
                "ask about fewer at a time; /reset begins a chat anew".into()
            }
            SessionError::F16OnCpu => "use --dtype bf16 or f32".into(),
            SessionError::Memory {
                storage, ref needed, ..
            } => less_memory(storage, needed),
            SessionError::NoToken { .. } => "the tokenizer and the weights belong to different models".into(),
            SessionError::AnswerTooLong { ref start, .. } => {
                format!("shorten the answer that begins `{start}`, or the question")
            }
            SessionError::ReadsNoTextAlone { .. } => "give --calibration pictures only".into(),
            SessionError::ShortText => "give a longer one, or leave it out".into(),
            _ => return Self::new(&error),
        };
        Self::new(&error).hint(hint)
    }
}

/// The families with checkpoints that can do a task.
fn able(task: Task) -> String {
    let able = FAMILIES.iter().filter(|family| family.tasks.contains(&task));
    able.map(|family| family.id).collect::<Vec<_>>().join(", ")
}

/// That another model can do a task, by a name that can be typed.
fn name_another(task: Task) -> String {
    let published = format!("name a model that can, such as -m {}", published(task));
    match &able(task)[..] {
        "" => format!("{published}; `ocellus models families` lists what each family does"),
        able => format!("{published}; families that can: {able}"),
    }
}

/// What takes less memory than weights of this storage dtype and such requests.
fn less_memory(storage: &str, needed: &Needed) -> String {
    let smaller = match storage {
        "q4" => "--max-pixels makes the pictures smaller",
        "q6" | "q8" => "--quant q4 makes the weights smaller, --max-pixels the pictures",
        _ => "--quant q8 or q4 makes the weights smaller, --max-pixels the pictures",
    };
    let answer = match needed.others {
        Some((kept, work)) if kept > needed.weights_bytes.max(work) => {
            "--max-tokens N makes the answer shorter, and with it the keys and values; "
        }
        _ => "",
    };
    format!("{answer}{smaller}; OCELLUS_MEMORY=any tries all the same")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_told_to_take_what_they_have() {
        for (storage, narrower) in [
            ("f32", "--quant q8 or q4 "),
            ("q8", "--quant q4 "),
            ("q4", "--max-pixels "),
        ] {
            let needed = |kept| Needed {
                total_bytes: 9,
                weights_bytes: 5,
                others: Some((kept, 1)),
            };
            let said = less_memory(storage, &needed(3));
            assert!(said.starts_with(narrower), "{said}");
            let said = less_memory(storage, &needed(30));
            assert!(said.starts_with("--max-tokens "), "{said}");
        }
    }

    #[test]
    fn every_hub_error_has_a_hint_or_is_an_interruption() {
        let failure = Failure::from(HubError::NotCached {
            what: "org/name".into(),
        });
        assert_eq!((failure.code(), failure.hint.is_some()), (1, true));
        let failure = Failure::from(HubError::Cancelled);
        assert_eq!((failure.code(), failure.hint.is_some()), (130, false));
    }
}
