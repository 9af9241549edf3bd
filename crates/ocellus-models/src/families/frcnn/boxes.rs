//! Boxes: anchors, box regression, intersection over union, non-maximum suppression.

/// A box: x1, y1, x2, y2 in px.
pub(super) type Corners = [f32; 4];

/// Anchors around the origin: a box for every size (square root of the area, px) and every ratio of height to width; the ratio
/// varies fastest.
pub(super) fn around_a_point(sizes: &[f64], ratios: &[f64]) -> Vec<Corners> {
    let of = |size: f64, ratio: f64| {
        let width = (size * size / ratio).sqrt();
        let height = ratio * width;
        [-width / 2.0, -height / 2.0, width / 2.0, height / 2.0].map(|v| v as f32)
    };
    sizes
        .iter()
        .flat_map(|size| ratios.iter().map(move |ratio| of(*size, *ratio)))
        .collect()
}

/// The anchors in `cells` at every position of a grid of rows and columns, in raster order. Positions are `stride` px apart; the
/// first is `offset` strides from the corner of the picture.
pub(super) fn on_a_grid(
    cells: &[Corners],
    (rows, columns): (usize, usize),
    stride: f32,
    offset: f32,
) -> Vec<Corners> {
    let at = |index: usize| (index as f32 + offset) * stride;
    let mut boxes = Vec::with_capacity(rows * columns * cells.len());
    for row in 0..rows {
        for column in 0..columns {
            let (x, y) = (at(column), at(row));
            boxes.extend(cells.iter().map(|c| [c[0] + x, c[1] + y, c[2] + x, c[3] + y]));
        }
    }
    boxes
}

/// The largest factor by which a side may grow: from 16 to 1000 px (the limit of Detectron).
const MOST_GROWTH: f32 = 1000.0 / 16.0;

/// Applies the four numbers of a box regressor, after dividing them by `weights`: the centre moves by multiples of the sides, and
/// the sides are multiplied by `exp` of the other two.
pub(super) fn moved(from: Corners, delta: [f32; 4], weights: [f32; 4]) -> Corners {
    let (width, height) = (from[2] - from[0], from[3] - from[1]);
    let (x, y) = (from[0] + 0.5 * width, from[1] + 0.5 * height);
    let [dx, dy, dw, dh]: [f32; 4] = std::array::from_fn(|i| delta[i] / weights[i]);
    let (x, y) = (dx * width + x, dy * height + y);
    let grown = |side: f32, by: f32| by.min(MOST_GROWTH.ln()).exp() * side;
    let (width, height) = (grown(width, dw), grown(height, dh));
    [
        x - 0.5 * width,
        y - 0.5 * height,
        x + 0.5 * width,
        y + 0.5 * height,
    ]
}

/// The part of a box inside a picture of `(height, width)` px. `None` where a coordinate is not finite.
pub(super) fn clipped(from: Corners, (height, width): (f32, f32)) -> Option<Corners> {
    let inside = [
        from[0].clamp(0.0, width),
        from[1].clamp(0.0, height),
        from[2].clamp(0.0, width),
        from[3].clamp(0.0, height),
    ];
    from.iter().all(|v| v.is_finite()).then_some(inside)
}

/// Intersection over union; NaN for two boxes without area.
pub(super) fn overlap(a: &Corners, b: &Corners) -> f32 {
    let area = |c: &Corners| (c[2] - c[0]) * (c[3] - c[1]);
    let width = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
    let height = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
    let shared = width * height;
    shared / (area(a) + area(b) - shared)
}

/// Non-maximum suppression: indices of at most `most` boxes, most confident first, none of which has an intersection over union
/// above `threshold` with a box before it. Of boxes with equal scores the earlier comes first.
pub(super) fn suppress(boxes: &[Corners], scores: &[f32], threshold: f64, most: usize) -> Vec<usize> {
    let mut kept: Vec<usize> = Vec::with_capacity(most.min(boxes.len()));
    for index in surest_first(scores) {
        if kept.len() == most {
            break;
        }
        let hidden = |k: &usize| f64::from(overlap(&boxes[*k], &boxes[index])) > threshold;
        if !kept.iter().any(hidden) {
            kept.push(index);
        }
    }
    kept
}

