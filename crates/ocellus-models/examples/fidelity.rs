//! What rounding weights does to a model's next-token scores: every width against f32 on the same picture and text.
//!
//! `cargo run --release -p ocellus-models --example fidelity -- MODEL_FOLDER [WIDTH...]`
//!
//! The picture is noise of 20 by 20 cells, the text 64 ids drawn at random; scores behind each of them are compared. Prints the
//! mean cosine, the mean divergence (Kullback-Leibler, nats) from f32, and at how many places the likeliest token is the same.

use std::error::Error;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use ocellus_models::{Generator, Grid, PositionRule, VisualSpan, load};
use ocellus_nn::attention::Batch;
use ocellus_nn::{Format, Frozen, Params, Precision, Taps};
use ocellus_weights::Weights;

const TEXT: usize = 64;
const VISUAL_TOKENS: usize = 20;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("expected the folder of a model")?;
    let mut widths: Vec<String> = arguments.collect();
    if widths.is_empty() {
        widths = ["bf16", "q8", "q6", "q4"].map(str::to_owned).to_vec();
    }
    let reference = scores(Path::new(&folder), "f32")?;
    println!("width  cosine    divergence  same likeliest token");
    for width in widths {
        let found = scores(Path::new(&folder), &width)?;
        let (mut cosine, mut divergence, mut same) = (0.0, 0.0, 0);
        for (a, b) in reference.iter().zip(&found) {
            cosine += cosine_of(a, b);
            divergence += divergence_of(a, b);
            same += usize::from(likeliest(a) == likeliest(b));
        }
        let count = reference.len() as f64;
        let (cosine, divergence) = (cosine / count, divergence / count);
        println!(
            "{width:5}  {cosine:.6}  {divergence:10.6}  {same} of {}",
            reference.len()
        );
    }
    Ok(())
}

/// Scores behind each text token, `[TEXT][vocab]`.
fn scores(folder: &Path, width: &str) -> Result<Vec<Vec<f32>>, Box<dyn Error>> {
    let config = std::fs::read_to_string(folder.join("config.json"))?;
    let weights = Arc::new(Weights::open(folder)?);
    let source = Rc::new(Frozen::new(weights, Device::Cpu, DType::F32));
    let precision = if width == "f32" {
        Precision::F32
    } else {
        Precision::Bf16
    };
    let params = Params::new(source, precision);
    let params = match width {
        "q8" => params.rounded(Format::Q8),
        "q6" => params.rounded(Format::Q6),
        "q4" => params.rounded(Format::Q4),
        _ => params,
    };
    let model = Generator::new(load(&config, &params)?)?;
    let (vlm, taps) = (model.vlm(), &mut Taps::none());
    let facts = vlm.facts();
    let grid = Grid {
        t: 1,
        h: VISUAL_TOKENS * facts.merge,
        w: VISUAL_TOKENS * facts.merge,
    };
    let mut state = 1_u64;
    let mut random = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u32
    };
    let count = grid.patches() * facts.patch_features;
    let patches: Vec<f32> = (0..count)
        .map(|_| random() as f32 / 2.0_f32.powi(30) - 1.0)
        .collect();
    let patches = Tensor::from_vec(patches, (grid.patches(), facts.patch_features), &Device::Cpu)?;
    let vision = VisualSpan {
        grid,
        video_seconds: None,
    };
    let visual_tokens = vlm.encode(&patches, &[grid], taps)?;
    let mut ids = vlm.placeholder(&grid);
    let first = ids.len();
    // Below the special tokens of every vocabulary here.
    ids.extend((0..TEXT).map(|_| random() % 20_000));
    let placed = vlm.positions(&ids, &[vision], PositionRule::default())?;
    let embeds = vlm.embed(&ids, Some(&visual_tokens), None, taps)?;
    let hidden = vlm.forward(&embeds, &placed.ids, &Batch::of(vec![ids.len()]), None, taps)?;
    let logits = vlm.logits(&hidden.narrow(0, first, TEXT)?.contiguous()?)?;
    Ok(logits.to_vec2()?)
}

fn cosine_of(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| {
        a.iter()
            .zip(b)
            .map(|(a, b)| f64::from(*a) * f64::from(*b))
            .sum::<f64>()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

fn divergence_of(a: &[f32], b: &[f32]) -> f64 {
    let log_total = |x: &[f32]| {
        let most = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        f64::from(most) + x.iter().map(|v| f64::from(v - most).exp()).sum::<f64>().ln()
    };
    let (total_a, total_b) = (log_total(a), log_total(b));
    let term = |(a, b): (&f32, &f32)| {
        let (a, b) = (f64::from(*a) - total_a, f64::from(*b) - total_b);
        a.exp() * (a - b)
    };
    a.iter().zip(b).map(term).sum()
}

fn likeliest(x: &[f32]) -> Option<usize> {
    (0..x.len()).max_by(|i, j| x[*i].total_cmp(&x[*j]))
}
