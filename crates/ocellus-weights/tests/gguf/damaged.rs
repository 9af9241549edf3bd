//! Damaged files: each is refused in one sentence that names the file and says what is wrong.

use ocellus_testkit::gguf::{ARRAY, BOOL, F32, File, TEXT, U32, U64, list, row, text};
use ocellus_weights::Weights;
use proptest::prelude::*;

/// Two tensors of two and three f32.
fn sound() -> File {
    File::new()
        .key("general.architecture", TEXT, text("example"))
        .key("example.block_count", U32, 2u32.to_le_bytes().to_vec())
        .tensor("a.weight", &[2], 0, &[0; 8])
        .tensor("b.weight", &[3, 1], 0, &[0; 12])
}

fn changed(change: impl Fn(&mut File)) -> Vec<u8> {
    let mut file = sound();
    change(&mut file);
    file.bytes()
}

fn refusal(bytes: Vec<u8>) -> String {
    let error = Weights::from_bytes(bytes, "model.gguf").expect_err("the file should be refused");
    error.to_string()
}

#[test]
fn a_sound_file_is_read() {
    for version in [2, 3] {
        let file = File { version, ..sound() };
        let weights = Weights::from_bytes(file.bytes(), "model.gguf").unwrap();
        assert_eq!(weights.names().collect::<Vec<_>>(), ["a.weight", "b.weight"]);
        assert_eq!(weights.view("b.weight").unwrap().shape, [1, 3]);
    }
}

#[test]
fn headers() {
    let huge = 1u64 << 63;
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        (
            "only the magic",
            b"GGUF".to_vec(),
            "the version at byte 4 goes past the end",
        ),
        (
            "version 1",
            changed(|f| f.version = 1),
            "its version is 1, 2 and 3 are read",
        ),
        ("version 4", changed(|f| f.version = 4), "its version is 4"),
        ("big-endian", changed(|f| f.version = 3 << 24), "big-endian"),
        (
            "2^63 tensors",
            changed(|f| f.tensor_count = Some(huge)),
            "more than the 262144 tensors",
        ),
        (
            "2^63 keys",
            changed(|f| f.key_count = Some(huge)),
            "9223372036854775808 keys, more than the 65536",
        ),
        (
            "more tensors than rows",
            {
                let mut file = sound();
                file.tensor_count = Some(3);
                file.header()
            },
            "goes past the end of the file",
        ),
        (
            "a key of 2^63 bytes",
            changed(|f| {
                f.tensors.clear();
                f.keys = vec![(String::new(), u32::MAX, vec![])];
            })[..24]
                .iter()
                .copied()
                .chain(huge.to_le_bytes())
                .collect(),
            "a key at byte 32 goes past the end",
        ),
        (
            "a key that is not UTF-8",
            {
                let mut bytes = sound().bytes();
                bytes[32] = 0xff;
                bytes
            },
            "a key: invalid utf-8",
        ),
        (
            "a key of two lines",
            {
                let mut bytes = sound().bytes();
                bytes[32] = b'\n';
                bytes
            },
            "a key has control characters: `\\neneral.architecture`",
        ),
        (
            "a tensor that colours a terminal",
            File::new().tensor("\x1b[31m", &[2], 0, &[0; 8]).bytes(),
            "the name of a tensor has control characters: `\\u{1b}[31m`",
        ),
        (
            "the same key twice",
            changed(|f| f.keys.push(f.keys[0].clone())),
            "the key `general.architecture` is listed twice",
        ),
        (
            "an unknown type of value",
            changed(|f| f.keys[1].1 = 13),
            "the value of `example.block_count` has the unknown type 13",
        ),
        (
            "a list of 2^63 numbers",
            sound()
                .key("l", ARRAY, [&U64.to_le_bytes()[..], &huge.to_le_bytes()].concat())
                .bytes(),
            "the value of `l` is a list of 9223372036854775808, but",
        ),
        (
            "a list of 2^63 texts",
            sound()
                .key(
                    "l",
                    ARRAY,
                    [&TEXT.to_le_bytes()[..], &huge.to_le_bytes()].concat(),
                )
                .bytes(),
            "the value of `l` is a list of 9223372036854775808, but",
        ),
        (
            "a list of lists",
            sound().key("l", ARRAY, list(ARRAY, &[list(U32, &[])])).bytes(),
            "a list of lists",
        ),
        (
            "alignment 0",
            sound().key("general.alignment", U32, vec![0; 4]).bytes(),
            "`general.alignment` is 0, expected a power of two",
        ),
        (
            "alignment 48",
            sound()
                .key("general.alignment", U32, 48u32.to_le_bytes().to_vec())
                .bytes(),
            "`general.alignment` is 48",
        ),
        (
            "a huge alignment",
            sound()
                .key("general.alignment", U64, huge.to_le_bytes().to_vec())
                .bytes(),
            "`general.alignment` is 9223372036854775808",
        ),
        (
            "alignment in words",
            sound().key("general.alignment", TEXT, text("wide")).bytes(),
            "`general.alignment` is no whole number",
        ),
    ];
    for (what, bytes, expected) in cases {
        let message = refusal(bytes);
        assert!(message.contains(expected), "{what}: {message}");
        assert!(message.contains("model.gguf"), "{what}: {message}");
        assert!(!message.contains('\n'), "{what}: {message}");
    }
}

