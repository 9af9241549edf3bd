//! Halftone screens: dots in a square lattice, which are no letters however many stand in a row.

use super::components::{Components, Mask};
use super::rect::Rect;
use super::shelves::Shelves;

/// Larger pieces of ink are no dots of a screen.
const LARGEST_DOT_PX: i32 = 32;
/// Fewer dots than this are a pattern of something else.
const FEWEST_DOTS: usize = 80;
/// The nearest four of a lattice are about equally far away, in directions at right angles.
const EVENNESS: f32 = 1.35;
const SLACK_DEGREES: f32 = 16.0;
const NOTHING: usize = usize::MAX;

/// Erases the dots of halftone screens from `ink`. Whether there were any.
pub(super) fn erase(ink: &mut Mask, components: &Components) -> bool {
    let rects: Vec<Rect> = components.all.iter().map(|component| component.rect).collect();
    let is_small = |rect: &Rect| rect.width().max(rect.height()) <= LARGEST_DOT_PX;
    let shelves = Shelves::new(&rects, LARGEST_DOT_PX / 2);
    let around: Vec<[usize; 4]> = rects
        .iter()
        .enumerate()
        .map(|(index, rect)| {
            if is_small(rect) {
                nearest_four(&rects, &shelves, index)
            } else {
                [NOTHING; 4]
            }
        })
        .collect();
    let on_lattice: Vec<bool> = (0..rects.len())
        .map(|index| !around[index].contains(&NOTHING) && is_square(&rects, index, around[index]))
        .collect();
    // A dot of a screen has others around it; letters that happen to stand evenly have not.
    let has = |marked: &[bool], index: usize, least: usize| {
        around[index]
            .iter()
            .filter(|&&other| other != NOTHING && marked[other])
            .count()
            >= least
    };
    let inner: Vec<bool> = (0..rects.len())
        .map(|index| on_lattice[index] && has(&on_lattice, index, 3))
        .collect();
    if inner.iter().filter(|inner| **inner).count() < FEWEST_DOTS {
        return false;
    }
    // The edge, where dots are cut off or run together; letters near it are larger.
    let side = |rect: &Rect| rect.width().max(rect.height());
    let mut sides: Vec<i32> = (0..rects.len())
        .filter(|&index| inner[index])
        .map(|index| side(&rects[index]))
        .collect();
    let middle = sides.len() / 2;
    let largest = 2 * *sides.select_nth_unstable(middle).1;
    let beside = |marked: &[bool]| -> Vec<bool> {
        let is_dot = |index: usize| side(&rects[index]) <= largest && has(marked, index, 2);
        (0..rects.len())
            .map(|index| marked[index] || is_dot(index))
            .collect()
    };
    let dots = (0..4).fold(inner.clone(), |dots, _| beside(&dots));
    for run in &components.runs {
        if dots[run.component as usize] {
            ink.paint(run, 0);
        }
    }
    true
}

fn offset(from: &Rect, to: &Rect) -> (f32, f32) {
    let middle = |rect: &Rect| ((rect.x0 + rect.x1) as f32 / 2.0, (rect.y0 + rect.y1) as f32 / 2.0);
    (middle(to).0 - middle(from).0, middle(to).1 - middle(from).1)
}

/// The four nearest pieces of ink within a few times the size of this one; [`NOTHING`] in place of those that are missing.
fn nearest_four(rects: &[Rect], shelves: &Shelves, index: usize) -> [usize; 4] {
    let rect = rects[index];
    let reach = 3 * rect.width().max(rect.height()) + 4;
    let mut nearest = [(f32::MAX, NOTHING); 4];
    for other in shelves.between(rect.y0 - reach, rect.y1 + reach, rect.x0 - reach, rect.x1 + reach) {
        let (dx, dy) = offset(&rect, &rects[other]);
        let distance = dx.hypot(dy);
        if other == index || distance >= nearest[3].0 || nearest.iter().any(|near| near.1 == other) {
            continue;
        }
        let place = nearest.partition_point(|near| near.0 <= distance);
        nearest[place..].rotate_right(1);
        nearest[place] = (distance, other);
    }
    nearest.map(|near| near.1)
}

/// Whether four neighbours stand about equally far away and at right angles.
fn is_square(rects: &[Rect], index: usize, four: [usize; 4]) -> bool {
    let offsets = four.map(|other| offset(&rects[index], &rects[other]));
    let distances = offsets.map(|(dx, dy)| dx.hypot(dy));
    // From the nearest to the farthest.
    if distances[3] > EVENNESS * distances[0] + 1.0 {
        return false;
    }
    let first = offsets[0].1.atan2(offsets[0].0).to_degrees();
    let mut quarters = [false; 4];
    for (dx, dy) in offsets {
        let turn = (dy.atan2(dx).to_degrees() - first).rem_euclid(360.0);
        let quarter = (turn / 90.0).round();
        if (turn - 90.0 * quarter).abs() > SLACK_DEGREES {
            return false;
        }
        quarters[quarter as usize % 4] = true;
    }
    quarters == [true; 4]
}
