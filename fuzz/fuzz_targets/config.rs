//! Any text as a config: its family reads its sizes and counts memory and work, or it is refused in one line; with the weights of a
//! golden checkpoint (the first byte says which) the model is put together or refused.

#![no_main]

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use candle_core::{DType, Device};
use libfuzzer_sys::fuzz_target;
use ocellus_fuzz::choice;
use ocellus_models::plan::{Width, Widths};
use ocellus_models::{Grid, families, find};
use ocellus_nn::{Frozen, Params, Precision};
use ocellus_weights::Weights;

const GOLDENS: &[&str] = &[
    "qwen2_5_vl-end-to-end",
    "qwen2_vl-end-to-end",
    "qwen3_vl-multi",
    "qwen_vl-two-images",
    "pixtral-multi-hf",
    "blip_2-opt",
    "blip-caption",
    "albef-vqa",
    "clip-quickgelu",
    "clip-open-clip",
    "vilt-mlm",
    "uniter-vqa",
    "vilbert-vqa",
    "vlmo-base",
    "frcnn-stages",
];

thread_local! {
    static WEIGHTS: RefCell<HashMap<u8, Option<Arc<Weights>>>> = RefCell::default();
}

fn golden(kind: u8) -> Option<Arc<Weights>> {
    WEIGHTS.with_borrow_mut(|known| {
        let open = || {
            let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/goldens");
            Weights::open(&goldens.join(GOLDENS[usize::from(kind)]).join("model")).ok().map(Arc::new)
        };
        known.entry(kind).or_insert_with(open).clone()
    })
}

fuzz_target!(init: ocellus_fuzz::pass_contained(), |bytes: &[u8]| {
    let Some((kind, rest)) = choice(bytes, GOLDENS.len() as u8) else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let Ok(config) = families::parse(text) else { return };
    let family = match find(&config) {
        Ok(family) => family,
        Err(error) => return assert!(!error.to_string().contains('\n'), "{error}"),
    };
    if let Some(Ok(shape)) = family.shape.map(|shape| shape(&config)) {
        let grid = Grid { t: 1, h: 4, w: 6 };
        let plan = shape.plan(&[grid], 4096, &Widths::all(Width::F32), Width::F32);
        let _ = (plan.total_bytes(), shape.prefill_flops(4096));
    }
    let _ = config.warnings().iter().map(ToString::to_string).collect::<Vec<_>>();
    let Some(weights) = golden(kind) else { return };
    let source = Rc::new(Frozen::new(weights, Device::Cpu, DType::F32));
    let loaded = (family.load)(&config, &Params::new(source.clone(), Precision::F32));
    match loaded {
        Ok(model) => {
            let _ = (model.facts(), model.input());
            let _ = family.finish(&config, &source);
        }
        Err(error) => assert!(!error.to_string().contains('\n'), "{error}"),
    }
});
