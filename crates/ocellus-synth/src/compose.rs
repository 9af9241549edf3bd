//! The line on its page: ground, neighbours, rules, ink.

use crate::crop::Frame;
use crate::line::Line;
use crate::plane::Plane;
use crate::random::Rng;
use crate::style::Style;

/// Pixels around the frame that the degradations may draw on.
pub(crate) const BORDER_PX: usize = 4;

/// Paints `line` so that `frame`'s corner lies at about `(BORDER_PX, BORDER_PX)`. Returns the plane and where on it the
/// line's origin is.
pub(crate) fn compose(
    rng: &mut Rng,
    line: &Line,
    frame: &Frame,
    style: &Style,
    neighbour: Option<&Line>,
) -> (Plane, [f32; 2]) {
    let width = (frame.right - frame.left).ceil() as usize + 2 * BORDER_PX;
    let height = (frame.bottom - frame.top).ceil() as usize + 2 * BORDER_PX;
    let border = BORDER_PX as f32;
    let mut origin = [
        border - frame.left + rng.unit() * 0.9,
        border - frame.top + rng.unit() * 0.9,
    ];
    if style.whole_px {
        origin = [origin[0].round(), origin[1].round()];
    }
    let mut plane = Plane::filled(width, height, style.ground);
    if !style.clean && rng.chance(0.15) {
        gradient(rng, &mut plane);
    }
    // The page turns about the middle of the line, so that the crop stays around it.
    let middle = 0.5 * (frame.right + frame.left);
    let limit = 0.1 * (frame.bottom - frame.top) / (0.5 * (frame.right - frame.left)).max(1.0);
    let turn = style.turn.clamp(-limit, limit);
    let shift = [origin[0], origin[1] - turn * middle];
    if let Some(other) = neighbour {
        let height = line.ascent_px + line.descent_px;
        let pitch = height * rng.between(1.02, 1.3);
        let ink = style.runs[0].ink;
        for side in [-1.0, 1.0] {
            if rng.chance(0.8) {
                let along = rng.between(-0.6, 0.0) * other.advance_px
                    + if side > 0.0 { 0.3 * other.advance_px } else { 0.0 };
                for run in other.runs.iter().filter(|run| !run.outline.is_empty()) {
                    let coverage = run.outline.fill(
                        width,
                        height_of(&plane),
                        [shift[0] + along, shift[1] + side * pitch],
                        turn,
                    );
                    plane.paint(&coverage, ink, style.gamma);
                }
            }
        }
    }
    if !style.clean || rng.chance(0.1) {
        rules(rng, &mut plane, line, frame, shift, style);
    }
    for run in &line.runs {
        if !run.outline.is_empty() {
            let coverage = run.outline.fill(width, height_of(&plane), shift, turn);
            plane.paint(&coverage, run.ink, style.gamma);
        }
        for &[x0, x1, y0, y1] in &run.rules {
            let down = shift[1] + turn * 0.5 * (x0 + x1);
            let snap = if style.whole_px {
                (down + y0).round() - (down + y0)
            } else {
                0.0
            };
            plane.rectangle(
                shift[0] + x0,
                down + y0 + snap,
                shift[0] + x1,
                down + y1 + snap,
                run.ink,
            );
        }
    }
    (plane, [origin[0], origin[1]])
}

fn height_of(plane: &Plane) -> usize {
    plane.height
}

/// Light that changes evenly across the page.
fn gradient(rng: &mut Rng, plane: &mut Plane) {
    let (from, to, down) = (
        rng.between(-0.1, 0.1),
        rng.between(-0.1, 0.1),
        rng.between(-0.05, 0.05),
    );
    let (width, height) = (plane.width as f32, plane.height as f32);
    for y in 0..plane.height {
        for (x, pixel) in plane.row(y).iter_mut().enumerate() {
            *pixel += from + (to - from) * x as f32 / width + down * y as f32 / height;
        }
    }
}

/// Rules above and below, and borders left and right, clear of the letters.
fn rules(rng: &mut Rng, plane: &mut Plane, line: &Line, frame: &Frame, shift: [f32; 2], style: &Style) {
    let height = line.ascent_px + line.descent_px;
    let level = style.ground + (style.runs[0].ink - style.ground) * rng.between(0.3, 1.0);
    let thick = (height * rng.between(0.03, 0.1)).max(0.8);
    if rng.chance(0.06) {
        let y = shift[1] + line.descent_px.max(line.ink_high[1]) + height * rng.between(0.02, 0.15);
        plane.rectangle(0.0, y, plane.width as f32, y + thick, level);
    }
    if rng.chance(0.05) {
        let y = shift[1] + (-line.ascent_px).min(line.ink_low[1]) - height * rng.between(0.02, 0.15) - thick;
        plane.rectangle(0.0, y, plane.width as f32, y + thick, level);
    }
    // Well clear of the letters: close by, a rule would read as a bar.
    let clear = 1.5 / frame.scale + 0.2 * height;
    if rng.chance(0.05) {
        let x = shift[0] + line.ink_low[0] - clear - rng.between(0.0, 0.2) * height - thick;
        plane.rectangle(x, 0.0, x + thick, plane.height as f32, level);
    }
    if rng.chance(0.05) {
        let x = shift[0] + line.ink_high[0] + clear + rng.between(0.0, 0.2) * height;
        plane.rectangle(x, 0.0, x + thick, plane.height as f32, level);
    }
}
