//! Faster R-CNN (Ren et al. 2015) as the region detector of Anderson et al. 2018: objects and attributes of a picture, and the
//! feature vectors that models of regions were trained with. Published for them with `config.yaml` and `pytorch_model.bin`.
//!
//! Specific to this family: proposals from anchors on the third stage of a residual network, max pooling of the feature map
//! inside each box (RoI pooling), the fourth stage as the RoI head, and the minimum and maximum number of boxes that are kept.

use candle_core::{D, IndexOp, Tensor};
use ocellus_nn::conv::{self, Conv};
use ocellus_nn::embeddings::rows;
use ocellus_nn::{Linear, Params, Taps};

use super::family::{Family, Task};
use super::regions::facts;
use crate::capabilities::{ClassScore, Detections, Detector};
use crate::error::ModelError;
use crate::facts::Facts;
use crate::input::{InputSpec, VisualFormat};
use crate::model::Model;
use crate::reference::{Given, Trace};
use crate::visual_input::Regions;

mod backbone;
mod boxes;
mod config;
mod pool;

use backbone::{Backbone, ResidualStage, STRIDE};
use boxes::{Corners, clipped, moved, on_a_grid, suppress, surest_first};
use config::{Config, ID};
use pool::Planes;

pub(super) const FAMILY: Family = Family {
    id: ID,
    architectures: &["GeneralizedRCNN"],
    anchors: &[],
    also: &["faster_rcnn", "faster-rcnn"],
    processors: &[],
    claims: config::claims,
    tasks: &[Task::Detect],
    load: |config, params| Ok(Box::new(Frcnn::load(Config::read(config)?, params)?)),
    shape: None,
    // Counters of training steps in the batch norms.
    unused: &["norm.num_batches_tracked"],
    trace: Some(|config, params| Ok(Box::new(Frcnn::load(Config::read(config)?, params)?))),
    learner: None,
    trains: |_| true,
};

/// Boxes that the RoI head computes at once, a bound on the memory of their pooled features.
const AT_ONCE: usize = 16;

struct Frcnn {
    facts: Facts,
    config: Config,
    backbone: Backbone,
    anchors: Vec<Corners>,
    shared: Conv,
    objectness: Conv,
    anchor_deltas: Conv,
    head: ResidualStage,
    objects: Linear,
    deltas: Linear,
    /// The embedding of every object class, `[classes + 1, width / 8]`, an input of the attribute head.
    words: Tensor,
    attribute_hidden: Linear,
    attributes: Linear,
}

/// Proposed boxes, in px of the resized picture.
type Proposals = Vec<Corners>;

/// Outputs of the RoI head for every box: features, object logits, attribute logits, and box deltas for every object class.
struct Said {
    features: Tensor,
    objects: Vec<Vec<f32>>,
    attributes: Vec<Vec<f32>>,
    deltas: Vec<Vec<f32>>,
}

impl Frcnn {
    fn load(config: Config, p: &Params) -> Result<Self, ModelError> {
        let (fourth, width) = (config.net.fourth(), config.net.fifth());
        let (generator, predictor) = (p.at("proposal_generator"), p.at("roi_heads.box_predictor"));
        let (rpn, hidden) = (generator.at("rpn_head"), config.proposals.hidden);
        let own = generator.at("anchor_generator.cell_anchors");
        let anchors = match own.contains("0") {
            true => corners(&own.tensor("0", &[config.proposals.anchors.len(), 4])?)?,
            false => config.proposals.anchors.clone(),
        };
        let shared = conv::Spec {
            padding: 1,
            ..conv::Spec::new(fourth, hidden, 3)
        };
        let per_anchor = |n: usize| conv::Spec::new(hidden, n * anchors.len(), 1);
        let (classes, word) = (config.objects + 1, width / 8);
        let linear = |name, inputs, outputs| Linear::load(&predictor.at(name), inputs, outputs, true);
        Ok(Self {
            facts: facts(ID, width, 0),
            backbone: Backbone::load(&p.at("backbone"), &config.net)?,
            shared: Conv::load(&rpn.at("conv"), shared)?,
            objectness: Conv::load(&rpn.at("objectness_logits"), per_anchor(1))?,
            anchor_deltas: Conv::load(&rpn.at("anchor_deltas"), per_anchor(4))?,
            head: config.net.head(&p.at("roi_heads.res5"))?,
            objects: linear("cls_score", width, classes)?,
            deltas: linear("bbox_pred", width, 4 * config.objects)?,
            words: predictor.at("cls_embedding").tensor("weight", &[classes, word])?,
            attribute_hidden: linear("fc_attr", width + word, width / 4)?,
            attributes: linear("attr_score", width / 4, config.attributes + 1)?,
            anchors,
            config,
        })
    }

