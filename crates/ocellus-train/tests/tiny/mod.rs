//! A line reader small enough to train in a test, on the fonts and the text of the repository.
#![allow(dead_code)] // Each test file takes what it needs.

use ocellus_text::Tokenizer;
use ocellus_train::TrainingRecipe;
use std::path::{Path, PathBuf};

/// The special tokens of the built-in model, in its order.
const SPECIAL: [&str; 8] = [
    "<|endoftext|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
    "<|im_start|>",
    "<|unk|>",
];

const CONFIG: &str = r#"{
  "architectures": ["Qwen2_5_VLForConditionalGeneration"], "model_type": "qwen2_5_vl",
  "vision_start_token_id": 2, "vision_end_token_id": 3, "image_token_id": 4, "video_token_id": 5, "eos_token_id": 1,
  "hidden_act": "silu", "hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 2,
  "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 256, "rms_norm_eps": 1e-6,
  "rope_theta": 10000.0, "rope_scaling": { "type": "mrope", "mrope_section": [1, 1, 4] },
  "tie_word_embeddings": true, "vocab_size": 224,
  "vision_config": {
    "depth": 2, "hidden_act": "silu", "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "in_channels": 3,
    "out_hidden_size": 48, "patch_size": 7, "spatial_merge_size": 4, "temporal_patch_size": 1, "window_size": 56,
    "fullatt_block_indexes": [1], "tokens_per_second": 2
  }
}"#;

const PREPROCESSOR: &str = r#"{
  "do_resize": true, "do_rescale": true, "do_normalize": true, "image_mean": [0.8, 0.8, 0.8],
  "image_std": [0.35, 0.35, 0.35], "rescale_factor": 0.00392156862745098, "resample": 3, "min_pixels": 784,
  "max_pixels": 401408, "patch_size": 7, "merge_size": 4, "temporal_patch_size": 1
}"#;

/// The root of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// An empty folder of its own for the test `name`.
pub fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder can be made");
    folder
}

/// A recipe that trains for 20 steps, as text; the model's files are written beside it.
pub fn recipe_text(folder: &Path) -> String {
    let charset = ocellus_synth::charset::latin();
    let write =
        |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("a file can be written");
    write("config.json", CONFIG);
    write("preprocessor_config.json", PREPROCESSOR);
    write("tokenizer.json", &Tokenizer::characters(&charset, &SPECIAL));
    let tests = repository().join("tests");
    format!(
        "
[model]
folder = '{}'
initial_std = 0.05
seed = 1

[data]
seed = 3
fonts = ['{}']
corpus = ['{}']
validation_lines = 3

[optimiser]
steps = 20
batch = 8
micro_batch = 3
shards = 2
learning_rate = 3e-3
final_learning_rate = 1e-4
warmup_steps = 4
betas = [0.9, 0.98]
weight_decay = 0.05
clip_norm = 1.0
ema = 0.9
bf16 = false

[auxiliary]
frames = 0.5
frames_per_cell = 4
guide = 0.5
guide_layers = [0, 1]
guide_fade = [0.3, 0.8]

[[stages]]
until = 0.5
min_chars = 1
max_chars = 6
max_cells = 4
difficulty = 0.1

[[stages]]
until = 1.0
min_chars = 1
max_chars = 12
max_cells = 6
difficulty = 0.6
",
        folder.display(),
        tests.join("fonts").display(),
        tests.join("corpus").display(),
    )
}

/// The recipe in `folder`.
pub fn recipe(folder: &Path) -> TrainingRecipe {
    let path = folder.join("recipe.toml");
    std::fs::write(&path, recipe_text(folder)).expect("a file can be written");
    TrainingRecipe::read(&path).expect("the recipe is right")
}
