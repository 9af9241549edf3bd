//! Two slices side by side.

use std::fmt;

/// What a comparison of `got` with `expected` found. Made by [`compare`].
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Number of elements compared.
    pub count: usize,
    /// Largest absolute difference; infinite when one side is not a number and the other is.
    pub max_abs: f64,
    /// Cosine of the angle between the two; 1 when both are all zero, 0 when only one is.
    pub cosine: f64,
    /// The first element out of tolerance.
    pub first: Option<Mismatch>,
    /// How many elements are out of tolerance.
    pub wrong: usize,
}

/// One element out of tolerance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mismatch {
    pub index: usize,
    pub got: f32,
    pub expected: f32,
}

impl Comparison {
    /// True when every element is within tolerance.
    pub fn pass(&self) -> bool {
        self.first.is_none()
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "max_abs {:.3e}, cosine {:.9}", self.max_abs, self.cosine)?;
        let Some(Mismatch { index, got, expected }) = self.first else {
            return Ok(());
        };
        let (wrong, count) = (self.wrong, self.count);
        write!(
            f,
            "; {wrong} of {count} out of tolerance, first at index {index}: got {got}, expected {expected}"
        )
    }
}

/// Compares element by element: within tolerance is `|got - expected| <= atol + rtol * |expected|`.
///
/// Two infinities of one sign are equal, and so are two NaN (a reference that computes NaN is to be met); a number
/// never equals either. Sums are in `f64`.
///
/// # Panics
/// When the lengths differ.
#[track_caller]
pub fn compare(got: &[f32], expected: &[f32], atol: f64, rtol: f64) -> Comparison {
    assert_eq!(
        got.len(),
        expected.len(),
        "compare: got {} values, expected {}",
        got.len(),
        expected.len()
    );
    let mut found = Comparison {
        count: got.len(),
        max_abs: 0.0,
        cosine: 1.0,
        first: None,
        wrong: 0,
    };
    let (mut dot, mut got_square, mut expected_square) = (0.0, 0.0, 0.0);
    for (index, (&got, &expected)) in got.iter().zip(expected).enumerate() {
        let (g, e) = (f64::from(got), f64::from(expected));
        dot += g * e;
        got_square += g * g;
        expected_square += e * e;
        let difference = difference(g, e);
        found.max_abs = found.max_abs.max(difference);
        // An infinite `expected` has infinite slack, hence the second condition.
        if difference > 0.0 && (difference.is_infinite() || difference > atol + rtol * e.abs()) {
            found.wrong += 1;
            found.first = found.first.or(Some(Mismatch { index, got, expected }));
        }
    }
    found.cosine = match (got_square == 0.0, expected_square == 0.0) {
        (true, true) => 1.0,
        (false, false) => dot / (got_square.sqrt() * expected_square.sqrt()),
        _ => 0.0,
    };
    found
}

fn difference(got: f64, expected: f64) -> f64 {
    if got == expected || (got.is_nan() && expected.is_nan()) {
        return 0.0;
    }
    let difference = (got - expected).abs();
    if difference.is_nan() {
        f64::INFINITY
    } else {
        difference
    }
}

/// Fails the test unless every element is within tolerance; `what` names the tensor in the message.
#[track_caller]
pub fn assert_close(what: &str, got: &[f32], expected: &[f32], atol: f64, rtol: f64) {
    assert_eq!(
        got.len(),
        expected.len(),
        "{what}: got {} values, expected {}",
        got.len(),
        expected.len()
    );
    let found = compare(got, expected, atol, rtol);
    assert!(found.pass(), "{what}: {found} (atol {atol:e}, rtol {rtol:e})");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_each;

    const NAN: f32 = f32::NAN;
    const INF: f32 = f32::INFINITY;

    #[test]
    fn tolerance_and_first_mismatch() {
        /// Got, expected, atol, rtol, index of the first mismatch.
        type Row = (Vec<f32>, Vec<f32>, f64, f64, Option<usize>);
        let table: [(&str, Row); 10] = [
            ("equal", (vec![1.0, 2.0], vec![1.0, 2.0], 0.0, 0.0, None)),
            ("empty", (vec![], vec![], 0.0, 0.0, None)),
            ("absolute", (vec![0.5], vec![0.0], 0.5, 0.0, None)),
            (
                "over absolute",
                (vec![0.0, 0.75], vec![0.0, 0.0], 0.5, 0.0, Some(1)),
            ),
            ("relative to expected", (vec![110.0], vec![100.0], 0.0, 0.1, None)),
            (
                "not relative to got",
                (vec![100.0], vec![80.0], 0.0, 0.2, Some(0)),
            ),
            ("both nan", (vec![NAN], vec![NAN], 0.0, 0.0, None)),
            ("one nan", (vec![1.0, NAN], vec![1.0, 0.0], 1e9, 0.0, Some(1))),
            ("same infinity", (vec![INF], vec![INF], 0.0, 0.0, None)),
            ("number for infinity", (vec![1.0], vec![INF], 1.0, 1.0, Some(0))),
        ];
        test_each(table, |(got, expected, atol, rtol, first)| {
            let found = compare(got, expected, *atol, *rtol);
            assert_eq!(found.first.map(|m| m.index), *first, "{found}");
        });
    }

    #[test]
    fn cosine_and_largest_difference() {
        let found = compare(&[3.0, 0.0], &[0.0, 4.0], 0.0, 0.0);
        assert_eq!((found.cosine, found.max_abs, found.wrong), (0.0, 4.0, 2));
        assert_eq!(compare(&[0.0], &[0.0], 0.0, 0.0).cosine, 1.0);
        assert_eq!(compare(&[1.0], &[0.0], 0.0, 0.0).cosine, 0.0);
        assert!((compare(&[1.0, 2.0], &[-2.0, -4.0], 0.0, 0.0).cosine + 1.0).abs() < 1e-12);
    }

    #[test]
    #[should_panic(expected = "logits: max_abs 1.000e0")]
    fn the_message_names_the_tensor() {
        assert_close("logits", &[1.0, 3.0], &[1.0, 2.0], 1e-3, 1e-3);
    }

    #[test]
    #[should_panic(expected = "got 1 values, expected 2")]
    fn lengths_must_agree() {
        compare(&[1.0], &[1.0, 2.0], 0.0, 0.0);
    }
}
