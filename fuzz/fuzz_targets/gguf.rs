//! Any bytes as a GGUF file: every tensor that is named can be viewed, unpacked and is no larger than the file, every key can be
//! asked for, or the file is refused in one line.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ocellus_weights::Weights;

fuzz_target!(init: ocellus_fuzz::pass_contained(), |bytes: &[u8]| {
    let mut file = b"GGUF\x03\0\0\0".to_vec();
    file.extend_from_slice(bytes);
    let file_bytes = file.len();
    let weights = match Weights::from_bytes(file, "fuzz.gguf") {
        Ok(weights) => weights,
        Err(error) => {
            assert!(!error.to_string().contains('\n'));
            return;
        }
    };
    for name in weights.names() {
        let view = weights.view(name).expect("a named tensor can be viewed");
        assert!(view.bytes.len() <= file_bytes);
        let rows = view.shape[0];
        let values = view.to_f32().expect("every type that is read has values");
        assert_eq!(values.len(), view.elements());
        if let Some(grouped) = view.grouped(0..rows) {
            assert_eq!(grouped.values.len(), values.len());
        }
    }
    let metadata = weights.gguf().expect("the file begins as one with metadata");
    for key in metadata.keys() {
        let _ = (metadata.text(key), metadata.size(key), metadata.number(key), metadata.flag(key));
        let _ = (metadata.texts(key), metadata.integers(key), metadata.numbers(key), metadata.flags(key));
    }
});
