//! Tensors under other names, put together from others.

use ocellus_testkit::gguf::File;
use ocellus_weights::{Assembly, Dtype, Weights};

fn f32s(values: impl IntoIterator<Item = f32>) -> Vec<u8> {
    values.into_iter().flat_map(f32::to_le_bytes).collect()
}

fn halves(values: impl IntoIterator<Item = f32>) -> Vec<u8> {
    let half = |v| half::f16::from_f32(v).to_le_bytes();
    values.into_iter().flat_map(half).collect()
}

fn count(n: usize) -> impl Iterator<Item = f32> {
    (0..n).map(|i| i as f32)
}

/// A block of 32 times `value`, scale one.
fn block(value: i8) -> Vec<u8> {
    [halves([1.0]), vec![value as u8; 32]].concat()
}

fn weights(file: File, assemblies: &[(&str, Assembly)]) -> ocellus_weights::Result<Weights> {
    let assemblies = assemblies
        .iter()
        .map(|(name, assembly)| (name.to_string(), assembly.clone()));
    Weights::from_bytes(file.bytes(), "m.gguf")?.rebuilt(assemblies.collect())
}

fn values(weights: &Weights, name: &str) -> Vec<f32> {
    weights.view(name).unwrap().to_f32().unwrap()
}

#[test]
fn another_name() {
    let file = File::new()
        .tensor("a", &[2], 0, &f32s([1.0, 2.0]))
        .tensor("b", &[1], 0, &f32s([3.0]));
    let renamed = weights(file.clone(), &[("x", Assembly::As("a".into()))]).unwrap();
    assert_eq!(renamed.names().collect::<Vec<_>>(), ["b", "x"]);
    assert_eq!(values(&renamed, "x"), [1.0, 2.0]);
    assert!(matches!(
        renamed.view("x").unwrap().bytes,
        std::borrow::Cow::Borrowed(_)
    ));
    // Names may change places, but not meet.
    let swapped = [("a", Assembly::As("b".into())), ("b", Assembly::As("a".into()))];
    assert_eq!(values(&weights(file.clone(), &swapped).unwrap(), "a"), [3.0]);
    let taken = weights(file.clone(), &[("b", Assembly::As("a".into()))]).unwrap_err();
    assert!(taken.to_string().contains("`b` is listed twice"), "{taken}");
    let absent = weights(file, &[("x", Assembly::As("c".into()))]).unwrap_err();
    assert!(absent.to_string().contains("no tensor `c`"), "{absent}");
}

#[test]
fn rows_behind_rows() {
    let stacked = |names: &[&str]| Assembly::Stacked(names.iter().map(|n| n.to_string()).collect());
    let file = File::new()
        .tensor("a", &[32, 1], 8, &block(1))
        .tensor("b", &[32, 2], 8, &[block(2), block(3)].concat())
        .tensor("c", &[32, 1], 0, &f32s(count(32)))
        .tensor("v", &[2], 0, &f32s([1.0, 2.0]))
        .tensor("w", &[1], 0, &f32s([3.0]));
    let all = weights(
        file.clone(),
        &[("ab", stacked(&["a", "b"])), ("vw", stacked(&["v", "w"]))],
    )
    .unwrap();
    let view = all.view("ab").unwrap();
    assert_eq!((view.dtype, &view.shape[..]), (Dtype::Q8_0, &[3, 32][..]));
    assert_eq!(view.elements(), 96);
    let rows = view.grouped(1..3).unwrap();
    assert_eq!(
        (rows.rows, rows.cols, rows.values[0], rows.values[32]),
        (2, 32, 130, 131)
    );
    assert_eq!(values(&all, "vw"), [1.0, 2.0, 3.0]);
    assert_eq!(all.len(), 3);
    // Parts of several types become one type.
    let mixed = weights(file.clone(), &[("ac", stacked(&["a", "c"]))]).unwrap();
    let view = mixed.view("ac").unwrap();
    assert_eq!((view.dtype, &view.shape[..]), (Dtype::F32, &[2, 32][..]));
    assert_eq!(view.to_f32().unwrap()[30..34], [1.0, 1.0, 0.0, 1.0]);
    let refused = weights(file, &[("av", stacked(&["a", "v"]))]).unwrap_err();
    assert!(refused.to_string().contains("[[1, 32], [2]]"), "{refused}");
}

#[test]
fn even_rows_first() {
    let assembly = |of: &str, heads| Assembly::EvenRowsFirst { of: of.into(), heads };
    let file = File::new()
        .tensor("m", &[2, 8], 0, &f32s(count(16)))
        .tensor("v", &[4], 0, &f32s(count(4)))
        .tensor("q", &[32, 2], 8, &[block(1), block(2)].concat());
    let turned = weights(
        file.clone(),
        &[
            ("x", assembly("m", 2)),
            ("y", assembly("v", 1)),
            ("z", assembly("q", 1)),
        ],
    )
    .unwrap();
    let rows: Vec<f32> = values(&turned, "x").chunks(2).map(|row| row[0] / 2.0).collect();
    assert_eq!(rows, [0.0, 2.0, 1.0, 3.0, 4.0, 6.0, 5.0, 7.0]);
    assert_eq!(values(&turned, "y"), [0.0, 2.0, 1.0, 3.0]);
    assert_eq!(turned.view("z").unwrap().grouped(0..1).unwrap().values[0], 129);
    for heads in [0, 3, 8, usize::MAX] {
        let refused = weights(file.clone(), &[("x", assembly("m", heads))]).unwrap_err();
        assert!(refused.to_string().contains("heads of an even size"), "{refused}");
    }
}

#[test]
fn frames_between_channels_and_rows() {
    let assembly = Assembly::Frames(vec!["a".into(), "b".into()]);
    let file = |kind, first: Vec<u8>, second: Vec<u8>| {
        File::new()
            .tensor("a", &[1, 2, 3, 2], kind, &first)
            .tensor("b", &[1, 2, 3, 2], kind, &second)
    };
    let (a, b) = (|| count(12), || count(12).map(|v| v + 100.0));
    let expected: Vec<f32> = (0..6)
        .flat_map(|channel| [0, 100].map(|frame| frame + 2 * channel))
        .flat_map(|first| [first as f32, first as f32 + 1.0])
        .collect();
    for file in [file(0, f32s(a()), f32s(b())), file(1, halves(a()), halves(b()))] {
        let made = weights(file, &[("x", assembly.clone())]).unwrap();
        assert_eq!(made.view("x").unwrap().shape, [2, 3, 2, 2, 1]);
        assert_eq!(values(&made, "x"), expected);
    }
}

#[test]
fn several_files_are_one_model() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (dir.path().join("one.gguf"), dir.path().join("two.gguf"));
    std::fs::write(&one, File::new().tensor("a", &[1], 0, &f32s([1.0])).bytes()).unwrap();
    std::fs::write(&two, File::new().tensor("b", &[1], 0, &f32s([2.0])).bytes()).unwrap();
    let both = Weights::from_files(&[&one, &two]).unwrap();
    assert_eq!((values(&both, "a"), values(&both, "b")), (vec![1.0], vec![2.0]));
    assert!(both.name().ends_with("one.gguf"));
    let twice = Weights::from_files(&[&one, &one]).unwrap_err();
    assert!(twice.to_string().contains("`a` is listed twice"), "{twice}");
}
