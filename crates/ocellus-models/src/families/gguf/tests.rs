//! Small checkpoints that the published converter wrote give the same logits, bit for bit, as the checkpoints that they were
//! converted from; files that do not fit are refused with the name of the key or tensor.

use std::rc::Rc;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use ocellus_nn::attention::Batch;
use ocellus_nn::{Frozen, Params, Precision, Taps};
use ocellus_testkit::case::goldens_dir;
use ocellus_testkit::gguf::{BOOL, F32, File, TEXT, U32, text};
use ocellus_testkit::{Case, test_each};
use ocellus_text::{Conversation, Message, Part, RenderOptions, Role};
use ocellus_weights::Weights;
use serde_json::json;

use super::{Assembled, GgufError, assemble};
use crate::config::ConfigFile;
use crate::error::ModelError;
use crate::families::changed::{config, with};
use crate::families::{find, parse};
use crate::model::Model;
use crate::mrope::{PositionRule, VisualSpan};
use crate::vlm::Prompt;
use ocellus_media::Grid;

const CASES: [&str; 5] = [
    "qwen2_vl-multi-449",
    "qwen2_vl-tied-text",
    "qwen2_5_vl-multi-449",
    "qwen3_vl-multi",
    "pixtral-multi-hf",
];

/// The language model and the tower of a case.
fn files(case: &str) -> [File; 2] {
    ["model.gguf", "mmproj.gguf"].map(|name| {
        let path = goldens_dir().join("gguf").join(case).join(name);
        File::read(&std::fs::read(path).unwrap())
    })
}

fn put_together([language, tower]: [File; 2]) -> Result<Assembled, GgufError> {
    let weights = |file: File, name: &str| Weights::from_bytes(file.bytes(), name).unwrap();
    assemble(weights(language, "model.gguf"), weights(tower, "mmproj.gguf"))
}

fn load(config: &ConfigFile, weights: Weights) -> Result<Box<dyn Model>, ModelError> {
    let source = Rc::new(Frozen::new(Arc::new(weights), Device::Cpu, DType::F32));
    let family = find(config)?;
    let model = (family.load)(config, &Params::new(source.clone(), Precision::F32))?;
    family.finish(config, &source)?;
    Ok(model)
}

fn of_files(files: [File; 2]) -> Box<dyn Model> {
    let assembled = put_together(files).unwrap();
    load(&parse(&assembled.config).unwrap(), assembled.weights).unwrap()
}

/// The original checkpoint of a case, with the window size that GGUF files cannot state.
fn original(case: &str) -> Box<dyn Model> {
    let mut config = config(case);
    if case.starts_with("qwen2_5") {
        config = with(config, "vision_config.window_size", Some(json!(112)));
    }
    let weights = Weights::open(&Case::golden(case).model_dir()).unwrap();
    load(&config, weights).unwrap()
}

/// Logits of a prompt with two pictures.
fn logits(model: &dyn Model) -> Vec<f32> {
    let vlm = model.generator().unwrap();
    let facts = vlm.facts();
    let merge = facts.merge;
    let grids = [(2, 3), (3, 1)].map(|(h, w)| Grid {
        t: 1,
        h: h * merge,
        w: w * merge,
    });
    let rows: usize = grids.iter().map(|g| g.h * g.w).sum();
    let values = (0..rows * facts.patch_features).map(|i| (i as f32 * 0.37).sin());
    let patches = Tensor::from_iter(values, &Device::Cpu).unwrap();
    let patches = patches.reshape((rows, facts.patch_features)).unwrap();
    let visual_tokens = vlm.encode(&patches, &grids, &mut Taps::none()).unwrap();
    let mut ids = vec![1, 20];
    for grid in &grids {
        ids.extend(vlm.placeholder(grid));
        ids.extend([30, 31]);
    }
    let vision = |grid: &Grid| VisualSpan {
        grid: *grid,
        video_seconds: None,
    };
    let prompt = Prompt {
        ids: &ids,
        visions: grids.iter().map(vision).collect(),
        rule: PositionRule::default(),
    };
    let opening = vlm
        .prefill_input(&[prompt], Some(&visual_tokens), None, &mut Taps::none())
        .unwrap();
    let batch = Batch::of(opening.lengths());
    let hidden = vlm.forward(
        &opening.embeds,
        &opening.positions,
        &batch,
        None,
        &mut Taps::none(),
    );
    let logits = vlm.logits(&hidden.unwrap()).unwrap();
    logits.flatten_all().unwrap().to_vec1().unwrap()
}

