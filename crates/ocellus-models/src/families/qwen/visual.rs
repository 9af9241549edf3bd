//! The tower and its resampler: learned queries attend to the patches, so that every picture has the same number of visual
//! tokens.

use candle_core::Tensor;
use ocellus_nn::attention::{Attention, Projections, segments};
use ocellus_nn::norm::NormLayer;
use ocellus_nn::position_table::{Interpolation, resize};
use ocellus_nn::tower::{self, Tower};
use ocellus_nn::{
    Act, Attn, Bias, Linear, Mask, Mlp, Names, Norm, Order, Params, Segment, Taps, block, encoder,
};
use std::sync::Arc;

use crate::config::{ConfigError, Fields};
use crate::error::ModelError;
use crate::reference::Given;
use ocellus_media::Grid;

/// Rows and columns of the tower's position table, for pictures of any size.
const TABLE: (usize, usize) = (16, 16);
/// Width of a head in the resampler.
const RESAMPLER_HEAD: usize = 128;
const EPS: f64 = 1e-6;

#[derive(Clone)]
pub struct Spec {
    pub tower: tower::Spec,
    pub patch_size: usize,
    /// Patches along a side of a picture.
    pub picture: usize,
    /// Queries along a side; their square is the number of visual tokens of a picture.
    pub side: usize,
    pub output_dim: usize,
}

const TOWER: Names = &[
    ("patch", "conv1"),
    ("positions", "positional_embedding"),
    ("norm_before", "ln_pre"),
    ("layers", "transformer.resblocks"),
    ("norm1", "ln_1"),
    ("norm2", "ln_2"),
    ("attn.qkv", "attn.in_proj"),
    ("attn.o_proj", "attn.out_proj"),
    ("mlp.fc1", "mlp.c_fc"),
    ("mlp.fc2", "mlp.c_proj"),
];
const RESAMPLER: Names = &[
    ("qkv.weight", "in_proj_weight"),
    ("qkv.bias", "in_proj_bias"),
    ("o_proj", "out_proj"),
];

impl Spec {
    pub fn read(visual: &Fields) -> Result<Self, ConfigError> {
        let wrong = |key: &str, expected: String, found: usize| ConfigError::Value {
            field: visual.name(key),
            expected,
            found: found.to_string(),
        };
        // The size that preprocessing resizes pictures to; the tower accepts any size.
        let picture = visual.size("image_size")?;
        let (width, heads) = (visual.size("width")?, visual.size("heads")?);
        if width % heads != 0 {
            return Err(wrong("heads", format!("a divisor of width = {width}"), heads));
        }
        let queries = visual.size_or("n_queries")?.unwrap_or(256);
        let side = queries.isqrt();
        if side * side != queries {
            return Err(wrong("n_queries", "a square number".to_owned(), queries));
        }
        let output_dim = visual.size_or("output_dim")?.unwrap_or(512);
        if output_dim < RESAMPLER_HEAD || output_dim % (output_dim / RESAMPLER_HEAD) != 0 {
            let expected = format!("a multiple of {RESAMPLER_HEAD}");
            return Err(wrong("output_dim", expected, output_dim));
        }
        let patch_size = visual.size("patch_size")?;
        let inner = width as f64 * visual.number("mlp_ratio")?;
        if !(1.0..1e9).contains(&inner) {
            return Err(wrong("mlp_ratio", "a positive number".to_owned(), inner as usize));
        }
        let block = block::Spec {
            width,
            attention: Attn {
                projections: Projections::FusedByHead,
                ..Attn::full(heads, width / heads, Bias::ALL)
            },
            norm: Norm::layer(EPS),
            order: Order::NormFirst,
            mlp: Mlp::Plain {
                act: Act::Gelu,
                width: inner as usize,
                bias: true,
            },
            memory: None,
        };
        Ok(Self {
            tower: tower::Spec {
                patch: 3 * patch_size * patch_size,
                patch_bias: false,
                class_token: false,
                positions: Some(TABLE),
                interpolation: Interpolation::Bicubic,
                norm_before: Some(Norm::layer(EPS)),
                encoder: encoder::Spec::new(visual.size("layers")?, block),
                norm_after: None,
            },
            patch_size,
            picture: picture / patch_size,
            side,
            output_dim,
        })
    }
}

pub struct Visual {
    spec: Spec,
    tower: Tower,
    /// A projection to `output_dim`; absent where the tower has that width.
    widen: Option<Linear>,
    norm_rows: NormLayer,
    queries: Tensor,
    norm_queries: NormLayer,
    /// Positions of the queries, `[queries, output_dim]`; for keys they are interpolated to the grid of the patches.
    places: Tensor,
    look: Attention,
    norm: NormLayer,
    project: Linear,
}

impl Visual {
    /// Rows and columns of patches of a preprocessed picture.
    pub fn grid(&self) -> (usize, usize) {
        (self.spec.picture, self.spec.picture)
    }

