//! Any bytes as a weight file: every tensor that is named can be viewed and lies inside the file, or the file is refused.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ocellus_weights::Weights;

fuzz_target!(init: ocellus_fuzz::pass_contained(), |bytes: &[u8]| {
    let Ok(weights) = Weights::from_bytes(bytes.to_vec(), "fuzz") else { return };
    for name in weights.names() {
        let view = weights.view(name).expect("a named tensor can be viewed");
        assert_eq!(view.bytes.len(), view.elements() / view.dtype.block_elements() * view.dtype.size_bytes());
        assert!(view.bytes.len() <= bytes.len());
        let _ = view.to_f32();
    }
});
