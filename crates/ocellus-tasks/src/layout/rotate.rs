//! Turning a page upright, and mapping boxes back.

use ocellus_media::Gray;

/// A turn about the page's centre onto a canvas that holds the whole page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Turn {
    sin: f32,
    cos: f32,
    /// Centre of the page as it is.
    from: (f32, f32),
    /// Centre of the canvas.
    to: (f32, f32),
    canvas: (u32, u32),
}

impl Turn {
    /// The turn that makes lines level which fall by `degrees` to the right.
    pub fn levelling(degrees: f32, width: u32, height: u32) -> Self {
        // Quarter turns move pixels and mix none, so they must be exact.
        let (sin, cos) = match degrees.rem_euclid(360.0) {
            0.0 => (0.0, 1.0),
            90.0 => (1.0, 0.0),
            180.0 => (0.0, -1.0),
            270.0 => (-1.0, 0.0),
            _ => degrees.to_radians().sin_cos(),
        };
        let (w, h) = (width as f32, height as f32);
        let canvas = (
            (w * cos.abs() + h * sin.abs()).ceil().max(1.0),
            (w * sin.abs() + h * cos.abs()).ceil().max(1.0),
        );
        Self {
            sin,
            cos,
            from: (w / 2.0, h / 2.0),
            to: (canvas.0 / 2.0, canvas.1 / 2.0),
            canvas: (canvas.0 as u32, canvas.1 as u32),
        }
    }

    /// Width of the canvas.
    pub fn width(&self) -> u32 {
        self.canvas.0
    }

    /// From the canvas to the page.
    pub fn back(&self, x: f32, y: f32) -> (f32, f32) {
        let (dx, dy) = (x - self.to.0, y - self.to.1);
        (
            self.from.0 + dx * self.cos - dy * self.sin,
            self.from.1 + dx * self.sin + dy * self.cos,
        )
    }

    /// From the page to the canvas.
    pub fn forth(&self, x: f32, y: f32) -> (f32, f32) {
        let (dx, dy) = (x - self.from.0, y - self.from.1);
        (
            self.to.0 + dx * self.cos + dy * self.sin,
            self.to.1 - dx * self.sin + dy * self.cos,
        )
    }

    /// The upright box on the page around a box `[x1, y1, x2, y2]` on the canvas.
    pub fn back_box(&self, [x1, y1, x2, y2]: [f32; 4]) -> [f32; 4] {
        self.back_quad([x1, y1, x2, y2]).iter().fold(
            [f32::MAX, f32::MAX, f32::MIN, f32::MIN],
            |around, &[x, y]| {
                [
                    around[0].min(x),
                    around[1].min(y),
                    around[2].max(x),
                    around[3].max(y),
                ]
            },
        )
    }

    /// The corners on the page of a box on the canvas, clockwise from the left upper one.
    pub fn back_quad(&self, [x1, y1, x2, y2]: [f32; 4]) -> [[f32; 2]; 4] {
        [(x1, y1), (x2, y1), (x2, y2), (x1, y2)].map(|(x, y)| self.back(x, y).into())
    }

    /// The page on the canvas, bilinear; outside the page it is mirrored, so that paper stays paper.
    pub fn apply(&self, page: &Gray) -> Gray {
        let (width, height) = self.canvas;
        let (last_x, last_y) = (page.width as i32 - 1, page.height as i32 - 1);
        let mut data = Vec::with_capacity(width as usize * height as usize);
        let stride = page.width as usize;
        for y in 0..height {
            let (x0, y0) = self.back(0.5, y as f32 + 0.5);
            // 16.16 fixed point along the row.
            let mut px = ((x0 - 0.5) * 65536.0) as i64;
            let mut py = ((y0 - 0.5) * 65536.0) as i64;
            let (step_x, step_y) = ((self.cos * 65536.0) as i64, (self.sin * 65536.0) as i64);
            for _ in 0..width {
                let (x, y) = ((px >> 16) as i32, (py >> 16) as i32);
                let (fx, fy) = ((px & 0xffff) as i32 >> 8, (py & 0xffff) as i32 >> 8);
                let (left, right) = (mirror(x, last_x), mirror(x + 1, last_x));
                let (top, bottom) = (mirror(y, last_y) * stride, mirror(y + 1, last_y) * stride);
                let at = |index: usize| i32::from(page.data[index]);
                let above = at(top + left) * (256 - fx) + at(top + right) * fx;
                let below = at(bottom + left) * (256 - fx) + at(bottom + right) * fx;
                data.push(((above * (256 - fy) + below * fy + 0x8000) >> 16) as u8);
                px += step_x;
                py += step_y;
            }
        }
        Gray { width, height, data }
    }
}

/// The pixel that stands for `at` in `0..=last`, mirrored at either end.
fn mirror(at: i32, last: i32) -> usize {
    let at = if at < 0 { -at } else { at };
    (if at > last { 2 * last - at } else { at }).clamp(0, last) as usize
}