    /// Proposes boxes in a picture of `(height, width)` px, most confident first. Taps `objectness_logits`, `anchor_deltas`,
    /// `anchors`, `proposal_boxes`, `proposal_logits`.
    fn propose(&self, seen: &Tensor, size: (f32, f32), taps: &mut Taps) -> Result<Proposals, ModelError> {
        let asked = &self.config.proposals;
        let shared = self.shared.forward(seen)?.relu()?;
        let (logits, deltas) = (
            self.objectness.forward(&shared)?,
            self.anchor_deltas.forward(&shared)?,
        );
        taps.tap("objectness_logits", &logits);
        taps.tap("anchor_deltas", &deltas);
        let (_, _, height, width) = seen.dims4()?;
        let anchors = on_a_grid(&self.anchors, (height, width), STRIDE as f32, asked.offset);
        taps.tap("anchors", &tensor(&anchors)?);
        let count = self.anchors.len();
        let logits = flat(&logits.i(0)?.permute((1, 2, 0))?)?; // [height, width, anchors]
        let deltas = deltas.i(0)?.reshape((count, 4, height, width))?;
        let deltas = corners(&deltas.permute((2, 3, 0, 1))?)?; // [height, width, anchors, 4]

        let (mut boxes, mut scores) = (Vec::new(), Vec::new());
        for index in surest_first(&logits).into_iter().take(asked.considered) {
            let to = inside(moved(anchors[index], deltas[index], asked.weights), size)?;
            if to[2] - to[0] > asked.smallest && to[3] - to[1] > asked.smallest {
                boxes.push(to);
                scores.push(logits[index]);
            }
        }
        let kept = suppress(&boxes, &scores, asked.threshold, asked.kept);
        let proposals: Proposals = kept.iter().map(|i| boxes[*i]).collect();
        if proposals.is_empty() {
            return Err(ModelError::input("the picture", "at least one region", "none"));
        }
        taps.tap("proposal_boxes", &tensor(&proposals)?);
        let scores: Vec<f32> = kept.iter().map(|i| scores[*i]).collect();
        taps.tap(
            "proposal_logits",
            &Tensor::new(scores, &candle_core::Device::Cpu)?,
        );
        Ok(proposals)
    }

    /// The feature vector of every box, `[boxes, width]`. Taps `roi_pooled_N` for every group of boxes, `pooled_features`.
    fn features(&self, seen: &Tensor, boxes: &[Corners], taps: &mut Taps) -> Result<Tensor, ModelError> {
        let (_, channels, height, width) = seen.dims4()?;
        let values = flat(seen)?;
        let planes = Planes {
            values: &values,
            height,
            width,
            scale: 1.0 / STRIDE as f32,
        };
        let cells = self.config.cells;
        let mut vectors = Vec::with_capacity(boxes.len().div_ceil(AT_ONCE));
        for (i, group) in boxes.chunks(AT_ONCE).enumerate() {
            let mut pooled = Vec::with_capacity(group.len() * channels * cells * cells);
            group.iter().for_each(|b| planes.pool(b, cells, &mut pooled));
            let pooled = Tensor::from_vec(pooled, (group.len(), channels, cells, cells), seen.device())?;
            taps.tap_layer("roi_pooled", i, &pooled);
            vectors.push(self.head.forward(&pooled)?.mean((2, 3))?);
        }
        let features = Tensor::cat(&vectors, 0)?;
        taps.tap("pooled_features", &features);
        Ok(features)
    }