    pub fn load(p: &Params, spec: Spec) -> Result<Self, ModelError> {
        let (pool, outer) = (p.at("attn_pool"), spec.output_dim);
        let (inner, table) = (spec.tower.encoder.block.width, [spec.side * spec.side, outer]);
        let norm = |p: Params| Norm::layer(EPS).load(&p, outer);
        let heads = outer / RESAMPLER_HEAD;
        let look = Attn {
            projections: Projections::Stacked,
            ..Attn::full(heads, outer / heads, Bias::ALL)
        };
        let project = p.tensor("proj", &[outer, outer])?.t()?.contiguous()?;
        Ok(Self {
            tower: Tower::load(&p.named(TOWER), spec.tower.clone())?,
            widen: (inner != outer)
                .then(|| Linear::load(&pool.at("kv_proj"), inner, outer, false))
                .transpose()?,
            norm_rows: norm(pool.at("ln_kv"))?,
            queries: pool.tensor("query", &table)?,
            norm_queries: norm(pool.at("ln_q"))?,
            places: pool.tensor("pos_embed", &table)?,
            look: Attention::load(&pool.at("attn").named(RESAMPLER), look, outer, outer)?,
            norm: norm(p.at("ln_post"))?,
            project: Linear::new(project, None, p)?,
            spec,
        })
    }

    /// Number of visual tokens of a picture.
    pub fn visual_tokens(&self) -> usize {
        self.spec.side * self.spec.side
    }

    /// Patches of pictures → visual tokens `[pictures · queries, output_dim]`. Taps of the tower, `resampler_out`, `vision_out`.
    pub fn encode(&self, patches: &Tensor, grids: &[Grid], taps: &mut Taps) -> Result<Tensor, ModelError> {
        let (count, total) = (
            patches.dim(0)?,
            grids.iter().map(|g| g.t * g.h * g.w).sum::<usize>(),
        );
        let odd = grids.iter().find(|g| g.t != 1 || g.h * g.w == 0);
        if let Some(&Grid { t, h, w }) = odd.or_else(|| grids.first().filter(|_| total != count)) {
            return Err(ModelError::Grid {
                t,
                h,
                w,
                merge: 1,
                patches: count,
            });
        }
        let sizes: Vec<(usize, usize)> = grids.iter().map(|g| (g.h, g.w)).collect();
        let rows = self.tower.forward(patches, &sizes, taps)?;
        let looked = self.resample(&rows, &sizes)?;
        taps.tap("resampler_out", &looked);
        let visual_tokens = self.project.forward(&self.norm.forward(&looked)?)?;
        taps.tap("vision_out", &visual_tokens);
        Ok(visual_tokens)
    }

    fn resample(&self, rows: &Tensor, sizes: &[(usize, usize)]) -> Result<Tensor, ModelError> {
        let own = (self.spec.side, self.spec.side);
        let rows = match &self.widen {
            Some(widen) => self.norm_rows.forward(&widen.forward(rows)?)?,
            None => self.norm_rows.forward(rows)?,
        };
        let places = sizes
            .iter()
            .map(|size| resize(&self.places, own, *size, Interpolation::Bicubic))
            .collect::<Result<Vec<_>, _>>()?;
        let (keys, values) = self
            .look
            .keys_and_values_apart(&(&rows + Tensor::cat(&places, 0)?)?, &rows)?;
        let queries = (self.norm_queries.forward(&self.queries)? + &self.places)?;
        let queries = queries.repeat((sizes.len(), 1))?; // [pictures · queries, output_dim]
        // The queries of a picture attend to its patches only.
        let patches = segments(sizes.iter().map(|(h, w)| h * w));
        let segments: Arc<[Segment]> = (0..)
            .zip(patches.iter())
            .map(|(i, s): (usize, _)| Segment {
                q_start: i * self.visual_tokens(),
                q_len: self.visual_tokens(),
                ..*s
            })
            .collect();
        Ok(self
            .look
            .across(&queries, (&keys, &values), &Mask::whole(&segments))?)
    }

    /// The pictures among the reference's arguments.
    pub fn pictures(&self, given: &Given) -> Result<Option<(Tensor, Vec<Grid>)>, ModelError> {
        let read = || given.patches("pixel_values", self.spec.patch_size, None);
        given.has("pixel_values").then(read).transpose()
    }

    /// Encodes the pictures among the reference's arguments, if any. Taps have the shape `[pictures, rows, width]`.
    pub fn trace(&self, given: &Given, taps: &mut Taps) -> Result<Option<Tensor>, ModelError> {
        let Some((patches, grids)) = self.pictures(given)? else {
            return Ok(None);
        };
        let mut failed = None;
        let mut listen = |name: &str, tensor: &Tensor| {
            let by_picture = |t: &Tensor| t.reshape((grids.len(), (), t.dim(1)?));
            match by_picture(tensor) {
                Ok(tensor) => taps.tap(name, &tensor),
                Err(error) => failed = Some(error),
            }
        };
        let visual_tokens = self.encode(&patches, &grids, &mut Taps::new(&mut listen))?;
        match failed {
            Some(error) => Err(error.into()),
            None => Ok(Some(visual_tokens)),
        }
    }
}
