//! Metadata keep their types and are read when they are asked for.

use ocellus_testkit::gguf::{ARRAY, BOOL, F32, File, TEXT, U8, U32, U64, list, text};
use ocellus_weights::Weights;

fn file() -> File {
    let halves = [0.5f32, 1e-6].map(|v| v.to_le_bytes().to_vec());
    File::new()
        .key("text", TEXT, text("naïve"))
        .key("u8", U8, vec![200])
        .key("u64", U64, u64::MAX.to_le_bytes().to_vec())
        .key("i32", 5, (-3i32).to_le_bytes().to_vec())
        .key("f32", F32, 1e-6f32.to_le_bytes().to_vec())
        .key("f64", 12, 0.1f64.to_le_bytes().to_vec())
        .key("flag", BOOL, vec![1])
        .key("odd flag", BOOL, vec![2])
        .key("texts", ARRAY, list(TEXT, &[text(""), text("ä"), text("b")]))
        .key("bytes", ARRAY, list(TEXT, &[vec![1, 0, 0, 0, 0, 0, 0, 0, 0xff]]))
        .key("integers", ARRAY, list(5, &[vec![255; 4], vec![1, 0, 0, 0]]))
        .key("numbers", ARRAY, list(F32, &halves))
        .key("flags", ARRAY, list(BOOL, &[vec![0], vec![1]]))
        .key("nothing", ARRAY, list(U32, &[]))
}

#[test]
fn values_by_their_kind() {
    let weights = Weights::from_bytes(file().bytes(), "m.gguf").unwrap();
    let m = weights.gguf().unwrap();
    assert_eq!(m.text("text").unwrap(), Some("naïve"));
    assert_eq!(m.size("u8").unwrap(), Some(200));
    assert_eq!(m.size("u64").unwrap(), Some(u64::MAX));
    // Not the nearest f32 in seventeen digits.
    assert_eq!(m.number("f32").unwrap(), Some(1e-6));
    assert_eq!(m.number("f64").unwrap(), Some(0.1));
    assert_eq!(m.number("i32").unwrap(), Some(-3.0));
    assert_eq!(m.flag("flag").unwrap(), Some(true));
    assert_eq!(m.texts("texts").unwrap(), Some(vec!["", "ä", "b"]));
    assert_eq!(m.integers("integers").unwrap(), Some(vec![-1, 1]));
    assert_eq!(m.numbers("numbers").unwrap(), Some(vec![0.5, 1e-6]));
    assert_eq!(m.flags("flags").unwrap(), Some(vec![false, true]));
    assert_eq!(m.integers("nothing").unwrap(), Some(vec![]));
    assert_eq!(m.text("absent").unwrap(), None);
    assert_eq!(m.texts("absent").unwrap(), None);
    assert!(m.contains("u8") && !m.contains("absent"));
    assert_eq!(m.keys().count(), 14);
}

#[test]
fn values_of_another_kind_are_errors() {
    let weights = Weights::from_bytes(file().bytes(), "m.gguf").unwrap();
    let m = weights.gguf().unwrap();
    let message = m.size("i32").unwrap_err().to_string();
    assert_eq!(
        message,
        "m.gguf: the metadata `i32` cannot be used: expected a whole number"
    );
    assert!(m.text("u8").is_err());
    assert!(m.text("texts").is_err());
    assert!(m.texts("text").is_err());
    assert!(m.texts("integers").is_err());
    assert!(m.texts("bytes").is_err());
    assert!(m.integers("numbers").is_err());
    assert!(m.integers("texts").is_err());
    assert!(m.flag("odd flag").is_err());
    assert!(m.size("text").is_err());
}
