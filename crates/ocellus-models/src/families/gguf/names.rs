//! Tensor names, and the inverse of what the published converter does to tensors.

use super::error::GgufError;
use ocellus_weights::{Assembly, View, Weights};
use std::collections::BTreeMap;

/// Pairs of a GGUF name and a checkpoint name, both without `.weight` and `.bias`.
pub(super) type Pairs = &'static [(&'static str, &'static str)];

/// Names in the decoder's layers, the same for every architecture.
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

/// How every tensor of the checkpoint is made from tensors of a file. A tensor that no table mentions keeps its name, so that the
/// family's loader reports it as unused.
pub(super) struct Plan<'a> {
    tensors: &'a Weights,
    pub assemblies: BTreeMap<String, Assembly>,
}

impl<'a> Plan<'a> {
    pub fn new(tensors: &'a Weights) -> Self {
        Self {
            tensors,
            assemblies: BTreeMap::new(),
        }
    }

    /// The language model; the checkpoint has its layers under `body` and its head under `head`.
    pub fn decoder(&mut self, body: &str, head: &str) {
        self.alone("", body, DECODER);
        self.one("output", head);
        self.layers("blk.", &format!("{body}layers."), LAYERS);
    }

    /// Weight and bias of `theirs`, where present.
    pub fn one(&mut self, theirs: &str, ours: &str) {
        for end in ["weight", "bias"] {
            self.tensor(&format!("{theirs}.{end}"), format!("{ours}.{end}"));
        }
    }

    fn tensor(&mut self, theirs: &str, ours: String) {
        if self.tensors.contains(theirs) {
            self.assemblies.insert(ours, Assembly::As(theirs.to_owned()));
        }
    }

    pub fn alone(&mut self, theirs: &str, ours: &str, pairs: Pairs) {
        for (from, to) in pairs {
            self.one(&format!("{theirs}{from}"), &format!("{ours}{to}"));
        }
    }

    /// The numbered layers.
    pub fn layers(&mut self, theirs: &str, ours: &str, pairs: Pairs) {
        for layer in self.numbers(theirs) {
            self.alone(&format!("{theirs}{layer}."), &format!("{ours}{layer}."), pairs);
        }
    }

    /// The numbers that follow `prefix` in tensor names, ascending.
    pub fn numbers(&self, prefix: &str) -> Vec<usize> {
        let names = self.tensors.names().filter_map(|name| name.strip_prefix(prefix));
        let mut numbers: Vec<usize> = names
            .filter_map(|rest| rest.split('.').next()?.parse().ok())
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    /// The fused query-key-value projection of the tower's layers, stored fused or as three tensors.
    pub fn fused(&mut self, theirs: &str, ours: &str) {
        for layer in self.numbers(theirs) {
            let (from, to) = (format!("{theirs}{layer}."), format!("{ours}{layer}.attn.qkv"));
            self.one(&format!("{from}attn_qkv"), &to);
            for end in ["weight", "bias"] {
                let parts = ["q", "k", "v"].map(|part| format!("{from}attn_{part}.{end}"));
                if parts.iter().all(|part| self.tensors.contains(part)) {
                    self.assemblies
                        .insert(format!("{to}.{end}"), Assembly::Stacked(parts.to_vec()));
                }
            }
        }
    }

    /// Query or key rows that are stored with rotated pairs side by side; the checkpoint stores pairs in the two halves of a
    /// head.
    pub fn unpaired(&mut self, ours: &str, heads: usize) {
        for end in ["weight", "bias"] {
            if let Some(assembly) = self.assemblies.get_mut(&format!("{ours}.{end}"))
                && let Assembly::As(of) = assembly
            {
                *assembly = Assembly::EvenRowsFirst {
                    of: std::mem::take(of),
                    heads,
                };
            }
        }
    }

    /// The patch embedding kernel, which is stored as one tensor per frame.
    pub fn patch(&mut self, ours: &str) {
        let later = (1..).map(|frame| format!("{PATCH}.{frame}"));
        let frames: Vec<String> = std::iter::once(PATCH.to_owned())
            .chain(later)
            .take_while(|name| self.tensors.contains(name))
            .collect();
        if !frames.is_empty() {
            self.assemblies
                .insert(format!("{ours}.weight"), Assembly::Frames(frames));
        }
        self.tensor("v.patch_embd.bias", format!("{ours}.bias"));
    }

    /// Old files name the first matrix of the tower's MLP `ffn_down` and the second `ffn_up`. The first is recognised by rows as
    /// long as the tower is wide.
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
                let (first, second) = (self.assemblies.remove(&up), self.assemblies.remove(&down));
                self.assemblies.extend(second.map(|assembly| (up, assembly)));
                self.assemblies.extend(first.map(|assembly| (down, assembly)));
            }
        }
        Ok(())
    }

    /// The number of rows of `ours`, or of the first tensor that it is made from.
    pub fn rows(&self, ours: &str) -> Option<usize> {
        let parts = self.assemblies.get(ours)?.parts();
        let view: View<'_> = self.tensors.view(parts.first()?).ok()?;
        view.shape.first().copied()
    }
}
