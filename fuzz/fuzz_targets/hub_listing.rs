//! Any bytes as a hub's list of files: names that may be stored, checksums and a commit, or it is refused in one line.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(init: ocellus_fuzz::pass_contained(), |bytes: &[u8]| {
    for list in ocellus_hub::fuzzing::listings(bytes) {
        match list {
            Ok((commit, names)) => {
                assert_eq!(commit.len(), 40);
                for name in names {
                    assert!(!name.split(['/', '\\']).any(|part| part == ".." || part.is_empty()), "{name:?}");
                }
            }
            Err(error) => assert!(!error.to_string().contains('\n'), "{error}"),
        }
    }
});
