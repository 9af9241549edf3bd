//! The gradients of one batch: shards side by side, packs one after another, sums in a fixed order.

use candle_core::{Device, Tensor};
use ocellus_models::Generator;
use ocellus_nn::Taps;
use std::collections::HashMap;

use crate::TrainError;
use crate::example::Example;
use crate::frames::FrameHead;
use crate::losses::attention_guide::guide;
use crate::losses::language::{Pictures, Sequence, language};
use crate::optimiser::ParameterState;
use crate::pack::Pack;

/// The model under training and the heads of its auxiliary losses.
pub struct TrainedModel {
    pub model: Generator,
    pub frames: Option<FrameHead>,
    pub guide_layers: Vec<usize>,
}

/// How much each auxiliary loss counts in this step.
#[derive(Clone, Copy, Debug)]
pub struct Weights {
    pub frames: f32,
    pub guide: f32,
}

/// Sums over a batch.
#[derive(Clone, Debug, Default)]
pub struct Sums {
    pub language: f64,
    pub targets: usize,
    pub frames: f64,
    pub frame_count: usize,
    pub guide: f64,
    pub guides: usize,
}

/// Data-parallel workers, one a shard, each with its kernels on its own thread.
pub struct DataParallel(usize);

impl DataParallel {
    pub fn new(shards: usize) -> Self {
        Self(shards)
    }

    /// Gradients of the summed losses, one vector a parameter, and the sums. `make(i)` gives example `i` of `count`.
    pub fn gradients(
        &self,
        student: &TrainedModel,
        slots: &[ParameterState],
        (count, micro_batch): (usize, usize),
        make: &(dyn Fn(usize) -> Result<Example, TrainError> + Sync),
        weights: Weights,
    ) -> Result<(Vec<Vec<f32>>, Sums), TrainError> {
        let shards = self.0;
        let results: Vec<Result<_, TrainError>> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..shards)
                .map(|shard| {
                    let (from, to) = (count * shard / shards, count * (shard + 1) / shards);
                    scope.spawn(move || {
                        ocellus_kernels::alone(|| {
                            one_shard(student, slots, from..to, micro_batch, make, weights)
                        })
                    })
                })
                .collect();
            workers
                .into_iter()
                .map(|w| w.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        });
        let mut total: Option<(Vec<Vec<f32>>, Sums)> = None;
        for result in results {
            let (gradients, sums) = result?;
            match &mut total {
                None => total = Some((gradients, sums)),
                Some((g, s)) => {
                    g.iter_mut().zip(&gradients).for_each(|(a, b)| add(a, b));
                    s.add(&sums);
                }
            }
        }
        Ok(total.unwrap_or_default())
    }
}

impl Sums {
    fn add(&mut self, other: &Sums) {
        self.language += other.language;
        self.targets += other.targets;
        self.frames += other.frames;
        self.frame_count += other.frame_count;
        self.guide += other.guide;
        self.guides += other.guides;
    }
}

fn add(a: &mut [f32], b: &[f32]) {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
}

fn one_shard(
    student: &TrainedModel,
    slots: &[ParameterState],
    range: std::ops::Range<usize>,
    micro_batch: usize,
    make: &(dyn Fn(usize) -> Result<Example, TrainError> + Sync),
    weights: Weights,
) -> Result<(Vec<Vec<f32>>, Sums), TrainError> {
    let mut gradients: Vec<Vec<f32>> = slots.iter().map(|s| vec![0.0; s.average.len()]).collect();
    let mut sums = Sums::default();
    let mut examples = range.map(make).collect::<Result<Vec<_>, _>>()?;
    // Neighbours of like length share a pack, so that packs cost alike.
    examples.sort_by_key(|e| e.ids.len());
    for group in examples.chunks(micro_batch) {
        let pack = Pack::new(student.model.vlm(), group, &Device::Cpu)?;
        let loss = losses(student, &pack, weights, &mut sums)?;
        let store = loss.backward()?;
        for (slot, total) in slots.iter().zip(&mut gradients) {
            if let Some(gradient) = store.get(slot.var.as_tensor()) {
                let gradient = gradient.contiguous()?;
                let (storage, layout) = gradient.storage_and_layout();
                if let candle_core::Storage::Cpu(storage) = &*storage {
                    add(total, &storage.as_slice::<f32>()?[layout.start_offset()..]);
                }
            }
        }
    }
    Ok((gradients, sums))
}

/// The weighted sum of all losses on a pack.
fn losses(
    student: &TrainedModel,
    pack: &Pack,
    weights: Weights,
    sums: &mut Sums,
) -> Result<Tensor, TrainError> {
    let mut taken: HashMap<String, Tensor> = HashMap::new();
    let wanted: Vec<String> = student
        .guide_layers
        .iter()
        .flat_map(|l| [format!("query_{l}"), format!("key_{l}")])
        .collect();
    let mut listen = |name: &str, tensor: &Tensor| {
        if name == "vision_out" || wanted.iter().any(|w| w == name) {
            taken.insert(name.to_owned(), tensor.clone());
        }
    };
    let sequence = Sequence {
        images: Some(Pictures {
            patches: &pack.patches,
            grids: &pack.grids,
        }),
        videos: None,
        ids: &pack.ids,
        positions: &pack.positions,
        lengths: &pack.lengths,
    };
    let mut loss = language(
        student.model.vlm(),
        &sequence,
        &pack.targets,
        &mut Taps::new(&mut listen),
    )?;
    sums.language += f64::from(loss.to_scalar::<f32>()?);
    sums.targets += pack.target_count();
    if let (Some(head), Some(cells)) = (&student.frames, taken.get("vision_out")) {
        let frames = head.loss(student.model.vlm(), cells, &pack.frames)?;
        sums.frames += f64::from(frames.to_scalar::<f32>()?);
        sums.frame_count += pack.frames.len();
        loss = (loss + (frames * f64::from(weights.frames))?)?;
    }
    if weights.guide > 0.0 {
        for layer in &student.guide_layers {
            if let (Some(q), Some(k)) = (
                taken.get(&format!("query_{layer}")),
                taken.get(&format!("key_{layer}")),
            ) {
                let guided = guide(q, k, &pack.guide)?;
                sums.guide += f64::from(guided.to_scalar::<f32>()?);
                sums.guides += pack.guide.len();
                loss = (loss + (guided * f64::from(weights.guide))?)?;
            }
        }
    }
    Ok(loss)
}
