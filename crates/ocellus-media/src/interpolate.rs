//! Resize in floating point, without antialiasing and without clipping: `INTER_CUBIC` of OpenCV on float pictures, and
//! the bilinear `interpolate` of PyTorch.
//!
//! The filter is Keys' cubic with a = -3/4 over the four nearest pixels, or a line between the two nearest, however far
//! the picture shrinks; beyond the border its last pixel goes on. Results lie outside 0..255 where the cubic overshoots.
//!
//! For the cubic, places between pixels are computed in doubles, as the published x86 builds do for all but tiny pictures.
//! The portable code of that library rounds them to floats: 0.03 of a level at 3,000 px. For lines, the reference
//! computes them in floats, and so do we.

use rayon::prelude::*;

use crate::Rgb;

/// What lies between pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Between {
    Cubic,
    Line,
}

/// Resizes to `[height, width, 3]` levels. Both sides must be at least 1, before and after.
pub(crate) fn resize_float(image: &Rgb, between: Between, width: u32, height: u32) -> Vec<f32> {
    let taps = match between {
        Between::Cubic => cubic_taps,
        Between::Line => line_taps,
    };
    let (columns, rows) = (taps(image.width, width), taps(image.height, height));
    let (from, to) = (image.width as usize * 3, width as usize * 3);
    let mut out = vec![0f32; to * rows.len()];
    out.par_chunks_exact_mut(to).zip(&rows).for_each(|(line, row)| {
        let mut filtered = vec![0f32; to];
        for (&y, &weight) in row.places.iter().zip(&row.weights) {
            filter_row(&image.data[y * from..][..from], &columns, &mut filtered);
            for (value, level) in line.iter_mut().zip(&filtered) {
                *value += level * weight;
            }
        }
    });
    out
}

/// One line of pixels, resized along itself.
fn filter_row(line: &[u8], columns: &[Taps], out: &mut [f32]) {
    for (pixel, column) in out.as_chunks_mut::<3>().0.iter_mut().zip(columns) {
        *pixel = [0.0; 3];
        for (&x, &weight) in column.places.iter().zip(&column.weights) {
            for (value, &level) in pixel.iter_mut().zip(&line[x * 3..][..3]) {
                *value += f32::from(level) * weight;
            }
        }
    }
}

/// The source positions that an output position draws from, and how much of each.
struct Taps {
    places: [usize; 4],
    weights: [f32; 4],
}

impl Taps {
    /// The four pixels around the one at `first`, the last pixel again beyond the border.
    fn around(first: i64, from: u32, weights: [f32; 4]) -> Self {
        let last = i64::from(from) - 1;
        Self {
            places: [-1, 0, 1, 2].map(|step| (first + step).clamp(0, last) as usize),
            weights,
        }
    }
}

fn cubic_taps(from: u32, to: u32) -> Vec<Taps> {
    let scale = f64::from(from) / f64::from(to);
    let tap = |place: u32| {
        let at = (f64::from(place) + 0.5) * scale - 0.5;
        let first = at.floor();
        Taps::around(first as i64, from, cubic((at - first) as f32))
    };
    (0..to).map(tap).collect()
}

fn line_taps(from: u32, to: u32) -> Vec<Taps> {
    let scale = from as f32 / to as f32;
    let tap = |place: u32| {
        let at = ((place as f32 + 0.5) * scale - 0.5).max(0.0);
        let first = at.floor();
        let x = at - first;
        Taps::around(first as i64, from, [0.0, 1.0 - x, x, 0.0])
    };
    (0..to).map(tap).collect()
}

/// The weights of the four pixels around a point, which lies `x` (0 to 1) behind the second of them. They sum to 1.
fn cubic(x: f32) -> [f32; 4] {
    const A: f32 = -0.75;
    let far = |x: f32| ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A;
    let near = |x: f32| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let weights = [far(x + 1.0), near(x), near(1.0 - x)];
    let [a, b, c] = weights;
    [a, b, c, 1.0 - a - b - c]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_sum_to_one_and_meet_the_pixels() {
        assert_eq!(cubic(0.0), [0.0, 1.0, 0.0, 0.0]);
        for step in 0..=16 {
            let x = step as f32 / 16.0;
            let sum: f32 = cubic(x).iter().sum();
            assert!((sum - 1.0).abs() < 1e-6, "{x}: {sum}");
        }
        // Keys' cubic with a = -3/4 half way between two pixels.
        assert_eq!(cubic(0.5), [-0.09375, 0.59375, 0.59375, -0.09375]);
    }

    #[test]
    fn one_size_is_a_copy_and_one_colour_stays() {
        let data: Vec<u8> = (0..5 * 3 * 3).map(|at| (at * 37 % 251) as u8).collect();
        let same = resize_float(&Rgb::new(5, 3, data.clone()).unwrap(), Between::Cubic, 5, 3);
        assert_eq!(
            same,
            data.iter().map(|level| f32::from(*level)).collect::<Vec<_>>()
        );
        for (width, height) in [(1, 1), (7, 2), (64, 48)] {
            let grey = resize_float(&Rgb::filled(3, 11, [200, 100, 0]), Between::Cubic, width, height);
            assert_eq!(grey.len(), (width * height * 3) as usize);
            for pixel in grey.as_chunks::<3>().0 {
                for (found, expected) in pixel.iter().zip([200.0, 100.0, 0.0]) {
                    assert!((found - expected).abs() < 1e-3, "{width} x {height}: {pixel:?}");
                }
            }
        }
    }

    #[test]
    fn shrinking_skips_pixels_and_edges_overshoot() {
        // 8 px to 1: the point lies between the fourth and the fifth, and only two more count.
        let line: Vec<u8> = [255, 255, 0, 0, 0, 0, 255, 255]
            .iter()
            .flat_map(|v| [*v; 3])
            .collect();
        assert_eq!(
            resize_float(&Rgb::new(8, 1, line).unwrap(), Between::Cubic, 1, 1),
            [0.0; 3]
        );
        let edge: Vec<u8> = [0, 0, 255, 255].iter().flat_map(|v| [*v; 3]).collect();
        let wide = resize_float(&Rgb::new(4, 1, edge).unwrap(), Between::Cubic, 8, 1);
        assert!(
            wide.iter().any(|v| *v < -1.0) && wide.iter().any(|v| *v > 256.0),
            "{wide:?}"
        );
    }

    /// Expected: `torch.nn.functional.interpolate(x, size, mode="bilinear", align_corners=False)`.
    #[test]
    fn lines_between_two_pixels() {
        let grey = |levels: &[u8]| levels.iter().flat_map(|v| [*v; 3]).collect::<Vec<u8>>();
        for (levels, from, to, expected) in [
            (vec![0, 100, 200], (3, 1), (2, 1), vec![25.0, 175.0]),
            (vec![10, 50], (2, 1), (4, 1), vec![10.0, 20.0, 40.0, 50.0]),
            (vec![0, 80, 40, 200], (2, 2), (1, 1), vec![80.0]),
            // 8 to 2: what lies away from the two points does not count.
            (vec![9, 255, 255, 3, 5, 0, 0, 7], (8, 1), (2, 1), vec![255.0, 0.0]),
            (vec![7], (1, 1), (2, 2), vec![7.0; 4]),
        ] {
            let picture = Rgb::new(from.0, from.1, grey(&levels)).unwrap();
            let found = resize_float(&picture, Between::Line, to.0, to.1);
            let expected: Vec<f32> = expected.iter().flat_map(|v: &f32| [*v; 3]).collect();
            assert_eq!(found, expected, "{levels:?} to {to:?}");
        }
    }
}