    /// Classifies boxes by their features `[boxes, width]`. Taps `obj_logits`, `attr_logits`, `box_deltas`.
    fn say(&self, features: Tensor, taps: &mut Taps) -> Result<Said, ModelError> {
        let objects = self.objects.forward(&features)?;
        let words = rows(&self.words, &objects.argmax(D::Minus1)?.to_vec1()?)?;
        let hidden = Tensor::cat(&[&features, &words], 1)?;
        let attributes = self
            .attributes
            .forward(&self.attribute_hidden.forward(&hidden)?.relu()?)?;
        let deltas = self.deltas.forward(&features)?;
        taps.tap("obj_logits", &objects);
        taps.tap("attr_logits", &attributes);
        taps.tap("box_deltas", &deltas);
        let rows = |x: &Tensor| x.to_dtype(candle_core::DType::F32)?.to_vec2();
        Ok(Said {
            objects: rows(&objects)?,
            attributes: rows(&attributes)?,
            deltas: rows(&deltas)?,
            features,
        })
    }

    /// Selects the boxes that are kept, each with its most likely object class. `size` is the `(height, width)` of the resized
    /// picture in px; `scale` are the px of the original picture per px of the resized one, along each axis.
    fn choose(
        &self,
        proposals: &[Corners],
        said: &Said,
        size: (f32, f32),
        scale: (f32, f32),
    ) -> Result<Detections, ModelError> {
        let config = &self.config;
        // The background class takes part in the softmax, but is never chosen.
        let objects: Vec<ClassScore> = said
            .objects
            .iter()
            .map(|l| likeliest(l, l.len() - 1, l))
            .collect();
        let mut boxes = Vec::with_capacity(proposals.len());
        for ((from, deltas), object) in proposals.iter().zip(&said.deltas).zip(&objects) {
            let at = 4 * object.class as usize;
            let delta = std::array::from_fn(|i| deltas[at + i]);
            boxes.push(inside(moved(*from, delta, config.weights), size)?);
        }
        let scores: Vec<f32> = objects.iter().map(|o| o.probability).collect();
        let mut kept = Vec::new();
        for threshold in &config.thresholds {
            kept = suppress(&boxes, &scores, *threshold, config.most);
            if kept.len() >= config.fewest {
                break;
            }
        }
        // If no threshold leaves enough boxes, those of the last threshold are kept, so that no picture is refused.
        let attribute = |i: usize| {
            let logits = &said.attributes[i];
            let told = logits.len() - 1;
            likeliest(logits, told, &logits[..told])
        };
        let scaled = |b: Corners| [b[0] * scale.1, b[1] * scale.0, b[2] * scale.1, b[3] * scale.0];
        let indices: Vec<u32> = kept.iter().map(|i| *i as u32).collect();
        Ok(Detections {
            regions: Regions {
                features: rows(&said.features, &indices)?,
                boxes: kept.iter().map(|i| scaled(boxes[*i])).collect(),
                width: size.1 * scale.1,
                height: size.0 * scale.0,
            },
            objects: kept.iter().map(|i| objects[*i]).collect(),
            attributes: kept.iter().map(|i| attribute(*i)).collect(),
        })
    }

    /// `planes [1, 3, height, width]` have the checkpoint's channel order; the picture fills `size`, the rest is padding.
    fn run(
        &self,
        planes: &Tensor,
        size: (f32, f32),
        scale: (f32, f32),
        taps: &mut Taps,
    ) -> Result<Detections, ModelError> {
        let seen = self.backbone.forward(planes, taps)?;
        let proposals = self.propose(&seen, size, taps)?;
        let said = self.say(self.features(&seen, &proposals, taps)?, taps)?;
        self.choose(&proposals, &said, size, scale)
    }
}

/// The most likely of the first `among` classes, with its probability by the softmax over `all`.
fn likeliest(logits: &[f32], among: usize, all: &[f32]) -> ClassScore {
    let better = |best: usize, i: usize| if logits[i] > logits[best] { i } else { best };
    let best = (1..among).fold(0, better);
    let top = all.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = all.iter().map(|l| (l - top).exp()).sum();
    ClassScore {
        class: best as u32,
        probability: (logits[best] - top).exp() / sum,
    }
}

