//! Files of regions: as numpy and as safetensors save them, and everything that can be wrong with one.

use std::collections::BTreeMap;
use std::io::{Cursor, Write};
use std::path::PathBuf;

use ocellus_weights::{Dtype, Regions, RegionsError, TensorBytes, encode, f32_bytes, i64_bytes};
use proptest::prelude::*;
use zip::write::SimpleFileOptions;

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/goldens/regions")
        .join(name)
}

/// What `tools/reference/regions_numpy.py` writes.
fn expected() -> Regions {
    Regions {
        features: (0..12).map(|at| at as f32 / 8.0 - 0.5).collect(),
        features_width: 4,
        boxes: vec![
            [0.0, 0.0, 64.0, 48.0],
            [1.5, 2.25, 30.0, 40.0],
            [10.0, 10.0, 10.0, 20.0],
        ],
        image_width: 64.0,
        image_height: 48.0,
        scores: Some(vec![1.0, 0.5, 0.25]),
    }
}

fn floats(name: &str, shape: &[usize], values: &[f32]) -> TensorBytes {
    (
        name.into(),
        Dtype::F32,
        shape.to_vec(),
        f32_bytes(values, Dtype::F32).unwrap(),
    )
}

fn tensors() -> Vec<TensorBytes> {
    let regions = expected();
    vec![
        floats("features", &[3, 4], &regions.features),
        floats("boxes", &[3, 4], &regions.boxes.concat()),
        ("size".into(), Dtype::I64, vec![2], i64_bytes(&[64, 48])),
        floats("confidence", &[3], &[1.0, 0.5, 0.25]),
    ]
}

fn read(tensors: &[TensorBytes]) -> Result<Regions, RegionsError> {
    Regions::from_bytes(encode(tensors, &BTreeMap::new()).unwrap(), "r.safetensors", 4)
}

#[test]
fn numpy_archives_stored_and_packed() {
    for file in ["stored.npz", "packed.npz"] {
        let regions = Regions::from_file(golden(file), 4).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(regions, expected(), "{file}");
        assert_eq!((regions.len(), regions.is_empty()), (3, false));
    }
}

#[test]
fn safetensors_of_the_same_names() {
    assert_eq!(read(&tensors()).unwrap(), expected());
    // Sizes as two numbers, boxes in whole pixels, doubles, no scores.
    let boxes: Vec<i64> = vec![0, 0, 64, 48, 1, 2, 30, 40, 10, 10, 10, 20];
    let features: Vec<u8> = expected()
        .features
        .iter()
        .flat_map(|v| f64::from(*v).to_le_bytes())
        .collect();
    let regions = read(&[
        ("features".into(), Dtype::F64, vec![3, 4], features),
        ("boxes".into(), Dtype::I64, vec![3, 4], i64_bytes(&boxes)),
        floats("width", &[1], &[64.0]),
        floats("height", &[], &[48.0]),
    ])
    .unwrap();
    assert_eq!(regions.features, expected().features);
    assert_eq!((regions.boxes[1], regions.scores), ([1.0, 2.0, 30.0, 40.0], None));
    assert_eq!((regions.image_width, regions.image_height), (64.0, 48.0));
}

