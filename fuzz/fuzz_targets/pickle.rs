//! Any bytes as a torch checkpoint, as a whole file and as the pickle of an archive: every tensor that is named can be viewed
//! and is no larger than the file, or the file is refused in one line.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ocellus_weights::Weights;

fuzz_target!(init: ocellus_fuzz::pass_contained(), |bytes: &[u8]| {
    check(bytes.to_vec());
    check(archive(bytes));
});

fn check(bytes: Vec<u8>) {
    let file_bytes = bytes.len();
    match Weights::from_bytes(bytes, "fuzz.pth") {
        Ok(weights) => {
            for name in weights.names() {
                let view = weights.view(name).expect("a named tensor can be viewed");
                assert_eq!(view.bytes.len(), view.elements() / view.dtype.block_elements() * view.dtype.size_bytes());
                assert!(view.bytes.len() <= file_bytes);
                let _ = view.to_f32();
            }
        }
        Err(error) => assert!(!error.to_string().contains('\n')),
    }
}

/// A zip archive that stores `pickle` as `x/data.pkl` and 64 bytes as `x/data/0`.
fn archive(pickle: &[u8]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, data) in [("x/data.pkl", pickle), ("x/data/0", &[1; 64])] {
        let (header, size) = ((bytes.len() as u32).to_le_bytes(), (data.len() as u32).to_le_bytes());
        let length = (name.len() as u16).to_le_bytes();
        bytes.extend([&b"PK\x03\x04"[..], &[0; 14], &size, &size, &length, &[0; 2], name.as_bytes(), data].concat());
        directory.extend(
            [&b"PK\x01\x02"[..], &[0; 16], &size, &size, &length, &[0; 12], &header, name.as_bytes()].concat(),
        );
    }
    let (start, size) = ((bytes.len() as u32).to_le_bytes(), (directory.len() as u32).to_le_bytes());
    bytes.extend(directory);
    bytes.extend([&b"PK\x05\x06\0\0\0\0\x02\0\x02\0"[..], &size, &start, &[0; 2]].concat());
    bytes
}
