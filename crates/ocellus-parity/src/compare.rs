//! Comparison of expected and produced tensors, one row per tensor.

use crate::array::{Array, Values};
use ocellus_session::Quant;

/// The verdict on one tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub name: String,
    /// The expected shape.
    pub shape: Vec<usize>,
    /// Largest absolute difference; `None` when the shapes differ or nothing was produced.
    pub max_abs: Option<f64>,
    pub cosine: Option<f64>,
    pub pass: bool,
    /// Why it failed.
    pub note: Option<String>,
}

/// The row of a tensor that the program did not produce.
pub fn missing(name: &str, expected: &Array) -> Row {
    refused(name, expected, "not produced".to_owned())
}

fn refused(name: &str, expected: &Array, note: String) -> Row {
    Row {
        name: name.to_owned(),
        shape: expected.shape.clone(),
        max_abs: None,
        cosine: None,
        pass: false,
        note: Some(note),
    }
}

/// Floats pass within `atol + rtol · |expected|`; where either side is integers they must be equal.
///
/// Two infinities of one sign are equal, and two NaN; a number never equals either.
pub fn compare(name: &str, expected: &Array, got: &Array, atol: f64, rtol: f64) -> Row {
    if got.shape != expected.shape {
        return refused(name, expected, format!("produced as {:?}", got.shape));
    }
    let floats = matches!(
        (&expected.values, &got.values),
        (Values::Float(_), Values::Float(_))
    );
    let (atol, rtol) = if floats { (atol, rtol) } else { (0.0, 0.0) };
    let (mut max_abs, mut wrong, mut first) = (0.0f64, 0usize, None);
    let (mut dot, mut got_square, mut expected_square) = (0.0, 0.0, 0.0);
    for index in 0..expected.len() {
        let (g, e) = (got.get(index), expected.get(index));
        dot += g * e;
        got_square += g * g;
        expected_square += e * e;
        let difference = difference(g, e);
        max_abs = max_abs.max(difference);
        // An infinite expectation would have infinite slack, hence the first condition.
        if difference.is_infinite() || difference > atol + rtol * e.abs() {
            wrong += 1;
            first.get_or_insert((index, g, e));
        }
    }
    let cosine = match (got_square == 0.0, expected_square == 0.0) {
        (true, true) => 1.0,
        (false, false) => dot / (got_square.sqrt() * expected_square.sqrt()),
        _ => 0.0,
    };
    let note = first.map(|(index, g, e)| {
        let place = place(index, &expected.shape);
        format!(
            "{wrong} of {} out of tolerance, first at {place:?}: got {g}, expected {e}",
            expected.len()
        )
    });
    Row {
        name: name.to_owned(),
        shape: expected.shape.clone(),
        max_abs: Some(max_abs),
        cosine: Some(cosine),
        pass: wrong == 0,
        note,
    }
}

/// The verdict on results computed with rounded weights: the relative root mean square error may be as large as the width allows.
/// Tokens chosen by scores, and what follows from them, are shown but not judged, since a small difference may select another
/// token. Other integers must be equal.
///
/// Some random models amplify rounding errors, most of all attention without a scale. `bf16` supplies the results of the same
/// case in bf16 where that matters: a width may then have an error larger in proportion to its coarser steps.
pub fn rounded<'a>(
    name: &str,
    expected: &Array,
    got: &Array,
    width: Quant,
    bf16: impl FnOnce() -> Option<&'a Array>,
) -> Row {
    let decided = decided(name);
    if decided || got.shape != expected.shape {
        let row = compare(name, expected, got, 0.0, 0.0);
        let pass = decided;
        return Row { pass, ..row };
    }
    let row = compare(name, expected, got, f64::MAX, 0.0);
    let Some(error) = relative(expected, got) else {
        return compare(name, expected, got, 0.0, 0.0);
    };
    let mut bound = bound(width);
    if error > bound {
        let magnified = bf16().and_then(|bf16| relative(expected, bf16));
        // An error too large for bf16 itself excuses nothing.
        let magnified = magnified.filter(|error| *error <= self::bound(Quant::Bf16));
        bound = bound.max(coarser(width) * magnified.unwrap_or(0.0));
    }
    let pass = error <= bound;
    let note = (!pass).then(|| format!("relative error {error:.4}, at most {bound:.4}"));
    Row { pass, note, ..row }
}

