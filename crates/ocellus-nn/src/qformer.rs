//! The Q-Former (Li et al. 2023, section 3.1): learned queries and text tokens in one sequence with shared self-attention. In
//! every few layers the queries have cross-attention to a memory. Queries and text have separate MLPs.

use candle_core::Tensor;

use crate::attention::{Attention, Mask};
use crate::encoder::Across;
use crate::mlp::MlpLayer;
use crate::norm::NormLayer;
use crate::{Attn, LoadError, Mlp, Norm, Params, Result, Taps};

/// Sizes of a Q-Former, a post-norm transformer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spec {
    pub layers: usize,
    pub width: usize,
    pub attention: Attn,
    pub norm: Norm,
    pub mlp: Mlp,
    /// Width of the memory rows.
    pub memory: usize,
    /// Layers 0, `frequency`, 2 · `frequency`, … have cross-attention.
    pub frequency: usize,
    /// Whether there are MLPs for text.
    pub text: bool,
}

/// One sequence: its queries, then its text tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub queries: usize,
    pub text: usize,
}

/// Row indices of queries and of text in packed sequences.
struct Places {
    queries: Tensor,
    text: Tensor,
    /// For every row, its index in all queries followed by all text.
    back: Tensor,
}

impl Places {
    fn of(spans: &[Span], like: &Tensor) -> Result<Self> {
        let (mut queries, mut text, mut row) = (Vec::new(), Vec::new(), 0u32);
        for span in spans {
            queries.extend(row..row + span.queries as u32);
            row += span.queries as u32;
            text.extend(row..row + span.text as u32);
            row += span.text as u32;
        }
        let mut back = vec![0u32; row as usize];
        (0u32..)
            .zip(queries.iter().chain(&text))
            .for_each(|(place, row)| back[*row as usize] = place);
        let index = |rows: Vec<u32>| {
            let count = rows.len();
            Tensor::from_vec(rows, count, like.device())
        };
        Ok(Self {
            queries: index(queries)?,
            text: index(text)?,
            back: index(back)?,
        })
    }
}

struct Step {
    mlp: MlpLayer,
    norm: NormLayer,
}

impl Step {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.norm.forward(&(x + self.mlp.forward(x)?)?)
    }
}

struct Layer {
    attention: Attention,
    norm1: NormLayer,
    across: Option<(Attention, NormLayer)>,
    query: Step,
    text: Option<Step>,
}

/// A loaded Q-Former: tensors `norm`, and under `layers.N` `attn.*`, `norm1`, `cross.*`, `norm_cross`, `query_mlp.*`,
/// `norm_query`, `text_mlp.*`, `norm_text`.
pub struct QFormer {
    norm: NormLayer,
    layers: Vec<Layer>,
}

impl QFormer {
    pub fn load(p: &Params, spec: &Spec) -> std::result::Result<Self, LoadError> {
        let Spec { width, norm, .. } = *spec;
        let layer = |i: usize| {
            let p = p.at("layers").at(i);
            let across = |memory| {
                let attention = Attention::load(&p.at("cross"), spec.attention.unfused(), width, memory)?;
                Ok::<_, LoadError>((attention, norm.load(&p.at("norm_cross"), width)?))
            };
            let step = |mlp: &str, after: &str| {
                Ok::<_, LoadError>(Step {
                    mlp: spec.mlp.load(&p.at(mlp), width)?,
                    norm: norm.load(&p.at(after), width)?,
                })
            };
            let looks = i.is_multiple_of(spec.frequency.max(1));
            Ok(Layer {
                attention: Attention::load(&p.at("attn"), spec.attention, width, width)?,
                norm1: norm.load(&p.at("norm1"), width)?,
                across: looks.then(|| across(spec.memory)).transpose()?,
                query: step("query_mlp", "norm_query")?,
                text: spec.text.then(|| step("text_mlp", "norm_text")).transpose()?,
            })
        };
        Ok(Self {
            norm: norm.load(&p.at("norm"), width)?,
            layers: (0..spec.layers)
                .map(layer)
                .collect::<std::result::Result<_, LoadError>>()?,
        })
    }

    /// Packed sequences `x [tokens, width]` → `[tokens, width]`. `mask` defines self-attention; `memory` has the memory rows and
    /// the cross-attention segments of the queries, whose rows count queries only. Sequences without queries need no memory. Taps
    /// `{tap}_N`.
    pub fn forward(
        &self,
        x: &Tensor,
        spans: &[Span],
        mask: &Mask,
        memory: Option<Across>,
        (tap, taps): (&str, &mut Taps),
    ) -> Result<Tensor> {
        let places = Places::of(spans, x)?;
        let mut x = self.norm.forward(x)?;
        for (i, layer) in self.layers.iter().enumerate() {
            x = layer.forward(&x, &places, mask, memory)?;
            taps.tap_layer(tap, i, &x);
        }
        Ok(x)
    }
}

impl Layer {
    fn forward(&self, x: &Tensor, places: &Places, mask: &Mask, memory: Option<Across>) -> Result<Tensor> {
        let x = self
            .norm1
            .forward(&(x + self.attention.forward(x, mask, None)?)?)?;
        let mut parts = Vec::with_capacity(2);
        if places.queries.elem_count() > 0 {
            let mut queries = x.index_select(&places.queries, 0)?;
            if let (Some((attention, norm)), Some((rows, seen))) = (&self.across, memory) {
                let (k, v) = attention.keys_and_values(rows)?;
                queries = norm.forward(&(&queries + attention.across(&queries, (&k, &v), seen)?)?)?;
            }
            parts.push(self.query.forward(&queries)?);
        }
        if places.text.elem_count() > 0 {
            let Some(step) = &self.text else {
                candle_core::bail!("a querying transformer without networks for text was given text");
            };
            parts.push(step.forward(&x.index_select(&places.text, 0)?)?);
        }
        Tensor::cat(&parts, 0)?.index_select(&places.back, 0)
    }
}
