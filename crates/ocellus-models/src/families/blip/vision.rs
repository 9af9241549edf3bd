//! The image tower that this family and its successor share: its config, the names of its tensors, pictures as its tokens.

use candle_core::Tensor;
use ocellus_nn::block;
use ocellus_nn::encoder;
use ocellus_nn::position_table::Interpolation;
use ocellus_nn::tower::{self, Tower};
use ocellus_nn::{Act, Attn, Bias, Mlp, Names, Norm, Order, Params, Taps};

use crate::config::{ConfigError, Fields};
use crate::families::planes;
use crate::given::Given;
use crate::model::Asked;
use crate::model::Sees;
use crate::vlm::{Facts, Grid, ModelError, Prompt};
use ocellus_media::PixelRecipe;

/// Values that a config may leave out, since the library's classes have them.
pub struct Class {
    pub width: usize,
    pub inner: usize,
    pub layers: usize,
    pub heads: usize,
    pub image_size: usize,
    pub patch_size: usize,
    pub eps: f64,
}

/// What libraries write into every config and sub-config: defaults of generation, of training and of printing.
pub const LIBRARY: &[&str] = &[
    "add_cross_attention",
    "attention_probs_dropout_prob",
    "bad_words_ids",
    "base_config_key",
    "begin_suppress_tokens",
    "chunk_size_feed_forward",
    "classifier_dropout",
    "cross_attention_hidden_size",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "dropout",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "exponential_decay_length_penalty",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "hidden_dropout_prob",
    "id2label",
    "initializer_factor",
    "is_decoder",
    "is_encoder_decoder",
    "label2id",
    "length_penalty",
    "max_length",
    "min_length",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_return_sequences",
    "output_attentions",
    "output_hidden_states",
    "output_scores",
    "prefix",
    "problem_type",
    "projection_dim",
    "pruned_heads",
    "remove_invalid_values",
    "repetition_penalty",
    "return_dict",
    "return_dict_in_generate",
    "sep_token_id",
    "suppress_tokens",
    "task_specific_params",
    "temperature",
    "tf_legacy_loss",
    "tie_encoder_decoder",
    "tie_word_embeddings",
    "tokenizer_class",
    "top_k",
    "top_p",
    "torchscript",
    "typical_p",
    "use_bfloat16",
];

const NAMES: Names = &[
    ("patch", "embeddings.patch_embedding"),
    ("class_token", "embeddings.class_embedding"),
    ("positions", "embeddings.position_embedding"),
    ("layers", "encoder.layers"),
    ("attn.o_proj", "self_attn.projection"),
    ("attn", "self_attn"),
    ("norm1", "layer_norm1"),
    ("norm2", "layer_norm2"),
    ("norm_after", "post_layernorm"),
];

/// A field that may be left out.
pub fn size(fields: &Fields, key: &str, class: usize) -> Result<usize, ConfigError> {
    Ok(fields.size_or(key)?.unwrap_or(class))
}

/// A token id that may be left out.
pub fn id(fields: &Fields, key: &str, class: u32) -> Result<u32, ConfigError> {
    match fields.get(key) {
        Some(_) => fields.id(key),
        None => Ok(class),
    }
}

/// The activation that a field names.
pub fn act(fields: &Fields, key: &str, class: &str) -> Result<Act, ConfigError> {
    match fields.text_or(key, class)? {
        "gelu" => Ok(Act::Gelu),
        "gelu_new" | "gelu_pytorch_tanh" => Ok(Act::GeluTanh),
        "quick_gelu" => Ok(Act::QuickGelu),
        "relu" => Ok(Act::Relu),
        "silu" | "swish" => Ok(Act::Silu),
        other => Err(ConfigError::Value {
            field: fields.name(key),
            expected: "gelu, gelu_new, gelu_pytorch_tanh, quick_gelu, relu or silu".to_owned(),
            found: other.to_owned(),
        }),
    }
}

