//! Interpolation of relative position biases to another window size (Bao et al. 2022, section 3.2 and its published code): the
//! known distances are placed in a geometric progression among the new ones, so that near distances keep their values, and a
//! not-a-knot cubic spline gives the values between them.

use candle_core::Tensor;

use crate::error::ModelError;

/// `window [from · from, heads]` → `[to.0 · to.1, heads]`. `from` and `to` are numbers of distances along an axis, which are odd.
pub(super) fn resize(window: &Tensor, from: usize, to: (usize, usize)) -> Result<Tensor, ModelError> {
    if to.0 != to.1 || from < 4 {
        let sides = |n: usize| n / 2 + 1;
        return Err(ModelError::input(
            "a picture",
            format!(
                "{0}x{0} patches, or another square when there are at least 3",
                sides(from)
            ),
            format!("{}x{} patches", sides(to.1), sides(to.0)),
        ));
    }
    let (to, heads) = (to.0, window.dim(1)?);
    let weights =
        Tensor::from_vec(weights(from, to), (to, from), window.device())?.to_dtype(window.dtype())?;
    let rows = weights.matmul(&window.contiguous()?.reshape((from, from * heads))?)?; // [to, from · heads]
    let columns = rows
        .reshape((to, from, heads))?
        .transpose(0, 1)?
        .contiguous()?
        .reshape((from, to * heads))?;
    Ok(weights
        .matmul(&columns)? // [to, to · heads], columns of the window first
        .reshape((to, to, heads))?
        .transpose(0, 1)?
        .contiguous()?
        .reshape((to * to, heads))?)
}

/// The weight of every known distance for every new one, `[to, from]`.
fn weights(from: usize, to: usize) -> Vec<f32> {
    let (known, reach) = (knots(from, to), (to / 2) as f64);
    let targets = (0..to).map(|i| i as f64 - reach);
    spline(&known, targets).into_iter().map(|w| w as f32).collect()
}

/// Positions of the known distances on the new axis: 0 in the middle, then steps in a geometric progression.
fn knots(from: usize, to: usize) -> Vec<f64> {
    let (steps, reach) = (from / 2, (to / 2) as f64);
    let (mut left, mut right, mut ratio) = (1.01f64, 1.5f64, 1.01f64);
    while right - left > 1e-6 {
        ratio = (left + right) / 2.0;
        let sum = (1.0 - ratio.powi(steps as i32)) / (1.0 - ratio);
        if sum > reach {
            right = ratio;
        } else {
            left = ratio;
        }
    }
    let place = |place: &mut f64, i: usize| {
        *place += ratio.powi(i as i32);
        Some(*place)
    };
    let one_side: Vec<f64> = (0..steps).scan(0.0, place).collect();
    let negative = one_side.iter().rev().map(|d| -d);
    negative.chain([0.0]).chain(one_side.iter().copied()).collect()
}

/// For every target, the weights of the values at `knots` in the cubic spline; beyond the ends, the value at the end.
fn spline(knots: &[f64], targets: impl Iterator<Item = f64>) -> Vec<f64> {
    let (n, second) = (knots.len(), second_derivatives(knots));
    let mut weights = Vec::new();
    for target in targets {
        let t = target.clamp(knots[0], knots[n - 1]);
        let i = knots.partition_point(|k| *k <= t).clamp(1, n - 1) - 1;
        let h = knots[i + 1] - knots[i];
        let (a, b) = ((knots[i + 1] - t) / h, (t - knots[i]) / h);
        let (bend_a, bend_b) = ((a.powi(3) - a) * h * h / 6.0, (b.powi(3) - b) * h * h / 6.0);
        let mut row: Vec<f64> = (0..n)
            .map(|j| bend_a * second[i * n + j] + bend_b * second[(i + 1) * n + j])
            .collect();
        row[i] += a;
        row[i + 1] += b;
        weights.append(&mut row);
    }
    weights
}

