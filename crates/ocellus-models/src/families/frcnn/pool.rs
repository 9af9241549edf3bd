//! RoI max pooling: the part of a feature map inside a box becomes a fixed number of cells (Fast R-CNN, section 2.1).

use super::boxes::Corners;

/// A feature map that boxes are pooled from: `[channels, height, width]`.
pub(super) struct Planes<'a> {
    pub values: &'a [f32],
    pub height: usize,
    pub width: usize,
    /// Positions of the feature map per px of the picture.
    pub scale: f32,
}

impl Planes<'_> {
    /// Appends to `out` the maximum over each of `side · side` cells of the box, `[channels, side, side]`.
    /// The corners are rounded to the nearest positions of the feature map, both inclusive. The start of a cell is rounded down
    /// and its end up, so that cells may overlap. A cell outside the feature map is 0.
    pub(super) fn pool(&self, corners: &Corners, side: usize, out: &mut Vec<f32>) {
        let [x1, y1, x2, y2] = corners.map(|v| (v * self.scale).round() as i64);
        let (rows, columns) = (spans(y1, y2, side, self.height), spans(x1, x2, side, self.width));
        for plane in self.values.chunks_exact(self.height * self.width) {
            for row in &rows {
                for column in &columns {
                    let lines = row.clone().map(|y| &plane[y * self.width..][column.clone()]);
                    let greatest = lines.flatten().copied().reduce(f32::max);
                    out.push(greatest.unwrap_or(0.0));
                }
            }
        }
    }
}

/// The ranges of the cells along an axis, clipped to `0..limit`.
fn spans(first: i64, last: i64, cells: usize, limit: usize) -> Vec<std::ops::Range<usize>> {
    let share = (last - first + 1).max(1) as f32 / cells as f32;
    let inside = |place: f32| (place as i64 + first).clamp(0, limit as i64) as usize;
    (0..cells)
        .map(|i| inside((i as f32 * share).floor())..inside(((i + 1) as f32 * share).ceil()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value at row y, column x is 10 y + x.
    const COUNTED: [f32; 20] = [
        0., 1., 2., 3., 4., 10., 11., 12., 13., 14., 20., 21., 22., 23., 24., 30., 31., 32., 33., 34.,
    ];

    fn pooled(corners: Corners, side: usize, scale: f32) -> Vec<f32> {
        let planes = Planes {
            values: &COUNTED,
            height: 4,
            width: 5,
            scale,
        };
        let mut out = Vec::new();
        planes.pool(&corners, side, &mut out);
        out
    }

    #[test]
    fn cells_by_hand() {
        for (corners, side, scale, expected) in [
            // Corners are inclusive: rows 0..=3 and columns 0..=3 make four cells of two by two.
            ([0., 0., 3., 3.], 2, 1.0, vec![11., 13., 31., 33.]),
            ([0., 0., 48., 48.], 2, 1.0 / 16.0, vec![11., 13., 31., 33.]),
            // Three columns in two cells: both cells contain the middle column.
            ([1., 1., 3., 2.], 2, 1.0, vec![12., 13., 22., 23.]),
            // Corners round to the nearest position, halves away from zero: columns 1..=4, rows 2..=2.
            ([0.5, 1.5, 3.5, 2.4], 1, 1.0, vec![24.]),
            // One position in four cells.
            ([2., 1., 2., 1.], 2, 1.0, vec![12.; 4]),
            // A box that reaches out of the feature map: cells outside are 0.
            ([4., 3., 7., 3.], 2, 1.0, vec![34., 0., 34., 0.]),
            ([-9., -9., -5., -5.], 1, 1.0, vec![0.]),
            // A box with swapped corners is treated as one position.
            ([3., 0., 1., 0.], 1, 1.0, vec![3.]),
        ] {
            assert_eq!(
                pooled(corners, side, scale),
                expected,
                "{corners:?} {side} {scale}"
            );
        }
    }

    #[test]
    fn planes_follow_each_other() {
        let values: Vec<f32> = (0..8).map(|v| -(v as f32)).collect();
        let planes = Planes {
            values: &values,
            height: 2,
            width: 2,
            scale: 1.0,
        };
        let mut out = vec![7.0];
        planes.pool(&[0., 0., 1., 1.], 1, &mut out);
        assert_eq!(
            out,
            [7.0, 0.0, -4.0],
            "the greatest, and not 0, where all are negative"
        );
    }
}
