//! Outlines of a whole run as one list of segments in pixels, ready to be filled.

use ab_glyph_rasterizer::{Point, Rasterizer, point};
use skrifa::GlyphId;
use skrifa::instance::{LocationRef, Size};
use skrifa::outline::{DrawSettings, OutlinePen};

use crate::face::Face;
use crate::plane::Plane;
use crate::shape::Placed;

#[derive(Debug, Clone, Copy)]
enum Segment {
    Line([f32; 2], [f32; 2]),
    Quad([f32; 2], [f32; 2], [f32; 2]),
    Cubic([f32; 2], [f32; 2], [f32; 2], [f32; 2]),
}

/// A filled shape in pixels: x to the right, y downwards from the baseline.
#[derive(Debug, Clone)]
pub(crate) struct Outline {
    segments: Vec<Segment>,
    /// Smallest and largest coordinates of the points on the curve.
    pub low: [f32; 2],
    pub high: [f32; 2],
    from: [f32; 2],
    last: [f32; 2],
    origin: [f32; 2],
    scale: [f32; 2],
    slant: f32,
}

impl Outline {
    pub(crate) fn new() -> Self {
        Self {
            segments: Vec::new(),
            low: [f32::MAX; 2],
            high: [f32::MIN; 2],
            from: [0.0; 2],
            last: [0.0; 2],
            origin: [0.0; 2],
            scale: [1.0; 2],
            slant: 0.0,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Adds glyphs of `face`: `place` maps a glyph's origin in em to pixels, `scale` is the em in pixels along x and
    /// y, and `slant` leans the shapes to the right.
    pub(crate) fn add(
        &mut self,
        face: &Face,
        glyphs: &[Placed],
        place: impl Fn(f32, f32) -> [f32; 2],
        scale: [f32; 2],
        slant: f32,
    ) {
        let Some(outlines) = face.outlines() else { return };
        let settings = || DrawSettings::unhinted(Size::new(1.0), LocationRef::default());
        (self.scale, self.slant) = (scale, slant);
        for glyph in glyphs {
            self.origin = place(glyph.x, glyph.y);
            if let Some(outline) = outlines.get(GlyphId::new(glyph.glyph)) {
                // Faces are checked on loading; a glyph that cannot be drawn leaves a blank.
                let _ = outline.draw(settings(), self);
            }
        }
    }

    /// Fills the shape on a plane of `width` x `height` px: coverage 0..=1. `shift` is added to the coordinates;
    /// then the picture turns by `turn` (in y per x) about the origin.
    pub(crate) fn fill(&self, width: usize, height: usize, shift: [f32; 2], turn: f32) -> Plane {
        let mut raster = Rasterizer::new(width, height);
        let (w, h) = (width as f32, height as f32);
        // The rasteriser takes no x outside the plane; on the nearest edge a point keeps its winding.
        let edge = (w - 0.01).max(0.0);
        let to = |p: [f32; 2]| -> Point {
            point(
                (p[0] + shift[0] - turn * p[1]).clamp(0.0, edge),
                p[1] + shift[1] + turn * p[0],
            )
        };
        for segment in &self.segments {
            let points: [Point; 4] = match *segment {
                Segment::Line(a, b) => [to(a), to(a), to(b), to(b)],
                Segment::Quad(a, b, c) => [to(a), to(b), to(b), to(c)],
                Segment::Cubic(a, b, c, d) => [to(a), to(b), to(c), to(d)],
            };
            // Shapes above or below the plane add nothing to it.
            if points.iter().all(|p| p.y < 0.0) || points.iter().all(|p| p.y >= h) {
                continue;
            }
            match segment {
                Segment::Line(..) => raster.draw_line(points[0], points[3]),
                Segment::Quad(..) => raster.draw_quad(points[0], points[1], points[3]),
                Segment::Cubic(..) => raster.draw_cubic(points[0], points[1], points[2], points[3]),
            }
        }
        let mut plane = Plane::filled(width, height, 0.0);
        raster.for_each_pixel(|i, coverage| plane.data[i] = coverage.min(1.0));
        plane
    }

    fn point_px(&self, x: f32, y: f32) -> [f32; 2] {
        let y = -y * self.scale[1];
        [
            self.origin[0] + x * self.scale[0] - y * self.slant,
            self.origin[1] + y,
        ]
    }

    fn reach(&mut self, p: [f32; 2]) {
        self.low = [self.low[0].min(p[0]), self.low[1].min(p[1])];
        self.high = [self.high[0].max(p[0]), self.high[1].max(p[1])];
        self.last = p;
    }
}

impl OutlinePen for Outline {
    fn move_to(&mut self, x: f32, y: f32) {
        let p = self.point_px(x, y);
        self.reach(p);
        self.from = p;
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let p = self.point_px(x, y);
        self.segments.push(Segment::Line(self.last, p));
        self.reach(p);
    }

    fn quad_to(&mut self, x0: f32, y0: f32, x: f32, y: f32) {
        let (c, p) = (self.point_px(x0, y0), self.point_px(x, y));
        self.segments.push(Segment::Quad(self.last, c, p));
        self.reach(p);
    }

    fn curve_to(&mut self, x0: f32, y0: f32, x1: f32, y1: f32, x: f32, y: f32) {
        let (c, d, p) = (self.point_px(x0, y0), self.point_px(x1, y1), self.point_px(x, y));
        self.segments.push(Segment::Cubic(self.last, c, d, p));
        self.reach(p);
    }

    fn close(&mut self) {
        if self.last != self.from {
            self.segments.push(Segment::Line(self.last, self.from));
            self.last = self.from;
        }
    }
}
