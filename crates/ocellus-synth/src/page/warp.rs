//! Where a point of a flat page lands in the picture of it, and back: a curl of the paper, then a view in perspective.

/// The whole way. Both directions are exact.
#[derive(Debug, Clone, Copy)]
pub(super) struct Warp {
    /// Height in pixels by which the paper's middle bulges, along x.
    curl: f32,
    /// Where along x the bulge has its top, 0 to 1, and the page's width.
    crest: f32,
    width: f32,
    /// Row-major 3x3 matrices, from the page to the picture and back.
    forth: [f32; 9],
    back: [f32; 9],
}

impl Warp {
    /// The page's corners (top left, top right, bottom right, bottom left) land on `corners`.
    pub(super) fn new(width: f32, height: f32, corners: [[f32; 2]; 4], curl: f32, crest: f32) -> Self {
        let forth = square_to(corners);
        let scale = [1.0 / width, 0.0, 0.0, 0.0, 1.0 / height, 0.0, 0.0, 0.0, 1.0];
        let forth = times(&forth, &scale);
        Self {
            curl,
            crest,
            width,
            back: inverse(&forth),
            forth,
        }
    }

    fn lift(&self, x: f32) -> f32 {
        let u = x / self.width;
        // A parabola that is 0 at both edges, skewed towards the crest.
        let v = if u < self.crest {
            u / self.crest
        } else {
            (1.0 - u) / (1.0 - self.crest)
        };
        self.curl * v.clamp(-0.2, 1.0) * (2.0 - v.clamp(-0.2, 1.0))
    }

    /// From the page to the picture.
    pub(super) fn forth(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        project(&self.forth, [x, y - self.lift(x)])
    }

    /// From the picture to the page.
    pub(super) fn back(&self, p: [f32; 2]) -> [f32; 2] {
        let [x, y] = project(&self.back, p);
        [x, y + self.lift(x)]
    }
}

fn project(m: &[f32; 9], [x, y]: [f32; 2]) -> [f32; 2] {
    let w = m[6] * x + m[7] * y + m[8];
    [(m[0] * x + m[1] * y + m[2]) / w, (m[3] * x + m[4] * y + m[5]) / w]
}

/// The projection of the unit square onto four corners (Heckbert 1989, section 2.2.3).
fn square_to([[x0, y0], [x1, y1], [x2, y2], [x3, y3]]: [[f32; 2]; 4]) -> [f32; 9] {
    let (dx1, dx2, sx) = (x1 - x2, x3 - x2, x0 - x1 + x2 - x3);
    let (dy1, dy2, sy) = (y1 - y2, y3 - y2, y0 - y1 + y2 - y3);
    let denominator = dx1 * dy2 - dx2 * dy1;
    let (g, h) = (
        (sx * dy2 - dx2 * sy) / denominator,
        (dx1 * sy - sx * dy1) / denominator,
    );
    [
        x1 - x0 + g * x1,
        x3 - x0 + h * x3,
        x0,
        y1 - y0 + g * y1,
        y3 - y0 + h * y3,
        y0,
        g,
        h,
        1.0,
    ]
}

fn times(a: &[f32; 9], b: &[f32; 9]) -> [f32; 9] {
    std::array::from_fn(|i| (0..3).map(|k| a[i / 3 * 3 + k] * b[k * 3 + i % 3]).sum())
}

/// The inverse up to a factor, which a projection does not see.
fn inverse(m: &[f32; 9]) -> [f32; 9] {
    let minor = |a: usize, b: usize, c: usize, d: usize| m[a] * m[d] - m[b] * m[c];
    [
        minor(4, 5, 7, 8),
        -minor(1, 2, 7, 8),
        minor(1, 2, 4, 5),
        -minor(3, 5, 6, 8),
        minor(0, 2, 6, 8),
        -minor(0, 2, 3, 5),
        minor(3, 4, 6, 7),
        -minor(0, 1, 6, 7),
        minor(0, 1, 3, 4),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn corners_land_where_they_should_and_every_point_comes_back(
            jitter in proptest::array::uniform8(-60.0f32..60.0), curl in -30.0f32..30.0, crest in 0.2f32..0.8,
            x in 0.0f32..600.0, y in 0.0f32..400.0,
        ) {
            let corners = [
                [80.0 + jitter[0], 70.0 + jitter[1]],
                [700.0 + jitter[2], 70.0 + jitter[3]],
                [700.0 + jitter[4], 500.0 + jitter[5]],
                [80.0 + jitter[6], 500.0 + jitter[7]],
            ];
            let warp = Warp::new(600.0, 400.0, corners, curl, crest);
            for (from, to) in [[0.0, 0.0], [600.0, 0.0], [600.0, 400.0], [0.0, 400.0]].iter().zip(corners) {
                let [a, b] = warp.forth(*from);
                prop_assert!((a - to[0]).abs() < 0.1 && (b - to[1]).abs() < 0.1, "{from:?}: {a} {b}, expected {to:?}");
            }
            let [a, b] = warp.back(warp.forth([x, y]));
            prop_assert!((a - x).abs() < 0.1 && (b - y).abs() < 0.1, "{x} {y}: {a} {b}");
        }
    }
}
