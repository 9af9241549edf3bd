//! What is counted without computing is what is computed: sizes, grids and tokens of pictures.

use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use candle_core::{DType, Device};
use ocellus_media::{Decoded, Rgb};
use ocellus_models::plan::Shape;
use ocellus_nn::{Frozen, Params, Precision};
use ocellus_processor::{PictureProcessor, PixelBounds, ProcessorError, TextFiles};
use ocellus_weights::Weights;
use proptest::prelude::*;

/// A checkpoint of every family that can be planned.
const CASES: [&str; 5] = [
    "qwen2_vl-tied-text",
    "qwen2_5_vl-multi-449",
    "qwen3_vl-batch-tied",
    "pixtral-multi-hf",
    "pixtral-multi-native",
];

fn golden(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../tests/goldens/{case}/model"))
}

fn shape(files: &TextFiles) -> Shape {
    let config = ocellus_models::families::parse(&files.config().unwrap()).unwrap();
    ocellus_models::find(&config).unwrap().shape.unwrap()(&config).unwrap()
}

fn picture((width, height): (u32, u32)) -> Decoded {
    Decoded {
        original: (width, height),
        oriented: (width, height),
        image: Rgb::filled(width, height, [200, 120, 40]),
    }
}

fn same(processor: &PictureProcessor, size: (u32, u32), bounds: PixelBounds) {
    let counted = processor.geometry(size, bounds);
    let prepared = processor.prepare(&picture(size), bounds);
    match (counted, prepared) {
        (Ok(counted), Ok(prepared)) => {
            assert_eq!(counted, prepared.geometry, "{size:?}");
            assert_eq!(
                prepared.patches.dim(0).unwrap(),
                counted.grid.patches(),
                "{size:?}"
            );
        }
        (Err(counted), Err(prepared)) => assert_eq!(counted.to_string(), prepared.to_string()),
        (counted, prepared) => panic!("{size:?}: {counted:?}, but {:?}", prepared.map(|p| p.geometry)),
    }
}

#[test]
fn tokens_are_those_that_the_model_puts_into_a_prompt() {
    for case in CASES {
        let files = TextFiles::Folder(golden(case));
        let weights = Arc::new(Weights::open(&golden(case)).unwrap());
        let source = Rc::new(Frozen::new(weights, Device::Cpu, DType::F32));
        let params = Params::new(source, Precision::F32);
        let model = ocellus_models::load(&files.config().unwrap(), &params).unwrap();
        let of_shape = PictureProcessor::of_shape(&files, &shape(&files)).unwrap();
        let of_model = PictureProcessor::of_model(&files, &*model, None).unwrap();
        for size in [(97, 64), (640, 480), (200, 900)] {
            let counted = of_shape.geometry(size, PixelBounds::default()).unwrap();
            let placeholder = model.generator().unwrap().placeholder(&counted.grid);
            assert_eq!(counted.tokens, placeholder.len(), "{case}: {size:?}");
            let loaded = of_model.geometry(size, PixelBounds::default()).unwrap();
            assert_eq!(
                (loaded.grid, loaded.resized),
                (counted.grid, counted.resized),
                "{case}"
            );
        }
    }
}

/// The file that newer library versions write is read for both.
#[test]
fn a_part_of_the_processor_file_is_read_like_a_file_of_its_own() {
    let own = fs::read_to_string(golden("qwen2_5_vl-end-to-end").join("preprocessor_config.json")).unwrap();
    let config = fs::read(golden("qwen2_5_vl-end-to-end").join("config.json")).unwrap();
    let geometries: Vec<_> = [
        ("preprocessor_config.json", own.clone()),
        ("processor_config.json", format!("{{\"image_processor\": {own}}}")),
    ]
    .into_iter()
    .map(|(name, text)| {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("config.json"), &config).unwrap();
        fs::write(folder.path().join(name), text).unwrap();
        let files = TextFiles::Folder(folder.path().into());
        let processor = PictureProcessor::of_shape(&files, &shape(&files)).unwrap();
        same(&processor, (301, 200), PixelBounds::default());
        processor.geometry((301, 200), PixelBounds::default()).unwrap()
    })
    .collect();
    assert_eq!(geometries[0], geometries[1]);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.json"), &config).unwrap();
    let files = TextFiles::Folder(folder.path().into());
    let without = PictureProcessor::of_shape(&files, &shape(&files)).unwrap();
    let without = without.geometry((301, 200), PixelBounds::default()).unwrap();
    assert_ne!(without.grid, geometries[0].grid, "the files say something");
}

#[test]
fn files_of_different_models_and_contradicting_bounds_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(
        golden("qwen2_5_vl-end-to-end").join("config.json"),
        folder.path().join("config.json"),
    )
    .unwrap();
    fs::write(
        folder.path().join("preprocessor_config.json"),
        r#"{"patch_size": 7}"#,
    )
    .unwrap();
    let files = TextFiles::Folder(folder.path().into());
    let error = PictureProcessor::of_shape(&files, &shape(&files)).unwrap_err();
    assert!(matches!(error, ProcessorError::Patches { .. }), "{error}");

    let files = TextFiles::Folder(golden("qwen2_5_vl-end-to-end"));
    let processor = PictureProcessor::of_shape(&files, &shape(&files)).unwrap();
    let bounds = PixelBounds {
        min_pixels: Some(100_000),
        max_pixels: Some(5_000),
    };
    for error in [
        processor.geometry((64, 64), bounds).unwrap_err(),
        processor.prepare(&picture((64, 64)), bounds).unwrap_err(),
    ] {
        assert!(matches!(error, ProcessorError::PixelBounds { .. }), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn counted_is_computed(width in 1u32..700, height in 1u32..700, max in prop::option::of(3_000u64..300_000)) {
        let bounds = PixelBounds { min_pixels: max.map(|_| 1), max_pixels: max };
        for case in CASES {
            let files = TextFiles::Folder(golden(case));
            same(&PictureProcessor::of_shape(&files, &shape(&files)).unwrap(), (width, height), bounds);
        }
        let files = TextFiles::BuiltIn;
        let strips = PictureProcessor::of_shape(&files, &shape(&files)).unwrap();
        prop_assert!(strips.reads_lines());
        same(&strips, (width, height), bounds);
    }
}