/// The root mean square of the differences divided by that of the expected values; `None` for integers or different shapes.
fn relative(expected: &Array, got: &Array) -> Option<f64> {
    let floats = matches!(
        (&expected.values, &got.values),
        (Values::Float(_), Values::Float(_))
    );
    if !floats || expected.shape != got.shape {
        return None;
    }
    let (mut apart, mut size) = (0.0, 0.0);
    for index in 0..expected.len() {
        let (g, e) = (got.get(index), expected.get(index));
        if e.is_finite() {
            apart += (g - e) * (g - e);
            size += e * e;
        }
    }
    Some(if apart == 0.0 { 0.0 } else { (apart / size).sqrt() })
}

/// Whether a row is about tokens that scores decided, or about what follows from them.
pub fn decided(name: &str) -> bool {
    ["greedy", "beam", "answer", "step_"]
        .iter()
        .any(|word| name.contains(word))
}

/// The relative error against f32 that a width may have on a random model, which is less robust than a trained one.
fn bound(width: Quant) -> f64 {
    match width {
        Quant::F32 => 1e-4,
        Quant::Bf16 => 0.04,
        Quant::Q8 => 0.1,
        Quant::Q6 => 0.2,
        Quant::Q4 => 0.6,
    }
}

/// How many times as coarse as bf16 a width may be. For normally distributed values, rounding to 127 steps of the largest of a
/// hundred has an error of 0.6 % of their root mean square, rounding to bf16 0.1 %.
fn coarser(width: Quant) -> f64 {
    match width {
        Quant::F32 | Quant::Bf16 => 0.0,
        Quant::Q8 => 6.0,
        Quant::Q6 => 10.0,
        Quant::Q4 => 15.0,
    }
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

/// The coordinates of the value at `index`.
fn place(index: usize, shape: &[usize]) -> Vec<usize> {
    let (mut rest, mut place) = (index, vec![0; shape.len()]);
    for (coordinate, side) in place.iter_mut().zip(shape).rev() {
        *coordinate = rest % side;
        rest /= side;
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(values: &[f32]) -> Array {
        Array::floats([values.len()], values.to_vec())
    }

    fn integers(values: &[i64]) -> Array {
        Array::integers([values.len()], values.to_vec())
    }

    #[test]
    fn rounded_weights_have_a_bound_of_their_own_and_tokens_are_not_judged() {
        let expected = floats(&[10.0, -10.0, 0.0]);
        let nan = f32::NAN;
        for (name, got, width, bf16, pass) in [
            ("logits", [10.3, -10.0, 0.0], Quant::Bf16, None, true),
            ("logits", [11.0, -10.0, 0.0], Quant::Bf16, None, false),
            ("logits", [11.0, -10.0, 0.0], Quant::Q8, None, true),
            ("logits", [12.0, -10.0, 0.0], Quant::Q8, None, false),
            ("logits", [nan, -10.0, 0.0], Quant::Q4, None, false),
            ("greedy_margin", [0.0, 0.0, 0.0], Quant::Q8, None, true),
            ("step_logits", [0.0, 0.0, 0.0], Quant::Q8, None, true),
            // Six times 3.5 % is more than 14 %, six times 0.7 % is not; 7 % fails in bf16 itself, and so does NaN.
            ("logits", [12.0, -10.0, 0.0], Quant::Q8, Some(10.5), true),
            ("logits", [12.0, -10.0, 0.0], Quant::Q8, Some(10.1), false),
            ("logits", [12.0, -10.0, 0.0], Quant::Q8, Some(11.0), false),
            ("logits", [12.0, -10.0, 0.0], Quant::Q8, Some(nan), false),
            ("logits", [nan, -10.0, 0.0], Quant::Q8, Some(10.5), false),
        ] {
            let bf16 = bf16.map(|first| floats(&[first, -10.0, 0.0]));
            let row = rounded(name, &expected, &floats(&got), width, || bf16.as_ref());
            assert_eq!(row.pass, pass, "{name} {got:?} {width:?} {bf16:?}: {row:?}");
        }
        for (name, pass) in [("position_ids", false), ("greedy_ids", true)] {
            let row = rounded(name, &integers(&[1, 2]), &integers(&[1, 3]), Quant::Q4, || None);
            assert_eq!(row.pass, pass, "{name}");
        }
        assert!(!rounded("logits", &expected, &floats(&[1.0]), Quant::Q4, || None).pass);
    }

    #[test]
    fn floats_pass_within_absolute_plus_relative_tolerance() {
        let (nan, inf) = (f32::NAN, f32::INFINITY);
        for (what, got, expected, atol, rtol, pass) in [
            ("equal", [1.0, 2.0], [1.0, 2.0], 0.0, 0.0, true),
            ("absolute", [0.0, 0.5], [0.0, 0.0], 0.5, 0.0, true),
            ("over absolute", [0.0, 0.75], [0.0, 0.0], 0.5, 0.0, false),
            (
                "relative to the expected",
                [0.0, 112.5],
                [0.0, 100.0],
                0.0,
                0.125,
                true,
            ),
            (
                "not relative to the produced",
                [0.0, 100.0],
                [0.0, 80.0],
                0.0,
                0.125,
                false,
            ),
            ("both together", [0.0, 113.0], [0.0, 100.0], 0.5, 0.125, true),
            ("one is not a number", [0.0, nan], [0.0, 0.0], 1e9, 1e9, false),
            ("neither is a number", [0.0, nan], [0.0, nan], 0.0, 0.0, true),
            ("a number for infinity", [0.0, 1.0], [0.0, inf], 1.0, 1.0, false),
        ] {
            assert_eq!(
                compare("x", &floats(&expected), &floats(&got), atol, rtol).pass,
                pass,
                "{what}"
            );
        }
    }

    #[test]
    fn integers_are_equal_whatever_the_tolerance() {
        assert!(compare("x", &integers(&[1, 2]), &integers(&[1, 2]), 0.0, 0.0).pass);
        assert!(!compare("x", &integers(&[1, 2]), &integers(&[1, 3]), 9.0, 9.0).pass);
        assert!(compare("x", &integers(&[1, 2]), &floats(&[1.0, 2.0]), 0.0, 0.0).pass);
        assert!(!compare("x", &integers(&[1, 2]), &floats(&[1.0, 2.25]), 9.0, 9.0).pass);
    }

    #[test]
    fn shapes_are_part_of_the_value() {
        let flat = floats(&[1.0, 2.0]);
        let row = compare("x", &Array::floats([2, 1], vec![1.0, 2.0]), &flat, 1.0, 1.0);
        assert_eq!(
            (row.pass, row.max_abs, row.note.as_deref()),
            (false, None, Some("produced as [2]"))
        );
        assert_eq!(row.shape, [2, 1]);
    }

    #[test]
    fn a_missing_tensor_is_a_failure() {
        let row = missing("x", &floats(&[1.0]));
        assert_eq!((row.pass, row.note.as_deref()), (false, Some("not produced")));
    }

    #[test]
    fn numbers_of_a_row() {
        let row = compare("x", &floats(&[3.0, 4.0]), &floats(&[4.0, -3.0]), 0.0, 0.0);
        assert_eq!((row.max_abs, row.cosine), (Some(7.0), Some(0.0)));
        let row = compare("x", &floats(&[0.0]), &floats(&[0.0]), 0.0, 0.0);
        assert_eq!((row.max_abs, row.cosine, row.pass), (Some(0.0), Some(1.0), true));
        let row = compare(
            "x",
            &Array::floats([2, 2], vec![0.0; 4]),
            &Array::floats([2, 2], vec![0.0, 0.0, 1.0, 0.0]),
            0.5,
            0.0,
        );
        let note = row.note.unwrap_or_default();
        assert!(note.contains("1 of 4") && note.contains("[1, 0]"), "{note}");
        assert!(compare("x", &floats(&[]), &floats(&[]), 0.0, 0.0).pass);
    }
}
