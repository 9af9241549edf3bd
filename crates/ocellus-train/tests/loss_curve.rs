//! Twenty steps from a random start give the losses that they always gave.
//!
//! The golden file is under `tests/goldens/train-20-steps`; its README says when it may be written anew, and how.

use ocellus_train::Trainer;
use serde_json::{Value, json};
use std::path::PathBuf;

mod tiny;

const SERIES: [&str; 4] = ["loss", "frame_loss", "guide_loss", "gradient_norm"];
/// Sums are taken in another order by processors with other vectors, and twenty steps let the difference grow.
const TOLERANCE: f64 = 2e-3;

fn golden() -> PathBuf {
    tiny::repository().join("tests/goldens/train-20-steps/losses.json")
}

/// The four series over a run of the recipe.
fn train(name: &str) -> [Vec<f64>; 4] {
    let recipe = tiny::recipe(&tiny::folder(name));
    let mut trainer = Trainer::new(recipe, None).unwrap();
    let mut series: [Vec<f64>; 4] = Default::default();
    for _ in 0..trainer.recipe().optimiser.steps {
        let report = trainer.step().unwrap();
        let values = [
            report.loss,
            report.frame_loss,
            report.guide_loss,
            report.gradient_norm,
        ];
        series.iter_mut().zip(values).for_each(|(s, v)| s.push(v));
    }
    series
}

#[test]
fn losses_are_the_golden_ones() {
    let text = std::fs::read_to_string(golden()).expect("the golden file is there");
    let expected: Value = serde_json::from_str(&text).expect("the golden file is JSON");
    let found = train("loss-curve");
    for (name, found) in SERIES.iter().zip(&found) {
        let expected: Vec<f64> = serde_json::from_value(expected[*name].clone()).expect("a list of numbers");
        assert_eq!(found.len(), expected.len(), "{name}");
        for (step, (found, expected)) in found.iter().zip(&expected).enumerate() {
            assert!(
                (found - expected).abs() <= TOLERANCE * expected.abs(),
                "{name} at step {step} is {found}, expected {expected}"
            );
        }
    }
    let loss = &found[0];
    assert!(loss[19] < 0.8 * loss[0], "the loss falls: {loss:?}");
}

#[test]
#[ignore = "writes the golden file"]
fn regenerate() {
    let found = train("loss-curve-regenerate");
    let rounded = found.map(|s| s.into_iter().map(|v| (v * 1e6).round() / 1e6).collect::<Vec<_>>());
    let object: Value = SERIES
        .iter()
        .zip(rounded)
        .map(|(name, series)| ((*name).to_owned(), json!(series)))
        .collect();
    let text = serde_json::to_string_pretty(&object).expect("numbers are JSON");
    std::fs::write(golden(), text + "\n").expect("the golden file can be written");
}
