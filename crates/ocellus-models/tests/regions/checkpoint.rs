//! Checkpoints of cases, and their inputs as a user would give them.

use std::rc::Rc;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use ocellus_models::families::{find, parse};
use ocellus_models::{ConfigFile, Model, ModelError, Regions, VisualInput};
use ocellus_nn::{Frozen, Params, Precision};
use ocellus_testkit::Case;
use ocellus_testkit::case::{Values, goldens_dir};
use ocellus_weights::Weights;

pub fn config(case: &str) -> ConfigFile {
    let path = goldens_dir().join(case).join("model/config.json");
    parse(&std::fs::read_to_string(path).expect("the config is there")).expect("it is JSON")
}

pub fn load(case: &str, config: &ConfigFile) -> Result<Box<dyn Model>, ModelError> {
    let weights = Weights::open(&goldens_dir().join(case).join("model")).expect("the checkpoint opens");
    let source = Rc::new(Frozen::new(Arc::new(weights), Device::Cpu, DType::F32));
    let params = Params::new(source.clone(), Precision::F32);
    let family = find(config)?;
    let model = (family.load)(config, &params)?;
    family.finish(config, &source)?;
    Ok(model)
}

pub fn model(case: &str) -> Box<dyn Model> {
    load(case, &config(case)).unwrap_or_else(|e| panic!("{case}: {e}"))
}

pub fn floats(case: &Case, name: &str) -> (Vec<usize>, Vec<f32>) {
    match &case.inputs[name].values {
        Values::F32(values) => (case.inputs[name].shape.clone(), values.clone()),
        other => panic!("{name} is {other:?}"),
    }
}

pub fn integers(case: &Case, name: &str) -> Vec<i64> {
    match &case.inputs[name].values {
        Values::I64(values) => values.clone(),
        other => panic!("{name} is {other:?}"),
    }
}

pub fn expected(case: &Case, name: &str) -> Vec<f32> {
    match &case.expect(name).values {
        Values::F32(values) => values.clone(),
        other => panic!("{name} is {other:?}"),
    }
}

/// Texts and regions of a case as a user would give them: no padding, boxes of a picture whose sides are 1 px, no region
/// for the whole.
pub fn asked(
    case: &Case,
    [texts, regions]: [&str; 2],
    [features, places]: [&str; 2],
    skip: usize,
) -> (Vec<Vec<u32>>, Vec<Regions>) {
    let (shape, features) = floats(case, features);
    let (_, places) = floats(case, places);
    let (batch, count, width) = (shape[0], shape[1], shape[2]);
    let numbers = places.len() / (batch * count);
    let (text_mask, region_mask) = (integers(case, texts), integers(case, regions));
    let ids = integers(case, "input_ids");
    let length = ids.len() / batch;
    let texts = (0..batch).map(|row| {
        let places = row * length..(row + 1) * length;
        places
            .filter(|p| text_mask[*p] != 0)
            .map(|p| ids[p] as u32)
            .collect()
    });
    let seen = (0..batch).map(|row| {
        let real = (row * count + skip..(row + 1) * count).filter(|p| region_mask[*p] != 0);
        let (mut values, mut boxes) = (Vec::<f32>::new(), Vec::new());
        for region in real {
            values.extend(&features[region * width..(region + 1) * width]);
            let place = &places[region * numbers..region * numbers + 4];
            boxes.push([place[0], place[1], place[2], place[3]]);
        }
        Regions {
            features: Tensor::from_vec(values, (boxes.len(), width), &Device::Cpu).unwrap(),
            boxes,
            width: 1.0,
            height: 1.0,
        }
    });
    (texts.collect(), seen.collect())
}

pub fn single_stream(case: &Case) -> (Vec<Vec<u32>>, Vec<Regions>) {
    asked(case, ["txt_mask", "region_mask"], ["img_feat", "img_pos_feat"], 0)
}

pub fn two_streams(case: &Case) -> (Vec<Vec<u32>>, Vec<Regions>) {
    asked(
        case,
        ["attention_mask", "image_attention_mask"],
        ["image_feat", "image_loc"],
        1,
    )
}

pub fn slices(texts: &[Vec<u32>]) -> Vec<&[u32]> {
    texts.iter().map(Vec::as_slice).collect()
}

pub fn flat(x: &Tensor) -> Vec<f32> {
    x.flatten_all().unwrap().to_vec1().unwrap()
}

pub fn matched(model: &dyn Model, texts: &[Vec<u32>], regions: &[Regions]) -> Vec<f32> {
    let visual = VisualInput::Regions(regions.to_vec());
    let scores = model
        .matcher()
        .expect("it matches")
        .scores(&visual, &slices(texts))
        .unwrap();
    scores.iter().map(|s| s.matched.expect("a probability")).collect()
}

/// One picture of two regions that the cases' models take.
pub fn picture() -> Regions {
    Regions {
        features: Tensor::ones((2, 20), DType::F32, &Device::Cpu).unwrap(),
        boxes: vec![[0.0, 0.0, 4.0, 4.0], [1.0, 1.0, 5.0, 3.0]],
        width: 10.0,
        height: 8.0,
    }
}
