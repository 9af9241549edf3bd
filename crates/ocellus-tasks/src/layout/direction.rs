//! The direction in which lines run, from where each letter's nearest neighbours stand: within a line letters are closer to
//! each other than lines are (O'Gorman, The Document Spectrum, 1993). Coarse; `skew` refines it.

use super::rect::Rect;
use super::shelves::Shelves;

/// Up to here `skew` finds the angle by itself.
const LEVEL_DEGREES: i32 = 4;
/// Fewer letters than this say nothing.
const FEWEST_LETTERS: usize = 12;
/// Letters whose neighbours are looked for.
const MOST_LETTERS: usize = 2000;
/// Neighbours lie no farther than this many heights of a letter, from centre to centre.
const REACH: i32 = 3;
/// Another direction must have so much more of the neighbours than the level one.
const CLEARLY: f32 = 1.4;
/// Letters of one line differ in height, so neighbours lie a little above and below its direction.
const SPREAD_DEGREES: i32 = 8;

/// What neighbours say of the direction of lines.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Direction {
    /// About level, or it cannot be told.
    Level,
    /// They may fall by about so many degrees to the right, from -45 to 45.
    Slanted(f32),
    /// They run downwards or upwards: they fall by 90 degrees and up to 45 more or less. Which way up the letters stand is not
    /// seen here.
    Upright(f32),
}

/// The direction in which most letters have their nearest neighbours, to a few degrees.
pub(super) fn estimate(glyphs: &[Rect], letter: i32) -> Direction {
    let is_letter = |rect: &&Rect| {
        let (long, short) = (rect.width().max(rect.height()), rect.width().min(rect.height()));
        long * 2 >= letter && long <= 3 * letter && short * 6 >= long
    };
    let letters: Vec<Rect> = glyphs.iter().filter(is_letter).copied().collect();
    if letters.len() < FEWEST_LETTERS {
        return Direction::Level;
    }
    let mut shares = [0f32; 180];
    let shelves = Shelves::new(&letters, letter);
    for (index, letter_box) in letters
        .iter()
        .enumerate()
        .step_by(letters.len().div_ceil(MOST_LETTERS))
    {
        for degrees in neighbours(&letters, &shelves, index, *letter_box, REACH * letter) {
            shares[(degrees.round() as i32).rem_euclid(180) as usize] += 1.0;
        }
    }
    let mass = |degrees: i32| -> f32 {
        let weight = |off: i32| 1.0 - off.abs() as f32 / (SPREAD_DEGREES + 1) as f32;
        (-SPREAD_DEGREES..=SPREAD_DEGREES)
            .map(|off| weight(off) * shares[(degrees + off).rem_euclid(180) as usize])
            .sum()
    };
    let level = (-LEVEL_DEGREES..=LEVEL_DEGREES).map(mass).fold(0.0, f32::max);
    let (degrees, most) = (-89..=90)
        .map(|degrees| (degrees, mass(degrees)))
        .fold((0, 0.0), |best, next| if next.1 > best.1 { next } else { best });
    match degrees.abs() {
        0..=LEVEL_DEGREES => Direction::Level,
        ..=45 => Direction::Slanted(degrees as f32),
        // Columns of figures and ideographs also have near neighbours above and below.
        _ if most < CLEARLY * level => Direction::Level,
        _ => Direction::Upright(degrees as f32),
    }
}

/// Directions to the two nearest letters, in degrees; downwards is positive.
fn neighbours(
    letters: &[Rect],
    shelves: &Shelves,
    index: usize,
    from: Rect,
    reach: i32,
) -> impl Iterator<Item = f32> {
    let centre = |rect: &Rect| ((rect.x0 + rect.x1) as f32 / 2.0, (rect.y0 + rect.y1) as f32 / 2.0);
    let (x, y) = centre(&from);
    let mut nearest = [(f32::MAX, usize::MAX, 0.0); 2];
    for other in shelves.between(
        from.y0 - reach,
        from.y1 + reach,
        from.x0 - 2 * reach,
        from.x1 + reach,
    ) {
        let (dx, dy) = (centre(&letters[other]).0 - x, centre(&letters[other]).1 - y);
        let distance = dx.hypot(dy);
        // A letter is in every shelf that it reaches into.
        let known = other == index || nearest.iter().any(|near| near.1 == other);
        if known || distance > reach as f32 || distance >= nearest[1].0 {
            continue;
        }
        nearest[1] = (distance, other, dy.atan2(dx).to_degrees());
        if nearest[1].0 < nearest[0].0 {
            nearest.swap(0, 1);
        }
    }
    nearest
        .into_iter()
        .filter(|near| near.1 != usize::MAX)
        .map(|near| near.2)
}
