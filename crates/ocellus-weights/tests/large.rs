//! A checkpoint of twelve billion parameters is opened without being read: its tensors are holes in sparse files, its
//! headers are real, and the peak memory of the process stays far below its size.
#![cfg(unix)]

use ocellus_weights::{Dtype, Weights};
use serde_json::{Map, Value, json};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The bound on peak memory, in kB as the kernel counts.
const PEAK_KB: u64 = 200_000;
const SHARD_BYTES: u64 = 5_000_000_000;

type Shape = (String, Vec<u64>);

/// Names and shapes of a vision tower (24 layers of width 1024), a connector and a decoder (40 layers of width 5120).
fn shapes() -> Vec<Shape> {
    let mut shapes: Vec<Shape> = Vec::new();
    let mut add = |name: String, shape: &[u64]| shapes.push((name, shape.to_vec()));
    let (tower, width, inner) = ("vision_tower", 1024, 4096);
    add(format!("{tower}.patch_conv.weight"), &[width, 3, 16, 16]);
    add(format!("{tower}.ln_pre.weight"), &[width]);
    for layer in 0..24 {
        let layer = format!("{tower}.transformer.layers.{layer}");
        for side in ["q", "k", "v", "o"] {
            add(format!("{layer}.attention.{side}_proj.weight"), &[width, width]);
        }
        add(format!("{layer}.feed_forward.gate_proj.weight"), &[inner, width]);
        add(format!("{layer}.feed_forward.up_proj.weight"), &[inner, width]);
        add(format!("{layer}.feed_forward.down_proj.weight"), &[width, inner]);
        add(format!("{layer}.attention_norm.weight"), &[width]);
        add(format!("{layer}.ffn_norm.weight"), &[width]);
    }
    let (text, wide, inner, vocabulary) = ("language_model.model", 5120, 14336, 131_072);
    let (queries, keys) = (32 * 128, 8 * 128);
    for (linear, input) in [("linear_1", width), ("linear_2", wide)] {
        add(format!("multi_modal_projector.{linear}.weight"), &[wide, input]);
        add(format!("multi_modal_projector.{linear}.bias"), &[wide]);
    }
    add(format!("{text}.embed_tokens.weight"), &[vocabulary, wide]);
    for layer in 0..40 {
        let layer = format!("{text}.layers.{layer}");
        add(format!("{layer}.self_attn.q_proj.weight"), &[queries, wide]);
        add(format!("{layer}.self_attn.k_proj.weight"), &[keys, wide]);
        add(format!("{layer}.self_attn.v_proj.weight"), &[keys, wide]);
        add(format!("{layer}.self_attn.o_proj.weight"), &[wide, queries]);
        add(format!("{layer}.mlp.gate_proj.weight"), &[inner, wide]);
        add(format!("{layer}.mlp.up_proj.weight"), &[inner, wide]);
        add(format!("{layer}.mlp.down_proj.weight"), &[wide, inner]);
        add(format!("{layer}.input_layernorm.weight"), &[wide]);
        add(format!("{layer}.post_attention_layernorm.weight"), &[wide]);
    }
    add(format!("{text}.norm.weight"), &[wide]);
    add("language_model.lm_head.weight".to_string(), &[vocabulary, wide]);
    shapes
}

fn bytes_of(shape: &[u64]) -> u64 {
    2 * shape.iter().product::<u64>()
}

/// Writes one shard: a header, and a hole where the tensors are.
fn write_shard(path: &Path, tensors: &[&Shape]) {
    let (mut header, mut at) = (Map::new(), 0);
    for (name, shape) in tensors {
        let end = at + bytes_of(shape);
        header.insert(
            name.clone(),
            json!({ "dtype": "BF16", "shape": shape, "data_offsets": [at, end] }),
        );
        at = end;
    }
    let header = Value::Object(header).to_string();
    let mut file = File::create(path).unwrap();
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    file.set_len(8 + header.len() as u64 + at).unwrap();
}

fn write_checkpoint(dir: &Path, shapes: &[Shape]) {
    let mut shards: Vec<Vec<&Shape>> = vec![Vec::new()];
    let mut filled = 0;
    for tensor in shapes {
        filled += bytes_of(&tensor.1);
        if filled > SHARD_BYTES {
            shards.push(Vec::new());
            filled = bytes_of(&tensor.1);
        }
        shards.last_mut().unwrap().push(tensor);
    }
    let mut placed = Map::new();
    for (i, tensors) in shards.iter().enumerate() {
        let shard = format!("model-{:05}-of-{:05}.safetensors", i + 1, shards.len());
        write_shard(&dir.join(&shard), tensors);
        placed.extend(tensors.iter().map(|(name, _)| (name.clone(), json!(shard))));
    }
    let index = json!({ "metadata": {}, "weight_map": placed }).to_string();
    fs::write(dir.join("model.safetensors.index.json"), index).unwrap();
}

/// Largest memory that this process ever held, where the kernel tells.
fn peak_kb() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn has_holes(dir: &Path) -> bool {
    let path = dir.join("probe");
    File::create(&path).unwrap().set_len(64 << 20).unwrap();
    let blocks = fs::metadata(&path).unwrap().blocks();
    fs::remove_file(&path).unwrap();
    blocks * 512 < 1 << 20
}

#[test]
fn twelve_billion_parameters_open_in_little_memory() {
    let dir = tempfile::tempdir().unwrap();
    if !has_holes(dir.path()) {
        eprintln!("skipped: this file system has no holes, the checkpoint would take 25 GB");
        return;
    }
    let shapes = shapes();
    write_checkpoint(dir.path(), &shapes);
    let weights = Weights::open(dir.path()).unwrap();
    assert_eq!(weights.len(), shapes.len());
    assert_eq!(
        weights.total_bytes(),
        shapes.iter().map(|tensor| bytes_of(&tensor.1)).sum::<u64>()
    );
    assert!(
        weights.total_bytes() > 25_000_000_000,
        "{} bytes",
        weights.total_bytes()
    );
    for (name, shape) in &shapes {
        let view = weights.view(name).unwrap();
        assert_eq!(view.dtype, Dtype::Bf16);
        assert!(
            view.shape
                .iter()
                .map(|side| *side as u64)
                .eq(shape.iter().copied()),
            "{name}"
        );
        assert_eq!(view.bytes.len() as u64, bytes_of(shape), "{name}");
    }
    let norm = weights.view("language_model.model.norm.weight").unwrap();
    assert_eq!(norm.to_f32().unwrap(), vec![0.0; 5120]);
    match peak_kb() {
        Some(peak) => assert!(
            peak < PEAK_KB,
            "peak memory is {peak} kB, expected below {PEAK_KB} kB"
        ),
        None => eprintln!("peak memory not checked: /proc/self/status tells nothing here"),
    }
}
