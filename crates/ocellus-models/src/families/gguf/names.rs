//! Tensor names, and what the published converter does to tensors, undone.

use super::error::GgufError;
use ocellus_weights::{Recipe, View, Weights};
use std::collections::BTreeMap;

/// Pairs of a GGUF name and a checkpoint's, both without `.weight` and `.bias`.
pub(super) type Pairs = &'static [(&'static str, &'static str)];

/// The decoder's layers; their names are the same for every kind.
const LAYERS: Pairs = &[
    ("attn_norm", "input_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("attn_q_norm", "self_attn.q_norm"),
    ("attn_k_norm", "self_attn.k_norm"),
    ("ffn_norm", "post_attention_layernorm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];

const DECODER: Pairs = &[("token_embd", "embed_tokens"), ("output_norm", "norm")];

pub(super) const EMBEDDING: &str = "token_embd.weight";
pub(super) const HEAD: &str = "output.weight";
pub(super) const PATCH: &str = "v.patch_embd.weight";

/// Recipes of a checkpoint's tensors from those of a file. A tensor whose name no table knows keeps it, and is reported by
/// whoever loads the checkpoint as one that nobody takes.
pub(super) struct Plan<'a> {
    tensors: &'a Weights,
    pub recipes: BTreeMap<String, Recipe>,
}

impl<'a> Plan<'a> {
    pub fn new(tensors: &'a Weights) -> Self {
        Self {
            tensors,
            recipes: BTreeMap::new(),
        }
    }

    /// The language model, whose body the checkpoint keeps under `body` and whose head under `head`.
    pub fn decoder(&mut self, body: &str, head: &str) {
        self.alone("", body, DECODER);
        self.one("output", head);
        self.layers("blk.", &format!("{body}layers."), LAYERS);
    }

    /// Weight and bias of `theirs`, as far as they are there.
    pub fn one(&mut self, theirs: &str, ours: &str) {
        for end in ["weight", "bias"] {
            self.tensor(&format!("{theirs}.{end}"), format!("{ours}.{end}"));
        }
    }

    fn tensor(&mut self, theirs: &str, ours: String) {
        if self.tensors.contains(theirs) {
            self.recipes.insert(ours, Recipe::As(theirs.to_owned()));
        }
    }

    pub fn alone(&mut self, theirs: &str, ours: &str, pairs: Pairs) {
        for (from, to) in pairs {
            self.one(&format!("{theirs}{from}"), &format!("{ours}{to}"));
        }
    }

    /// Numbered layers.
    pub fn layers(&mut self, theirs: &str, ours: &str, pairs: Pairs) {
        for layer in self.numbers(theirs) {
            self.alone(&format!("{theirs}{layer}."), &format!("{ours}{layer}."), pairs);
        }
    }

    /// The numbers behind `prefix` in names, in order.
    pub fn numbers(&self, prefix: &str) -> Vec<usize> {
        let names = self.tensors.names().filter_map(|name| name.strip_prefix(prefix));
        let mut numbers: Vec<usize> = names
            .filter_map(|rest| rest.split('.').next()?.parse().ok())
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    /// Queries, keys and values of a tower's layers as one tensor, as they are or split.
    pub fn fused(&mut self, theirs: &str, ours: &str) {
        for layer in self.numbers(theirs) {
            let (from, to) = (format!("{theirs}{layer}."), format!("{ours}{layer}.attn.qkv"));
            self.one(&format!("{from}attn_qkv"), &to);
            for end in ["weight", "bias"] {
                let parts = ["q", "k", "v"].map(|part| format!("{from}attn_{part}.{end}"));
                if parts.iter().all(|part| self.tensors.contains(part)) {
                    self.recipes
                        .insert(format!("{to}.{end}"), Recipe::Stacked(parts.to_vec()));
                }
            }
        }
    }

    /// Rows of queries or keys that stand in pairs of neighbours, which a checkpoint keeps in halves of a head.
    pub fn unpaired(&mut self, ours: &str, heads: usize) {
        for end in ["weight", "bias"] {
            if let Some(recipe) = self.recipes.get_mut(&format!("{ours}.{end}"))
                && let Recipe::As(of) = recipe
            {
                *recipe = Recipe::EvenRowsFirst {
                    of: std::mem::take(of),
                    heads,
                };
            }
        }
    }

    /// The patch kernel, which is split over time.
    pub fn patch(&mut self, ours: &str) {
        let later = (1..).map(|frame| format!("{PATCH}.{frame}"));
        let frames: Vec<String> = std::iter::once(PATCH.to_owned())
            .chain(later)
            .take_while(|name| self.tensors.contains(name))
            .collect();
        if !frames.is_empty() {
            self.recipes
                .insert(format!("{ours}.weight"), Recipe::Frames(frames));
        }
        self.tensor("v.patch_embd.bias", format!("{ours}.bias"));
    }

    /// Old files call the first matrix of a tower's network `ffn_down` and the second `ffn_up`; a first one has rows as long
    /// as the tower is wide.
    pub fn ordered(&mut self, layers: &str, width: u64, up: &str, down: &str) -> Result<(), GgufError> {
        for layer in self.numbers("v.blk.") {
            let (up, down) = (format!("{layers}{layer}.{up}"), format!("{layers}{layer}.{down}"));
            let name = format!("v.blk.{layer}.ffn_down.weight");
            if !self.tensors.contains(&name) {
                continue;
            }
            let shape = self.tensors.view(&name)?.shape;
            let long = shape.last().is_some_and(|side| *side as u64 == width);
            if !long || shape.first() == shape.last() {
                continue;
            }
            for end in ["weight", "bias"] {
                let (up, down) = (format!("{up}.{end}"), format!("{down}.{end}"));
                let (first, second) = (self.recipes.remove(&up), self.recipes.remove(&down));
                self.recipes.extend(second.map(|recipe| (up, recipe)));
                self.recipes.extend(first.map(|recipe| (down, recipe)));
            }
        }
        Ok(())
    }

    /// Rows of `ours`, or of its first part.
    pub fn rows(&self, ours: &str) -> Option<usize> {
        let parts = self.recipes.get(ours)?.parts();
        let view: View<'_> = self.tensors.view(parts.first()?).ok()?;
        view.shape.first().copied()
    }
}
