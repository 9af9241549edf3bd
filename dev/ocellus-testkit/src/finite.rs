//! Gradients against central differences.

use std::fmt;

/// The component of a gradient that is furthest from its central difference. Made by [`worst`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Worst {
    pub index: usize,
    /// What the backward pass says.
    pub gradient: f64,
    /// `(f(x + step) - f(x - step)) / (2 step)`.
    pub difference: f64,
    /// `|gradient - difference| / max(1, |gradient|, |difference|)`.
    pub error: f64,
}

impl fmt::Display for Worst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            index,
            gradient,
            difference,
            error,
        } = self;
        write!(
            f,
            "component {index}: gradient {gradient:e}, central difference {difference:e}, error {error:.2e}"
        )
    }
}

/// Compares `gradient` with the central differences of the scalar `function` at `point`, one component at a time.
///
/// `step` of about 1e-5 suits a function computed in `f64`; its truncation error is `step² · f''' / 6`.
///
/// # Panics
/// When the lengths differ or `point` is empty.
#[track_caller]
pub fn worst(mut function: impl FnMut(&[f64]) -> f64, point: &[f64], gradient: &[f64], step: f64) -> Worst {
    assert_eq!(
        gradient.len(),
        point.len(),
        "gradient has {} components, point {}",
        gradient.len(),
        point.len()
    );
    let mut moved = point.to_vec();
    let errors = (0..point.len()).map(|index| {
        moved[index] = point[index] + step;
        let above = function(&moved);
        moved[index] = point[index] - step;
        let below = function(&moved);
        moved[index] = point[index];
        component(index, gradient[index], (above - below) / (2.0 * step))
    });
    largest(errors)
}

/// As [`worst`] for a function of `f32`, where the step that was really taken is used as the divisor: adding 1e-3
/// to a float of size 100 does not move it by 1e-3. Let `function` sum in `f64`, or the differences are noise.
///
/// # Panics
/// When the lengths differ, `point` is empty, or `step` is too small to move a component.
#[track_caller]
pub fn worst_f32(
    mut function: impl FnMut(&[f32]) -> f64,
    point: &[f32],
    gradient: &[f32],
    step: f32,
) -> Worst {
    assert_eq!(
        gradient.len(),
        point.len(),
        "gradient has {} components, point {}",
        gradient.len(),
        point.len()
    );
    let mut moved = point.to_vec();
    let errors = (0..point.len()).map(|index| {
        let (high, low) = (point[index] + step, point[index] - step);
        assert!(
            high > low,
            "step {step:e} does not move component {index} = {}",
            point[index]
        );
        moved[index] = high;
        let above = function(&moved);
        moved[index] = low;
        let below = function(&moved);
        moved[index] = point[index];
        component(
            index,
            f64::from(gradient[index]),
            (above - below) / (f64::from(high) - f64::from(low)),
        )
    });
    largest(errors)
}

/// Fails the test unless every component of `gradient` is within `tolerance` (see [`Worst::error`]).
#[track_caller]
pub fn assert_gradient(
    what: &str,
    function: impl FnMut(&[f64]) -> f64,
    point: &[f64],
    gradient: &[f64],
    tolerance: f64,
) {
    let worst = worst(function, point, gradient, 1e-5);
    assert!(
        worst.error <= tolerance,
        "{what}: {worst}, tolerance {tolerance:e}"
    );
}

/// As [`assert_gradient`] for `f32`, with a step to suit the function.
#[track_caller]
pub fn assert_gradient_f32(
    what: &str,
    function: impl FnMut(&[f32]) -> f64,
    point: &[f32],
    gradient: &[f32],
    step: f32,
    tolerance: f64,
) {
    let worst = worst_f32(function, point, gradient, step);
    assert!(
        worst.error <= tolerance,
        "{what}: {worst}, tolerance {tolerance:e}"
    );
}

fn component(index: usize, gradient: f64, difference: f64) -> Worst {
    let error = (gradient - difference).abs() / gradient.abs().max(difference.abs()).max(1.0);
    // NaN would lose every comparison and so pass; it is the worst there is.
    let error = if error.is_nan() { f64::INFINITY } else { error };
    Worst {
        index,
        gradient,
        difference,
        error,
    }
}

#[track_caller]
fn largest(errors: impl Iterator<Item = Worst>) -> Worst {
    errors
        .max_by(|a, b| a.error.total_cmp(&b.error))
        .expect("a point without components has no gradient")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// f(x, y) = x² y + sin y
    fn function(p: &[f64]) -> f64 {
        p[0] * p[0] * p[1] + p[1].sin()
    }

    fn gradient(p: &[f64]) -> [f64; 2] {
        [2.0 * p[0] * p[1], p[0] * p[0] + p[1].cos()]
    }

    #[test]
    fn a_right_gradient_passes() {
        for point in [[0.0, 0.0], [1.5, -2.0], [-3.0, 0.25]] {
            assert_gradient("f", function, &point, &gradient(&point), 1e-8);
        }
    }

    #[test]
    fn a_wrong_gradient_is_named_by_component() {
        let point = [1.5, -2.0];
        let mut wrong = gradient(&point);
        wrong[1] += 0.01;
        let found = worst(function, &point, &wrong, 1e-5);
        assert_eq!(found.index, 1);
        assert!(found.error > 1e-3, "{found}");
    }

    #[test]
    fn nan_does_not_pass() {
        assert!(
            worst(function, &[1.0, 1.0], &[2.0, f64::NAN], 1e-5)
                .error
                .is_infinite()
        );
    }

    #[test]
    fn single_precision_with_the_step_really_taken() {
        let point = [100.0f32, -0.5];
        let gradient = [2.0 * point[0], 2.0 * point[1]];
        let square = |p: &[f32]| p.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>();
        assert_gradient_f32("square", square, &point, &gradient, 1e-3, 1e-6);
    }

    #[test]
    #[should_panic(expected = "does not move component 0")]
    fn a_step_that_moves_nothing_is_refused() {
        worst_f32(|p| f64::from(p[0]), &[1e9], &[1.0], 1e-3);
    }
}
