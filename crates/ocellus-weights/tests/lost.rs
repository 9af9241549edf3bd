//! Files that are cut off while they are mapped: an error of this file, and neither the end of the process nor of other files.
#![cfg(unix)]

use ocellus_testkit::test_each;
use ocellus_weights::{Dtype, Weights, WeightsError, write};
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

const ROWS: usize = 64;
const COLUMNS: usize = 4096;

fn written(path: &Path, name: &str) {
    let values = vec![7u8; ROWS * COLUMNS];
    let tensor = (name.to_owned(), Dtype::U8, vec![ROWS, COLUMNS], values);
    write(path, &[tensor], &BTreeMap::new()).unwrap();
}

fn cut(path: &Path, bytes: u64) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(bytes).unwrap();
}

fn is_lost(weights: &Weights, path: &Path) -> bool {
    matches!(weights.intact(), Err(WeightsError::Lost { file }) if file == path)
}

#[test]
fn a_file_that_is_cut_off_reads_as_zeros_and_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole.safetensors");
    written(&whole, "w");
    let other = Weights::from_file(&whole).unwrap();
    // What stays of the file, and the first row that is lost.
    let table = [
        ("nothing", (0, 0)),
        ("one page", (4096, 2)),
        ("most of it", (200_000, 60)),
    ];
    test_each(table, |&(bytes, first_lost)| {
        let path: PathBuf = folder.path().join("cut.safetensors");
        written(&path, "w");
        let weights = Weights::from_file(&path).unwrap();
        weights.intact().unwrap();
        cut(&path, bytes);
        weights.intact().unwrap();
        let view = weights.view("w").unwrap();
        let rows: Vec<_> = view.bytes.chunks(COLUMNS).collect();
        assert!(
            rows[first_lost..]
                .iter()
                .all(|row| row.iter().all(|byte| *byte == 0))
        );
        assert!(is_lost(&weights, &path));
        // Other maps, before and after, are as they were; the place of a map that is gone is used again.
        other.intact().unwrap();
        assert!(other.view("w").unwrap().bytes.iter().all(|byte| *byte == 7));
        drop(weights);
        written(&path, "w");
        let again = Weights::from_file(&path).unwrap();
        assert!(again.view("w").unwrap().bytes.iter().all(|byte| *byte == 7));
        again.intact().unwrap();
    });
}

#[test]
fn of_several_files_the_one_is_named_and_threads_may_read_it_together() {
    let folder = tempfile::tempdir().unwrap();
    let paths = ["a", "b", "c"].map(|name| folder.path().join(format!("{name}.safetensors")));
    for (path, name) in paths.iter().zip(["a", "b", "c"]) {
        written(path, name);
    }
    let weights = Weights::from_files(&paths).unwrap();
    cut(&paths[1], 100);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for name in ["c", "b", "a"] {
                    let sum: u64 = weights
                        .view(name)
                        .unwrap()
                        .bytes
                        .iter()
                        .map(|byte| u64::from(*byte))
                        .sum();
                    assert_eq!(sum == (7 * ROWS * COLUMNS) as u64, name != "b");
                }
            });
        }
    });
    assert!(is_lost(&weights, &paths[1]));
}