/// The second derivative of the spline at every knot as weights of the values, `[knots, knots]`.
fn second_derivatives(knots: &[f64]) -> Vec<f64> {
    let n = knots.len();
    let h: Vec<f64> = knots.windows(2).map(|k| k[1] - k[0]).collect();
    // Each row holds the coefficients of the second derivatives, then those of the values.
    let mut rows = vec![vec![0.0; 2 * n]; n];
    for i in 1..n - 1 {
        let row = &mut rows[i];
        (row[i - 1], row[i], row[i + 1]) = (h[i - 1], 2.0 * (h[i - 1] + h[i]), h[i]);
        (row[n + i - 1], row[n + i + 1]) = (6.0 / h[i - 1], 6.0 / h[i]);
        row[n + i] = -6.0 / h[i - 1] - 6.0 / h[i];
    }
    let mut end = |at: usize, first: usize| {
        let (a, b) = (h[first], h[first + 1]);
        (rows[at][first], rows[at][first + 1], rows[at][first + 2]) = (b, -(a + b), a);
    };
    end(0, 0);
    end(n - 1, n - 3);
    solve(&mut rows);
    rows.iter().flat_map(|row| row[n..].iter().copied()).collect()
}

/// Gauss–Jordan elimination with row exchange, which turns the left square into the identity.
fn solve(rows: &mut [Vec<f64>]) {
    for at in 0..rows.len() {
        let largest = (at..rows.len()).max_by(|a, b| rows[*a][at].abs().total_cmp(&rows[*b][at].abs()));
        rows.swap(at, largest.unwrap_or(at));
        let pivot = rows[at][at];
        rows[at].iter_mut().for_each(|v| *v /= pivot);
        let own = rows[at].clone();
        for (i, row) in rows.iter_mut().enumerate().filter(|(i, _)| *i != at) {
            let factor = row[at];
            debug_assert!(i != at);
            row.iter_mut().zip(&own).for_each(|(v, o)| *v -= factor * o);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{knots, resize, spline};
    use candle_core::{Device, Tensor};

    /// A not-a-knot spline through the values of a cubic polynomial is that polynomial.
    #[test]
    fn cubics_are_kept_between_uneven_knots() {
        let knots = [-5.5, -3.0, -1.2, 0.0, 1.0, 2.7, 4.0];
        let cubic = |t: f64| 0.3 * t.powi(3) - 1.1 * t * t + 0.7 * t - 2.0;
        let targets = [-5.5, -4.0, -2.9, -0.4, 0.0, 0.6, 2.0, 3.9, 4.0];
        let weights = spline(&knots, targets.into_iter());
        for (target, weights) in targets.into_iter().zip(weights.chunks(knots.len())) {
            let got: f64 = weights.iter().zip(knots).map(|(w, k)| w * cubic(k)).sum();
            assert!(
                (got - cubic(target)).abs() < 1e-9,
                "{target}: {got}, {}",
                cubic(target)
            );
        }
    }

    #[test]
    fn known_distances_reach_over_the_new_ones() {
        let places = knots(27, 47);
        assert_eq!(places.len(), 27);
        assert!((places[26] - 23.0).abs() < 1e-3, "{}", places[26]);
        assert_eq!((places[13], places[14]), (0.0, 1.0));
        assert!(places.windows(2).all(|p| p[0] < p[1]));
    }

    #[test]
    fn near_distances_keep_their_scores() {
        let values: Vec<f32> = (0..49).map(|i| (i as f32 * 0.7).sin()).collect();
        let window = Tensor::from_slice(&values, (49, 1), &Device::Cpu).unwrap();
        let larger: Vec<f32> = resize(&window, 7, (11, 11))
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1()
            .unwrap();
        assert_eq!(larger.len(), 121);
        for (y, x) in [(0i32, 0i32), (0, 1), (1, 0), (-1, 1), (-1, -1)] {
            let known = values[((3 + y) * 7 + 3 + x) as usize];
            let got = larger[((5 + y) * 11 + 5 + x) as usize];
            assert!((got - known).abs() < 1e-5, "{y} {x}: {got}, {known}");
        }
    }

    #[test]
    fn pictures_that_are_not_square_are_refused() {
        let window = Tensor::zeros((25, 2), candle_core::DType::F32, &Device::Cpu).unwrap();
        let error = resize(&window, 5, (7, 9)).unwrap_err().to_string();
        assert_eq!(
            error,
            "a picture has 5x4 patches, expected 3x3 patches, or another square when there are at least 3"
        );
    }
}