/// The size of a head.
pub fn head_dim(fields: &Fields, key: &str, width: usize, heads: usize) -> Result<usize, ConfigError> {
    if width.is_multiple_of(heads) {
        return Ok(width / heads);
    }
    Err(ConfigError::Value {
        field: fields.name(key),
        expected: format!("a divisor of {width}"),
        found: heads.to_string(),
    })
}

/// The object under `key`, which must be there.
pub fn section<'a>(top: &Fields<'a>, key: &str) -> Result<Fields<'a>, ConfigError> {
    top.object(key)?
        .ok_or_else(|| ConfigError::Missing { field: top.name(key) })
}

/// A tower as its config describes it.
pub struct Vision {
    spec: tower::Spec,
    patch_size: usize,
}

impl Vision {
    pub fn read(fields: Fields, family: &str, class: &Class) -> Result<Self, ConfigError> {
        let width = size(&fields, "hidden_size", class.width)?;
        let heads = size(&fields, "num_attention_heads", class.heads)?;
        let patch_size = size(&fields, "patch_size", class.patch_size)?;
        let channels = size(&fields, "num_channels", 3)?;
        let side = size(&fields, "image_size", class.image_size)? / patch_size;
        let norm = Norm::layer(fields.number_or("layer_norm_eps", class.eps)?);
        let qkv = fields.flag_or("qkv_bias", true)?;
        let bias = Bias {
            q: qkv,
            k: qkv,
            v: qkv,
            o: true,
        };
        let dim = head_dim(&fields, "num_attention_heads", width, heads)?;
        let spec = tower::Spec {
            patch: channels * patch_size * patch_size,
            patch_bias: true,
            class_token: true,
            positions: Some((side, side)),
            interpolation: Interpolation::Bicubic,
            norm_before: None,
            encoder: encoder::Spec::new(
                size(&fields, "num_hidden_layers", class.layers)?,
                block::Spec {
                    width,
                    attention: Attn::full(heads, dim, bias).fused(),
                    norm,
                    order: Order::NormFirst,
                    mlp: Mlp::Plain {
                        act: act(&fields, "hidden_act", "gelu")?,
                        width: size(&fields, "intermediate_size", class.inner)?,
                        bias: true,
                    },
                    memory: None,
                },
            ),
            norm_after: Some(norm),
        };
        fields.finish(family, LIBRARY)?;
        Ok(Self { spec, patch_size })
    }

    pub fn width(&self) -> usize {
        self.spec.encoder.block.width
    }

    /// Facts of a model with this tower whose text has so many positions.
    pub fn load(
        self,
        p: &Params,
        family: &'static str,
        max_positions: usize,
    ) -> Result<Pictures, ModelError> {
        self.load_as(&p.at("vision_model"), family, max_positions)
    }

    /// The same with the tower at `p` itself.
    pub fn load_as(
        &self,
        p: &Params,
        family: &'static str,
        max_positions: usize,
    ) -> Result<Pictures, ModelError> {
        Ok(Pictures {
            facts: Facts {
                family,
                image_token: None,
                video_token: None,
                merge: 1,
                patch_size: self.patch_size,
                temporal_patch_size: 1,
                patch_features: self.spec.patch,
                tokens_per_second: None,
                frames_apart: false,
                max_positions,
            },
            tower: Tower::load(&p.named(NAMES), self.spec.clone())?,
        })
    }
}

/// A loaded tower.
pub struct Pictures {
    pub facts: Facts,
    tower: Tower,
}

impl Pictures {
    /// The recipe at the tower's own size.
    pub fn sees(&self, recipe: PixelRecipe) -> Sees {
        let table = self.tower.spec().positions.unwrap_or((24, 24));
        planes::sized(recipe, table, self.facts.patch_size)
    }