#[test]
fn tensors() {
    let huge = 1u64 << 63;
    let one = |sides: &[u64], kind: u32, offset: u64| {
        changed(|f| f.tensors = vec![row("a.weight", sides, kind, offset)])
    };
    let two = |other: (&str, &[u64], u64)| {
        changed(|f| f.tensors = vec![row("a.weight", &[2], 0, 0), row(other.0, other.1, 0, other.2)])
    };
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("no dimensions", one(&[], 0, 0), "its shape [] has no elements"),
        (
            "a dimension of zero",
            one(&[2, 0], 0, 0),
            "its shape [0, 2] has no elements",
        ),
        (
            "five dimensions",
            one(&[1, 1, 1, 1, 2], 0, 0),
            "has 5 dimensions, more than the 4",
        ),
        (
            "2^63 elements",
            one(&[huge], 0, 0),
            "of shape [9223372036854775808] has more bytes than can be addressed",
        ),
        (
            "2^64 elements",
            one(&[1 << 32, 1 << 32], 0, 0),
            "has more bytes than can be addressed",
        ),
        (
            "offset after the file",
            one(&[2], 0, 64),
            "lies at bytes 64..72, but the file holds 44",
        ),
        ("a far offset", one(&[2], 0, !31), "lies at bytes"),
        (
            "end after the file",
            one(&[12], 0, 0),
            "lies at bytes 0..48, but the file holds 44",
        ),
        (
            "not aligned",
            one(&[2], 0, 4),
            "byte 4 of the data, which is no multiple of the alignment 32",
        ),
        (
            "overlap",
            two(("b.weight", &[2], 0)),
            "starts at byte 0, before `a.weight` ends at byte 8",
        ),
        (
            "the same name",
            two(("a.weight", &[2], 32)),
            "tensor `a.weight` is listed twice",
        ),
        (
            "data of no tensor",
            one(&[2], 0, 0),
            "36 bytes of data belong to no tensor",
        ),
        (
            "IQ2_XXS",
            one(&[256], 16, 0),
            "stored as IQ2_XXS; the types that are read are F32, F16, Q4_0",
        ),
        ("TQ1_0", one(&[256], 34, 0), "stored as TQ1_0"),
        ("an unknown type", one(&[256], 77, 0), "stored as type 77"),
        (
            "rows that are not whole blocks",
            one(&[48], 8, 0),
            "its rows of 48 elements are not whole blocks of 32 (Q8_0)",
        ),
        (
            "columns instead of rows",
            one(&[3, 256], 12, 0),
            "its rows of 3 elements are not whole blocks of 256 (Q4_K)",
        ),
    ];
    for (what, bytes, expected) in cases {
        let message = refusal(bytes);
        assert!(message.contains(expected), "{what}: {message}");
        assert!(message.contains("model.gguf"), "{what}: {message}");
        assert!(
            message.contains("tensor `") || what == "data of no tensor",
            "{what}: {message}"
        );
    }
}

#[test]
fn files_cut_short_anywhere() {
    let bytes = sound()
        .key("list", ARRAY, list(TEXT, &[text("one"), text("two")]))
        .bytes();
    assert!(Weights::from_bytes(bytes.clone(), "model.gguf").is_ok());
    for end in 4..bytes.len() {
        let message = refusal(bytes[..end].to_vec());
        assert!(message.contains("model.gguf"), "{end}: {message}");
    }
}

#[test]
fn alignment_may_differ() {
    let mut file = File {
        alignment: 64,
        ..File::new()
    }
    .key("general.alignment", U32, 64u32.to_le_bytes().to_vec())
    .tensor("a", &[1], 0, &1.5f32.to_le_bytes())
    .tensor("b", &[1], 0, &2.5f32.to_le_bytes());
    let weights = Weights::from_bytes(file.bytes(), "model.gguf").unwrap();
    assert_eq!(weights.view("b").unwrap().to_f32().unwrap(), [2.5]);
    file.tensors[1].offset = 32;
    assert!(refusal(file.bytes()).contains("no multiple of the alignment 64"));
}

#[test]
fn a_file_of_metadata_alone_is_fine() {
    let weights = Weights::from_bytes(File::new().key("x", BOOL, vec![1]).bytes(), "model.gguf").unwrap();
    assert!(weights.is_empty());
    assert_eq!(weights.gguf().unwrap().flag("x").unwrap(), Some(true));
}

proptest! {
    /// Whatever bytes are changed, opening and reading ends, in an error or in tensors of the right length.
    #[test]
    fn changed_bytes_do_no_harm(changes in prop::collection::vec((0usize..300, any::<u8>()), 1..8)) {
        let mut bytes = sound().key("list", ARRAY, list(F32, &[vec![0; 4]])).bytes();
        for (at, value) in changes {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        if let Ok(weights) = Weights::from_bytes(bytes, "model.gguf") {
            for name in weights.names() {
                let view = weights.view(name).unwrap();
                prop_assert_eq!(view.elements(), view.shape.iter().product::<usize>());
            }
            if let Some(metadata) = weights.gguf() {
                for key in metadata.keys() {
                    let _ = (metadata.text(key), metadata.texts(key), metadata.size(key), metadata.numbers(key));
                }
            }
        }
    }
}
