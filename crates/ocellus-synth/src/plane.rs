//! A grey picture in floating point, where a line is composed and degraded: 0 is black, 1 is white.

use ocellus_media::Gray;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plane {
    pub width: usize,
    pub height: usize,
    /// Row-major, `width * height` values.
    pub data: Vec<f32>,
}

impl Plane {
    pub(crate) fn filled(width: usize, height: usize, level: f32) -> Self {
        Self {
            width,
            height,
            data: vec![level; width * height],
        }
    }

    pub(crate) fn row(&mut self, y: usize) -> &mut [f32] {
        let width = self.width;
        &mut self.data[y * width..][..width]
    }

    /// Paints `level` where `coverage` (of the same size) is 1, and in proportion elsewhere.
    pub(crate) fn paint(&mut self, coverage: &Plane, level: f32, gamma: f32) {
        for (pixel, &alpha) in self.data.iter_mut().zip(&coverage.data) {
            if alpha > 0.0 {
                let alpha = if gamma == 1.0 { alpha } else { alpha.powf(gamma) };
                *pixel += (level - *pixel) * alpha;
            }
        }
    }

    /// The same with a smaller coverage whose corner lies at `(x, y)`; what sticks out is left out.
    pub(crate) fn paint_at(&mut self, coverage: &Plane, (x, y): (isize, isize), level: f32, gamma: f32) {
        let (width, height) = (self.width as isize, self.height as isize);
        for (j, row) in coverage.data.chunks_exact(coverage.width).enumerate() {
            let down = y + j as isize;
            if down < 0 || down >= height {
                continue;
            }
            for (i, &alpha) in row.iter().enumerate() {
                let across = x + i as isize;
                if alpha > 0.0 && across >= 0 && across < width {
                    let alpha = if gamma == 1.0 { alpha } else { alpha.powf(gamma) };
                    let pixel = &mut self.data[(down * width + across) as usize];
                    *pixel += (level - *pixel) * alpha;
                }
            }
        }
    }

    /// Paints `level` on the rectangle from `(x0, y0)` to `(x1, y1)`, antialiased at its edges.
    pub(crate) fn rectangle(&mut self, x0: f32, y0: f32, x1: f32, y1: f32, level: f32) {
        let cover =
            |from: f32, to: f32, at: usize| (to.min(at as f32 + 1.0) - from.max(at as f32)).clamp(0.0, 1.0);
        let bound = |v: f32, size: usize| (v.max(0.0) as usize).min(size);
        let (left, right) = (bound(x0, self.width), bound(x1.ceil(), self.width));
        for y in bound(y0, self.height)..bound(y1.ceil(), self.height) {
            let down = cover(y0, y1, y);
            for x in left..right {
                let alpha = down * cover(x0, x1, x);
                let pixel = &mut self.data[y * self.width + x];
                *pixel += (level - *pixel) * alpha;
            }
        }
    }

    /// The rectangle `width` x `height` at `(x, y)`, which must lie inside.
    pub(crate) fn cut(&self, x: usize, y: usize, width: usize, height: usize) -> Self {
        let mut data = Vec::with_capacity(width * height);
        for row in y..y + height {
            data.extend_from_slice(&self.data[row * self.width + x..][..width]);
        }
        Self { width, height, data }
    }

    pub(crate) fn to_gray(&self) -> Gray {
        let data = self
            .data
            .iter()
            .map(|&v| (v.clamp(0.0, 1.0) * 255.0 + 0.5) as u8)
            .collect();
        Gray {
            width: self.width as u32,
            height: self.height as u32,
            data,
        }
    }

    pub(crate) fn replace(&mut self, levels: &[u8]) {
        for (pixel, &level) in self.data.iter_mut().zip(levels) {
            *pixel = f32::from(level) / 255.0;
        }
    }
}
