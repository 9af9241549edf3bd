//! The page's skew, from where letters stand.
//!
//! The feet of the letters of a line lie on a straight line. For each candidate angle the feet are projected along
//! it; at the right angle they fall into few, full bins, so the sum of squares is largest (Baird 1987).

use super::rect::Rect;

const LARGEST_DEGREES: f32 = 5.0;
const COARSE_DEGREES: f32 = 0.25;
const FINE_DEGREES: f32 = 0.025;
/// Fewer letters than this say nothing.
const FEWEST_LETTERS: usize = 30;
const MOST_LETTERS: usize = 6000;

/// Degrees by which lines of text fall to the right (positive: the right end is lower), up to 5. 0 if it cannot be told.
pub(super) fn estimate(glyphs: &[Rect], letter: i32) -> f32 {
    estimate_about(glyphs, letter, 0.0)
}

/// The same within 5 degrees of `about`, if lines are clearly sharper so than level; else 0.
pub(super) fn estimate_about(glyphs: &[Rect], letter: i32, about: f32) -> f32 {
    let feet: Vec<(f32, f32)> = glyphs
        .iter()
        .filter(|rect| {
            rect.height() * 2 >= letter && rect.height() <= 2 * letter && rect.width() <= 3 * letter
        })
        .map(|rect| ((rect.x0 + rect.x1) as f32 / 2.0, rect.y1 as f32))
        .collect();
    if feet.len() < FEWEST_LETTERS {
        return 0.0;
    }
    let step = feet.len().div_ceil(MOST_LETTERS);
    let feet: Vec<(f32, f32)> = feet.into_iter().step_by(step).collect();

    // A bin as tall as a letter at the coarse steps, so that no step jumps over the peak; then ever finer ones.
    let coarse = best(
        &feet,
        about,
        LARGEST_DEGREES,
        COARSE_DEGREES,
        (letter as f32 / 3.0).max(2.0),
    );
    let fine = best(&feet, coarse.0, 1.5 * COARSE_DEGREES, FINE_DEGREES, 1.5);
    let upright = sharpness(&feet, 0.0, 1.5);
    // A real skew makes the profile clearly sharper than no skew does.
    if fine.1 > 1.1 * upright { fine.0 } else { 0.0 }
}

/// The sharpest angle within `reach` of `centre`, and its sharpness.
fn best(feet: &[(f32, f32)], centre: f32, reach: f32, step: f32, bin: f32) -> (f32, f32) {
    let steps = (reach / step) as i32;
    // From the centre outwards, so that ties go to the smaller turn.
    (0..=steps)
        .flat_map(|index| [index, -index])
        .map(|index| centre + index as f32 * step)
        .map(|degrees| (degrees, sharpness(feet, degrees, bin)))
        .fold(
            (centre, 0.0),
            |best, next| if next.1 > best.1 { next } else { best },
        )
}

/// Sum of squared bin counts of the feet projected along `degrees`; each foot is shared by the two nearest bins.
fn sharpness(feet: &[(f32, f32)], degrees: f32, bin: f32) -> f32 {
    let slope = degrees.to_radians().tan();
    let project = |&(x, y): &(f32, f32)| (y - x * slope) / bin;
    let (low, high) = feet
        .iter()
        .map(project)
        .fold((f32::MAX, f32::MIN), |(low, high), value| {
            (low.min(value), high.max(value))
        });
    let mut bins = vec![0f32; (high - low) as usize + 3];
    for foot in feet {
        let at = project(foot) - low;
        let (index, rest) = (at as usize, at.fract());
        bins[index] += 1.0 - rest;
        bins[index + 1] += rest;
    }
    bins.iter().map(|count| count * count).sum()
}
