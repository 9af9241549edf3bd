//! Any bytes as the index of shards beside one good shard, and as a small array file of regions: what is named can be viewed, or the
//! file is refused in one line.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ocellus_fuzz::Folder;
use ocellus_weights::{Dtype, Regions, Weights, encode};
use std::collections::BTreeMap;

fuzz_target!(init: ocellus_fuzz::pass_contained(), |bytes: &[u8]| {
    let tensor = ("a".to_string(), Dtype::F32, vec![1], vec![0; 4]);
    let shard = encode(&[tensor], &BTreeMap::new()).expect("a small file");
    for index in ["model.safetensors.index.json", "pytorch_model.bin.index.json"] {
        let folder = Folder::with(&[(index, bytes), ("s.safetensors", &shard)]);
        match Weights::open(folder.path()) {
            Ok(weights) => {
                for name in weights.names() {
                    assert!(weights.view(name).expect("a named tensor can be viewed").bytes.len() <= 4);
                }
            }
            Err(error) => assert!(!error.to_string().contains('\n'), "{error}"),
        }
    }
    let _ = Regions::from_bytes(bytes.to_vec(), "fuzz.npz", 4);
});