/// A file in shards as the published splitter cuts one: the first has all keys, the others say which shard they are. The first may
/// have no tensors.
fn shards(file: &File, first: usize) -> Vec<File> {
    let counts = [first, (file.tensors.len() - first) / 2, usize::MAX];
    let mut rows = file.tensors.iter();
    let shard = |(number, count): (usize, usize)| {
        let mut shard = File {
            keys: if number == 0 {
                file.keys.clone()
            } else {
                Vec::new()
            },
            ..File::default()
        };
        for row in rows.by_ref().take(count) {
            // The goldens are in f32.
            let size = 4 * row.sides.iter().product::<u64>();
            let bytes = &file.data[row.offset as usize..][..size as usize];
            shard = shard.tensor(&row.name, &row.sides, row.kind, bytes);
        }
        let (u16, i32) = (2, 5);
        shard.set("split.no", Some((u16, vec![number as u8, 0])));
        shard.set("split.count", Some((u16, vec![3, 0])));
        shard.set(
            "split.tensors.count",
            Some((i32, vec![file.tensors.len() as u8, 0, 0, 0])),
        );
        shard
    };
    counts.into_iter().enumerate().map(shard).collect()
}

#[test]
fn shards_are_one_model() {
    for (case, first) in [(CASES[0], 5), (CASES[3], 0)] {
        let [language, tower] = files(case);
        let shards = shards(&language, first);
        let open = |file: &File| Weights::from_bytes(file.bytes(), "shard.gguf").unwrap();
        let joined = shards[1..]
            .iter()
            .map(open)
            .fold(open(&shards[0]), |all, shard| all.joined(shard).unwrap());
        let assembled = assemble(joined, open(&tower)).unwrap();
        let model = load(&parse(&assembled.config).unwrap(), assembled.weights).unwrap();
        assert!(logits(&*model) == logits(&*of_files(files(case))), "{case}");
    }
}

#[test]
fn the_same_answers_as_the_checkpoint() {
    test_each(CASES.map(|case| (case, case)), |case| {
        let (ours, theirs) = (of_files(files(case)), original(case));
        let logits = logits(&*ours);
        assert!(logits.iter().any(|value| value.abs() > 1e-3));
        assert!(logits == self::logits(&*theirs), "{case}");
        let facts = |model: &dyn Model| {
            let facts = model.facts().clone();
            (
                facts.family,
                facts.image_token,
                facts.video_token,
                facts.max_positions,
            )
        };
        assert_eq!(facts(&*ours), facts(&*theirs));
    });
}

/// Old files swap the names of the two matrices of the tower's MLP and do not state its width.
#[test]
fn networks_in_the_old_order() {
    let case = "qwen2_vl-multi-449";
    let [language, mut tower] = files(case);
    for layer in 0..3 {
        for end in ["weight", "bias"] {
            let [up, down, other] =
                ["ffn_up", "ffn_down", "other"].map(|n| format!("v.blk.{layer}.{n}.{end}"));
            tower.rename(&up, &other);
            tower.rename(&down, &up);
            tower.rename(&other, &down);
        }
    }
    tower.set("clip.vision.feed_forward_length", Some((U32, vec![0; 4])));
    let model = of_files([language, tower]);
    assert!(logits(&*model) == logits(&*original(case)));
}