    /// Patches of pictures → their tokens `[tokens, width]`, the class token first in each.
    pub fn encode(&self, patches: &Tensor, grids: &[Grid], taps: &mut Taps) -> Result<Tensor, ModelError> {
        let rows: usize = grids.iter().map(|g| g.t * g.h * g.w).sum();
        let wrong = grids.iter().find(|g| g.t != 1 || g.h == 0 || g.w == 0);
        if let Some(&Grid { t, h, w }) = wrong.or(grids.first().filter(|_| rows != patches.dims()[0])) {
            let patches = patches.dim(0)?;
            return Err(ModelError::Grid {
                t,
                h,
                w,
                merge: 1,
                patches,
            });
        }
        let sides: Vec<(usize, usize)> = grids.iter().map(|g| (g.h, g.w)).collect();
        Ok(self.tower.forward(patches, &sides, taps)?)
    }

    /// Tokens of each picture.
    pub fn tokens(&self, grids: &[Grid]) -> Vec<usize> {
        grids.iter().map(|g| self.tower.tokens((g.h, g.w))).collect()
    }

    /// The encoded pictures of prompts that have one each, and the tokens of each.
    pub fn one_each<'t>(
        &self,
        prompts: &[Prompt],
        cells: Option<&'t Tensor>,
    ) -> Result<(&'t Tensor, Vec<usize>), ModelError> {
        let mut grids = Vec::with_capacity(prompts.len());
        for prompt in prompts {
            match &prompt.visions[..] {
                [one] if one.video_seconds.is_none() => grids.push(one.grid),
                [_] => return Err(ModelError::input("the prompt", "a picture", "a video")),
                all => {
                    let found = format!("{} pictures", all.len());
                    return Err(ModelError::input("the prompt", "one picture", found));
                }
            }
        }
        let tokens = self.tokens(&grids);
        let (expected, found) = (cells.map_or(Ok(0), |c| c.dim(0))?, tokens.iter().sum());
        match cells.filter(|_| expected == found) {
            Some(cells) => Ok((cells, tokens)),
            None => Err(ModelError::Span {
                kind: "image",
                expected,
                found,
            }),
        }
    }

    /// The pictures of a reference's `pixel_values`: patches and grids.
    pub fn given(&self, given: &Given) -> Result<(Tensor, Vec<Grid>), ModelError> {
        given.patches("pixel_values", self.facts.patch_size, None)
    }

    /// Encodes a reference's `pixel_values`, with its taps `patch_embeds` (class token and positions included),
    /// `vision_block_N`, `vision_out`.
    pub fn traced(&self, given: &Given, taps: &mut Taps) -> Result<(Tensor, Vec<usize>), ModelError> {
        let (patches, grids) = self.given(given)?;
        let pictures = grids.len();
        let unpack = |t: &Tensor| t.reshape((pictures, (), t.dim(1)?));
        let mut renamed = |name: &str, t: &Tensor| {
            let name = match name {
                "patch_embeds" => return,
                "vision_embeds" => "patch_embeds",
                name => name,
            };
            if let Ok(t) = unpack(t) {
                taps.tap(name, &t);
            }
        };
        let cells = self.encode(&patches, &grids, &mut Taps::new(&mut renamed))?;
        taps.tap("vision_out", &unpack(&cells)?);
        Ok((cells, self.tokens(&grids)))
    }

    /// Prompts with the pictures of a reference's `pixel_values`, one each.
    pub fn asked(&self, given: &Given, ids: Vec<Vec<u32>>) -> Result<Vec<Asked>, ModelError> {
        let (patches, grids) = self.given(given)?;
        if ids.len() != grids.len() {
            return Err(ModelError::input(
                "the batch",
                format!("{} pictures", ids.len()),
                grids.len(),
            ));
        }
        let mut first = 0;
        let mut asked = Vec::with_capacity(ids.len());
        for (ids, grid) in ids.into_iter().zip(grids) {
            let rows = patches.narrow(0, first, grid.h * grid.w)?;
            first += grid.h * grid.w;
            asked.push(Asked {
                ids,
                pictures: vec![(rows, grid)],
            });
        }
        Ok(asked)
    }
}
