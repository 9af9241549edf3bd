//! Tensor names and prefixes of the two published layouts.

use ocellus_nn::{Names, Params};

/// The naming scheme of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publication {
    Library,
    Publisher,
}

/// Names of the word table in the published layouts.
pub const ANCHORS: &[&str] = &[
    "language_model.model.embed_tokens.weight",
    "model.language_model.embed_tokens.weight",
    "tok_embeddings.weight",
];

/// Where the parts of a checkpoint are.
pub struct Roots {
    pub tower: Params,
    pub adapter: [Params; 2],
    pub decoder: Params,
    pub head: Params,
}

const LIBRARY_TOWER: Names = &[
    ("patch", "patch_conv"),
    ("norm_before", "ln_pre"),
    ("layers", "transformer.layers"),
    ("attn", "attention"),
    ("mlp", "feed_forward"),
    ("norm1", "attention_norm"),
    ("norm2", "ffn_norm"),
];
const LIBRARY_DECODER: Names = &[
    ("norm1", "input_layernorm"),
    ("attn", "self_attn"),
    ("norm2", "post_attention_layernorm"),
];
const PUBLISHER_TOWER: Names = &[
    ("patch", "patch_conv"),
    ("norm_before", "ln_pre"),
    ("layers", "transformer.layers"),
    ("attn.q_proj", "attention.wq"),
    ("attn.k_proj", "attention.wk"),
    ("attn.v_proj", "attention.wv"),
    ("attn.o_proj", "attention.wo"),
    ("mlp.gate_proj", "feed_forward.w1"),
    ("mlp.down_proj", "feed_forward.w2"),
    ("mlp.up_proj", "feed_forward.w3"),
    ("norm1", "attention_norm"),
    ("norm2", "ffn_norm"),
];
const PUBLISHER_DECODER: Names = &[
    ("embed_tokens", "tok_embeddings"),
    ("attn.q_proj", "attention.wq"),
    ("attn.k_proj", "attention.wk"),
    ("attn.v_proj", "attention.wv"),
    ("attn.o_proj", "attention.wo"),
    ("mlp.gate_proj", "feed_forward.w1"),
    ("mlp.down_proj", "feed_forward.w2"),
    ("mlp.up_proj", "feed_forward.w3"),
    ("norm1", "attention_norm"),
    ("norm2", "ffn_norm"),
];

impl Publication {
    pub fn roots(self, p: &Params) -> Roots {
        if self == Self::Publisher {
            let adapter = p.at("vision_language_adapter");
            return Roots {
                tower: p.at("vision_encoder").named(PUBLISHER_TOWER),
                adapter: [adapter.at("w_in"), adapter.at("w_out")],
                decoder: p.named(PUBLISHER_DECODER),
                head: p.at("output"),
            };
        }
        let at = |places: &[&str], holds: &str| {
            let place = places.iter().find(|place| p.at(place).contains(holds));
            p.at(place.unwrap_or(&places[0]))
        };
        // Newer library versions keep everything but the head under `model`; a converter keeps the tower one step deeper.
        let towers = [
            "vision_tower",
            "model.vision_tower",
            "vision_tower.vision_model",
            "model.vision_tower.vision_model",
        ];
        let tower = at(&towers, "patch_conv.weight");
        let decoder = at(
            &["language_model.model", "model.language_model"],
            "embed_tokens.weight",
        );
        let head = at(&["language_model.lm_head", "lm_head"], "weight");
        let adapters = ["multi_modal_projector", "model.multi_modal_projector"];
        let adapter = at(&adapters, "linear_1.weight");
        Roots {
            tower: tower.named(LIBRARY_TOWER),
            adapter: [adapter.at("linear_1"), adapter.at("linear_2")],
            decoder: decoder.named(LIBRARY_DECODER),
            head,
        }
    }
}