fn inside(from: Corners, size: (f32, f32)) -> Result<Corners, ModelError> {
    clipped(from, size).ok_or_else(|| {
        ModelError::input(
            "a box that the model found",
            "finite corners",
            format!("{from:?}"),
        )
    })
}

fn flat(x: &Tensor) -> candle_core::Result<Vec<f32>> {
    x.flatten_all()?.to_dtype(candle_core::DType::F32)?.to_vec1()
}

/// `[.., 4]` as a list of boxes.
fn corners(x: &Tensor) -> candle_core::Result<Vec<Corners>> {
    Ok(flat(x)?.as_chunks().0.to_vec())
}

/// Boxes as a tensor `[boxes, 4]`.
fn tensor(boxes: &[Corners]) -> candle_core::Result<Tensor> {
    Tensor::from_slice(boxes.as_flattened(), (boxes.len(), 4), &candle_core::Device::Cpu)
}

impl Model for Frcnn {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn input(&self) -> InputSpec {
        InputSpec {
            visual: VisualFormat::Planes(self.config.recipe.clone()),
            ..InputSpec::default()
        }
    }

    fn detector(&self) -> Option<&dyn Detector> {
        Some(self)
    }
}

impl Detector for Frcnn {
    fn detect(&self, planes: &Tensor, size: (u32, u32)) -> Result<Detections, ModelError> {
        let (channels, height, width) = planes.dims3()?;
        if channels != 3 || height * width == 0 {
            let found = format!("{:?}", planes.dims());
            return Err(ModelError::input("a picture", "three planes with pixels", found));
        }
        let planes = match self.config.reversed {
            true => planes.flip(&[0])?,
            false => planes.clone(),
        };
        let resized = (height as f32, width as f32);
        let scale = (size.0 as f32 / resized.0, size.1 as f32 / resized.1);
        let mut found = self.run(&planes.unsqueeze(0)?, resized, scale, &mut Taps::none())?;
        // Sides are rounded when a picture is resized, so each axis has its own scale.
        let whole = (size.0 as f32, size.1 as f32);
        (found.regions.height, found.regions.width) = whole;
        for corners in &mut found.regions.boxes {
            *corners = inside(*corners, whole)?;
        }
        Ok(found)
    }
}

impl Trace for Frcnn {
    /// One picture, under the argument names of the published code: `images` in the checkpoint's channel order, `image_shapes`,
    /// `scales_yx`.
    fn trace(&self, given: &Given, taps: &mut Taps) -> Result<(), ModelError> {
        let planes = given.tensor("images", 4)?;
        let (count, channels, height, width) = planes.dims4()?;
        if (count, channels) != (1, 3) {
            let found = format!("{:?}", planes.dims());
            return Err(ModelError::input("`images`", "[1, 3, height, width]", found));
        }
        let (_, sizes) = given.integers("image_shapes", 2)?;
        let scales = flat(&given.tensor("scales_yx", 2)?)?;
        let (&[h, w], &[y, x]) = (sizes, &scales[..]) else {
            let found = format!("{} and {} numbers", sizes.len(), scales.len());
            return Err(ModelError::input(
                "`image_shapes` and `scales_yx`",
                "two numbers each",
                found,
            ));
        };
        if !(1..=height as i64).contains(&h) || !(1..=width as i64).contains(&w) {
            let expected = format!("at most {height} and {width}");
            return Err(ModelError::input(
                "`image_shapes`",
                expected,
                format!("{h} and {w}"),
            ));
        }
        let found = self.run(&planes, (h as f32, w as f32), (y, x), taps)?;
        let device = planes.device();
        taps.tap("boxes", &tensor(&found.regions.boxes)?);
        for (name, guesses) in [("obj", &found.objects), ("attr", &found.attributes)] {
            let (ids, likely): (Vec<u32>, Vec<f32>) =
                guesses.iter().map(|g| (g.class, g.probability)).unzip();
            taps.tap(&format!("{name}_ids"), &Tensor::new(ids, device)?);
            taps.tap(&format!("{name}_probs"), &Tensor::new(likely, device)?);
        }
        taps.tap("roi_features", &found.regions.features);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