#[test]
fn preprocessing() {
    let read = |case: &str| parse(&put_together(files(case)).unwrap().preprocessor).unwrap();
    let second = read("qwen2_5_vl-multi-449");
    assert_eq!(second["max_pixels"], 12_845_056);
    assert_eq!(second["min_pixels"], 3136);
    let mean: Vec<f32> = second["image_mean"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_f64().unwrap() as f32)
        .collect();
    assert_eq!(mean, [0.48145466, 0.4578275, 0.40821073]);
    assert_eq!(read("qwen3_vl-multi")["max_pixels"], 16_777_216);
    assert_eq!(read("pixtral-multi-hf")["size"], json!({ "longest_edge": 64 }));
    let [language, mut tower] = files("qwen2_vl-multi-449");
    tower.set(
        "clip.vision.image_max_pixels",
        Some((U32, 50_000u32.to_le_bytes().to_vec())),
    );
    let preprocessor = put_together([language, tower]).unwrap().preprocessor;
    assert_eq!(parse(&preprocessor).unwrap()["max_pixels"], 50_000);
}

#[test]
fn words_and_turns() {
    let Assembled {
        tokenizer,
        template,
        generation,
        ..
    } = put_together(files("qwen2_vl-multi-449")).unwrap();
    // "the" is one token, " the" is one token, and the image placeholder is one token.
    let ids = tokenizer.encode("the the<|image_pad|>x").unwrap();
    assert_eq!((ids.len(), ids[2]), (4, 8));
    assert_eq!(tokenizer.decode(&ids).unwrap(), "the thex");
    assert!(tokenizer.is_special(2) && !tokenizer.is_special(20));
    assert_eq!(*parse(&generation).unwrap(), json!({ "eos_token_id": [2, 0] }));
    let conversation = Conversation::new(vec![Message::new(Role::User, vec![Part::Text("hi".to_owned())])]);
    let prompt = template
        .unwrap()
        .render(&conversation, &RenderOptions::default())
        .unwrap();
    assert_eq!(prompt, "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n");
    // Special tokens that templates name are found by their ids.
    let template = put_together(files("pixtral-multi-hf")).unwrap().template.unwrap();
    let prompt = template.render(&conversation, &RenderOptions::default()).unwrap();
    assert_eq!(prompt, "<s>[INST]hi[/INST]");
}

#[test]
fn a_file_without_template() {
    let [mut language, tower] = files("qwen2_vl-multi-449");
    language.set("tokenizer.chat_template", None);
    assert!(put_together([language, tower]).unwrap().template.is_none());
}

type Change = fn(&mut File, &mut File);

fn number(value: u32) -> Option<(u32, Vec<u8>)> {
    Some((U32, value.to_le_bytes().to_vec()))
}