/// Indices by descending score; equal scores stay in order.
pub(super) fn surest_first(scores: &[f32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn anchors_keep_their_area() {
        let cells = around_a_point(&[8.0, 32.0], &[0.25, 1.0, 4.0]);
        assert_eq!(cells[0], [-8.0, -2.0, 8.0, 2.0], "a quarter as high as wide");
        assert_eq!(cells[2], [-2.0, -8.0, 2.0, 8.0]);
        assert_eq!(cells[4], [-16.0, -16.0, 16.0, 16.0]);
        let grid = on_a_grid(&cells[..1], (2, 2), 16.0, 0.5);
        assert_eq!(
            grid,
            [
                [0.0, 6.0, 16.0, 10.0],
                [16.0, 6.0, 32.0, 10.0],
                [0.0, 22.0, 16.0, 26.0],
                [16.0, 22.0, 32.0, 26.0]
            ]
        );
    }

    #[test]
    fn moves_shift_the_centre_and_scale_the_sides() {
        let from = [10.0, 20.0, 30.0, 60.0];
        let two = 2f32.ln();
        for (delta, weights, expected) in [
            ([0.0; 4], [1.0; 4], from),
            ([0.5, -0.25, 0.0, 0.0], [1.0; 4], [20.0, 10.0, 40.0, 50.0]),
            ([5.0, -2.5, 0.0, 0.0], [10.0; 4], [20.0, 10.0, 40.0, 50.0]),
            ([0.0, 0.0, two, -two], [1.0; 4], [0.0, 30.0, 40.0, 50.0]),
            // A width of 20 px becomes 1250 px at most, not e¹⁰⁰ times 20.
            ([0.0, 0.0, 100.0, 0.0], [1.0; 4], [-605.0, 20.0, 645.0, 60.0]),
        ] {
            let found = moved(from, delta, weights);
            for (f, e) in found.iter().zip(expected) {
                assert!((f - e).abs() < 1e-3, "{delta:?}: {found:?}");
            }
        }
    }

    #[test]
    fn overlaps() {
        let ten = [0.0, 0.0, 10.0, 10.0];
        for (other, expected) in [
            (ten, 1.0),
            ([5.0, 0.0, 15.0, 10.0], 50.0 / 150.0),
            ([2.0, 2.0, 7.0, 6.0], 0.2),
            ([10.0, 0.0, 20.0, 10.0], 0.0),
            ([30.0, 30.0, 40.0, 40.0], 0.0),
        ] {
            assert!((overlap(&ten, &other) - expected).abs() < 1e-6, "{other:?}");
            assert_eq!(overlap(&ten, &other), overlap(&other, &ten));
        }
        let point = [3.0; 4];
        assert!(overlap(&point, &point).is_nan());
    }

    #[test]
    fn the_surest_of_overlapping_boxes_stays() {
        let at = |x: f32| [x, 0.0, x + 10.0, 10.0];
        let boxes = [at(0.0), at(2.0), at(4.0), at(40.0), at(40.0)];
        // Boxes 2 px apart share 8 of 12 px, boxes 4 px apart 6 of 14.
        for (scores, threshold, most, expected) in [
            ([0.5, 0.9, 0.8, 0.1, 0.2], 0.5, 9, vec![1, 4]),
            ([0.9, 0.5, 0.8, 0.1, 0.2], 0.5, 9, vec![0, 2, 4]),
            ([0.9, 0.5, 0.8, 0.1, 0.2], 0.4, 9, vec![0, 4]),
            ([0.9, 0.5, 0.8, 0.1, 0.2], 1.0, 9, vec![0, 2, 1, 4, 3]),
            ([0.9, 0.5, 0.8, 0.1, 0.2], 1.0, 2, vec![0, 2]),
            ([0.3; 5], 0.5, 9, vec![0, 2, 3]),
        ] {
            assert_eq!(
                suppress(&boxes, &scores, threshold, most),
                expected,
                "{scores:?} {threshold}"
            );
        }
        assert!(suppress(&[], &[], 0.5, 3).is_empty());
    }

    prop_compose! {
        fn some_box()(x in -50f32..150.0, y in -50f32..150.0, w in 0f32..90.0, h in 0f32..90.0) -> Corners {
            [x, y, x + w, y + h]
        }
    }

    proptest! {
        #[test]
        fn clipped_boxes_lie_in_the_picture(from in some_box(), height in 1f32..120.0, width in 1f32..120.0) {
            let [x1, y1, x2, y2] = clipped(from, (height, width)).unwrap();
            prop_assert!(0.0 <= x1 && x1 <= x2 && x2 <= width);
            prop_assert!(0.0 <= y1 && y1 <= y2 && y2 <= height);
            prop_assert_eq!(clipped([from[0], f32::NAN, from[2], from[3]], (height, width)), None);
        }

        #[test]
        fn what_is_kept_is_apart_and_what_is_not_is_hidden(
            found in prop::collection::vec((some_box(), 0f32..1.0), 0..40), threshold in 0.05f64..0.95, most in 0usize..50,
        ) {
            let (boxes, scores): (Vec<_>, Vec<_>) = found.into_iter().unzip();
            let kept = suppress(&boxes, &scores, threshold, most);
            prop_assert!(kept.len() <= most.min(boxes.len()));
            prop_assert!(kept.is_sorted_by(|a, b| scores[*a] >= scores[*b]));
            let near = |a: usize, b: usize| f64::from(overlap(&boxes[a], &boxes[b])) > threshold;
            for (i, a) in kept.iter().enumerate() {
                prop_assert!(kept[..i].iter().all(|b| !near(*a, *b)));
            }
            if kept.len() < most {
                for i in (0..boxes.len()).filter(|i| !kept.contains(i)) {
                    prop_assert!(kept.iter().any(|k| near(*k, i) && scores[*k] >= scores[i]));
                }
            }
        }
    }
}
