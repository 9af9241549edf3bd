//! Who runs when, and where the results go.

use std::path::{Path, PathBuf};

use super::list::Side;

/// Everybody once. Those with weights of about the same width run one after another, ours first in odd rounds and
/// last in even ones, so that nobody always meets the same moment of a round.
pub fn order(sides: &[Side], round: u32) -> Vec<&Side> {
    let mut all: Vec<&Side> = sides.iter().collect();
    // A stable sort: inside a width the order of the list stays.
    all.sort_by_key(|side| (std::cmp::Reverse(side.bits), !side.is_ours()));
    if round.is_multiple_of(2) {
        for width in all.chunk_by_mut(|a, b| a.bits == b.bits) {
            width.reverse();
        }
    }
    all
}

/// The first of `name`, `name-2`, `name-3`, … that is not there yet: a run never writes over another.
pub fn free_folder(runs: &Path, name: &str) -> PathBuf {
    let later = (2..).map(|n: u32| runs.join(format!("{name}-{n}")));
    std::iter::once(runs.join(name))
        .chain(later)
        .find(|folder| !folder.exists())
        .expect("there are more numbers than folders")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_runs_once_a_round_among_equals() {
        let side = |name: &str, weights: &str, bits| Side {
            name: name.into(),
            weights: weights.into(),
            bits,
            ..Side::default()
        };
        let sides = [
            side("ocellus", "bf16", 16),
            side("ocellus", "q8", 8),
            side("a", "bf16", 16),
            side("b", "int8", 8),
            side("c", "q8_0", 8),
        ];
        let labels = |round| -> Vec<String> { order(&sides, round).iter().map(|s| s.label()).collect() };
        let odd = ["ocellus bf16", "a bf16", "ocellus q8", "b int8", "c q8_0"];
        assert_eq!(labels(1), odd);
        assert_eq!(labels(3), odd);
        assert_eq!(
            labels(2),
            ["a bf16", "ocellus bf16", "c q8_0", "b int8", "ocellus q8"]
        );
    }

    #[test]
    fn a_folder_that_is_there_is_left_alone() {
        let xtask = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(free_folder(&xtask, "srcs"), xtask.join("srcs"));
        assert_eq!(free_folder(&xtask, "src"), xtask.join("src-2"));
    }
}