#[test]
fn what_does_not_fit_is_named() {
    let (second, half, third, pixtral) = (CASES[0], CASES[2], CASES[3], CASES[4]);
    let cases: Vec<(&str, Change, &str)> = vec![
        (
            second,
            |l, t| *t = l.clone(),
            "mmproj.gguf holds no vision tower, but `qwen2vl`",
        ),
        (
            second,
            |l, t| *l = t.clone(),
            "model.gguf holds a vision tower, not a language model",
        ),
        (
            second,
            |l, _| l.set("general.architecture", Some((TEXT, text("mamba")))),
            "no family reads the language model `mamba` with the vision tower `qwen2vl_merger`",
        ),
        (
            second,
            |_, t| t.set("clip.projector_type", None),
            "`clip.vision.projector_type` are missing",
        ),
        (
            second,
            |l, _| l.set("qwen2vl.block_count", None),
            "`qwen2vl.block_count` are missing",
        ),
        (
            second,
            |l, _| l.set("qwen2vl.block_count", Some((TEXT, text("three")))),
            "`qwen2vl.block_count` cannot be used: expected a whole number",
        ),
        (
            second,
            |l, _| l.set("qwen2vl.attention.sliding_window", number(64)),
            "`qwen2vl.attention.sliding_window` are not known for `qwen2vl`",
        ),
        (
            second,
            |_, t| t.set("clip.vision.n_query", number(64)),
            "`clip.vision.n_query` are not known for `clip`",
        ),
        (
            second,
            |l, _| l.set("qwen2vl.rope.scaling.type", Some((TEXT, text("linear")))),
            "`qwen2vl.rope.scaling.type` are linear, expected none or yarn",
        ),
        (
            second,
            |l, _| l.set("qwen2vl.rope.dimension_count", number(8)),
            "`qwen2vl.rope.dimension_count` are 8, expected 16",
        ),
        (
            second,
            |_, t| t.set("clip.use_silu", Some((BOOL, vec![1]))),
            "are silu, expected quick",
        ),
        (
            second,
            |_, t| t.set("clip.vision.block_count", number(4)),
            "`clip.vision.block_count` are 4",
        ),
        (
            second,
            |_, t| {
                t.set(
                    "clip.vision.block_count",
                    Some((10, (1u64 << 63).to_le_bytes().to_vec())),
                )
            },
            "`clip.vision.block_count` are 9223372036854775808",
        ),
        (
            second,
            |_, t| t.set("clip.vision.embedding_length", number(0)),
            "expected a multiple of the width 0",
        ),
        (
            second,
            |_, t| t.rename("v.patch_embd.weight.1", "v.patch_embd.weight.2"),
            "`v.patch_embd.weight` comes for 1 frames, expected 2",
        ),
        (
            half,
            |_, t| t.set("clip.vision.n_wa_pattern", number(0)),
            "are 0, expected 1 to 4",
        ),
        (
            half,
            |_, t| t.set("clip.vision.n_wa_pattern", None),
            "`clip.vision.n_wa_pattern` are missing",
        ),
        (
            third,
            |l, _| l.set("qwen3vl.n_deepstack_layers", number(3)),
            "are 3, expected 2",
        ),
        (
            pixtral,
            |l, _| l.set("llama.rope.scaling.type", Some((TEXT, text("yarn")))),
            "are yarn, expected none",
        ),
        (
            pixtral,
            |_, t| t.set("clip.vision.spatial_merge_size", number(2)),
            "`clip.vision.spatial_merge_size` are 2, expected 1",
        ),
        (
            pixtral,
            |l, _| l.set("llama.attention.head_count", number(3)),
            "heads of an even size",
        ),
        (
            second,
            |l, _| l.set("tokenizer.ggml.model", Some((TEXT, text("llama")))),
            "are llama, expected gpt2",
        ),
        (
            second,
            |l, _| l.set("tokenizer.ggml.pre", Some((TEXT, text("default")))),
            "are default, expected qwen2, pixtral, tekken",
        ),
        (
            second,
            |l, _| l.set("tokenizer.ggml.token_type", None),
            "`tokenizer.ggml.token_type` are missing",
        ),
        (
            second,
            |l, _| l.set("tokenizer.chat_template", Some((TEXT, text("{% if %}")))),
            "model.gguf: the chat template is not valid",
        ),
    ];
    for (case, change, expected) in cases {
        let [mut language, mut tower] = files(case);
        change(&mut language, &mut tower);
        let error = put_together([language, tower]).err().expect(expected).to_string();
        assert!(error.contains(expected), "{case}: {error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn tensors_that_nobody_knows_are_reported_under_their_own_name() {
    let [mut language, tower] = files("qwen2_vl-multi-449");
    language.rename("blk.1.ffn_up.weight", "blk.1.ffn_sideways.weight");
    let assembled = put_together([language, tower]).unwrap();
    let error = load(&parse(&assembled.config).unwrap(), assembled.weights)
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("`model.layers.1.mlp.up_proj.weight`"), "{error}");
    let [language, tower] = files("qwen2_vl-multi-449");
    let language = language.tensor("blk.0.attn_sinks.weight", &[1], 0, &[0; 4]);
    let assembled = put_together([language, tower]).unwrap();
    let error = load(&parse(&assembled.config).unwrap(), assembled.weights)
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("nobody takes the tensors blk.0.attn_sinks.weight"),
        "{error}"
    );
}

#[test]
fn scaled_positions_are_read() {
    let [mut language, tower] = files("qwen2_vl-multi-449");
    let single = |value: f32| Some((F32, value.to_le_bytes().to_vec()));
    language.set("qwen2vl.rope.scaling.type", Some((TEXT, text("yarn"))));
    language.set("qwen2vl.rope.scaling.factor", single(4.0));
    language.set("qwen2vl.rope.scaling.original_context_length", number(512));
    let config = parse(&put_together([language, tower]).unwrap().config).unwrap();
    assert_eq!(
        config["rope_scaling"],
        json!({ "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 512, "mrope_section": [2, 3, 3] })
    );
}