#[test]
fn every_fault_in_one_sentence() {
    let nan = f32::NAN;
    let mut features = expected().features;
    features[5] = nan;
    let boxes = |first: [f32; 4]| {
        let mut boxes = expected().boxes;
        boxes[0] = first;
        floats("boxes", &[3, 4], &boxes.concat())
    };
    // The array that takes the place of the one of its name, or drops it; what the message says.
    for (name, array, message) in [
        (
            "features",
            None,
            "r.safetensors lacks the array `features`: found `boxes`, `confidence`, `size`",
        ),
        (
            "boxes",
            None,
            "lacks the array `boxes`: found `confidence`, `features`, `size`",
        ),
        (
            "size",
            None,
            "lacks the array `size` (or `width` and `height`, or `image_w` and `image_h`)",
        ),
        (
            "size",
            Some(floats("image_h", &[], &[48.0])),
            "lacks the array `image_w`",
        ),
        (
            "size",
            Some(floats("size", &[3], &[64.0, 48.0, 3.0])),
            "array `size`: expected width and height, found the shape [3]",
        ),
        (
            "size",
            Some(floats("size", &[2], &[64.0, 0.0])),
            "expected a picture of at least 1 x 1 px, found 64 x 0 px",
        ),
        (
            "size",
            Some(floats("size", &[2], &[nan, 48.0])),
            "found NaN x 48 px",
        ),
        (
            "features",
            Some(floats("features", &[12], &[0.0; 12])),
            "array `features`: expected [regions, numbers], found the shape [12]",
        ),
        (
            "features",
            Some(floats("features", &[3, 2], &[0.0; 6])),
            "the model takes feature vectors of 4 numbers, found 2",
        ),
        (
            "features",
            Some(floats("features", &[0, 4], &[])),
            "expected 1 to 4096 regions, found 0",
        ),
        (
            "features",
            Some(floats("features", &[4097, 4], &vec![0.0; 4097 * 4])),
            "expected 1 to 4096 regions, found 4097",
        ),
        (
            "features",
            Some(floats("features", &[2, 4], &[0.0; 8])),
            "2 feature vectors, but 3 boxes: expected one of each per region",
        ),
        (
            "features",
            Some(floats("features", &[3, 4], &features)),
            "array `features`, region 1: expected finite numbers, found NaN",
        ),
        (
            "boxes",
            Some(floats("boxes", &[4, 3], &[0.0; 12])),
            "array `boxes`: expected [regions, 4], found the shape [4, 3]",
        ),
        (
            "boxes",
            Some(boxes([0.0, f32::INFINITY, 1.0, 1.0])),
            "array `boxes`, region 0: expected finite numbers, found inf",
        ),
        (
            "boxes",
            Some(boxes([0.0, 0.0, 64.5, 48.0])),
            "region 0: the box [0.0, 0.0, 64.5, 48.0] lies outside the picture of 64 x 48 px",
        ),
        (
            "boxes",
            Some(boxes([-1.0, 0.0, 4.0, 4.0])),
            "lies outside the picture",
        ),
        (
            "boxes",
            Some(boxes([5.0, 0.0, 4.0, 4.0])),
            "region 0: expected x1 <= x2 and y1 <= y2, found the box [5.0, 0.0, 4.0, 4.0]",
        ),
        (
            "confidence",
            Some(floats("scores", &[2], &[1.0; 2])),
            "3 feature vectors, but 2 scores",
        ),
        (
            "confidence",
            Some(floats("confidence", &[3, 2], &[1.0; 6])),
            "array `confidence`: expected [regions], found the shape [3, 2]",
        ),
        (
            "confidence",
            Some(floats("confidence", &[3], &[1.0, nan, 1.0])),
            "array `confidence`, region 1",
        ),
    ] {
        let mut changed = tensors();
        changed.retain(|tensor| tensor.0 != name);
        changed.extend(array);
        let error = read(&changed).expect_err(message).to_string();
        assert!(
            error.starts_with("r.safetensors") && error.contains(message),
            "{error}"
        );
        assert!(!error.contains('\n'), "{error}");
    }
    // Rounding is no fault.
    let mut rounded = tensors();
    rounded[1] = boxes([-0.001, 0.0, 64.000_01, 48.0]);
    assert!(read(&rounded).is_ok());
}

#[test]
fn files_of_other_kinds() {
    for (bytes, message) in [
        (&b"region 1: a cat, with a long tail"[..], "r: "),
        (
            &[],
            "r holds no regions: expected a .npz archive or a safetensors file",
        ),
        (&b"PK\x03\x04 and then nothing of an archive"[..], "r is damaged"),
    ] {
        let error = Regions::from_bytes(bytes.to_vec(), "r", 4)
            .unwrap_err()
            .to_string();
        assert!(error.contains(message) || error.starts_with("r "), "{error}");
    }
    let objects = Regions::from_file(golden("objects.npz"), 4)
        .unwrap_err()
        .to_string();
    assert!(
        objects.contains("array `features`: expected numbers, found Python objects"),
        "{objects}"
    );
    let single = Regions::from_file(golden("single.npy"), 4)
        .unwrap_err()
        .to_string();
    assert!(single.contains("found a single numpy array"), "{single}");
    let missing = Regions::from_file(golden("none.npz"), 4).unwrap_err();
    assert!(matches!(missing, RegionsError::Io { .. }), "{missing}");
}

/// An archive that unpacks to far more than it is long.
#[test]
fn a_bomb_is_refused_before_it_is_unpacked() {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let packed = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    archive.start_file("features.npy", packed).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..65 {
        archive.write_all(&zeros).unwrap();
    }
    let bytes = archive.finish().unwrap().into_inner();
    assert!(bytes.len() < 1 << 20);
    let error = Regions::from_bytes(bytes, "bomb.npz", 4).unwrap_err().to_string();
    assert!(
        error.contains("array `features`: it is longer than the 67108864 bytes"),
        "{error}"
    );
}

proptest! {
    /// Damage anywhere is read or refused; it never ends the program.
    #[test]
    fn damaged_archives_do_no_harm(at in any::<prop::sample::Index>(), byte: u8, cut in any::<prop::sample::Index>()) {
        for file in ["stored.npz", "packed.npz"] {
            let sound = std::fs::read(golden(file)).unwrap();
            let mut damaged = sound.clone();
            damaged[at.index(sound.len())] = byte;
            let _ = Regions::from_bytes(damaged, "r", 4);
            let _ = Regions::from_bytes(sound[..cut.index(sound.len())].to_vec(), "r", 4);
        }
    }
}
