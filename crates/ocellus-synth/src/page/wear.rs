//! What happens to a page between the printer and the file: a screenshot, a scan, a fax, a photograph, or nothing.

use crate::degrade;
use crate::plane::Plane;
use crate::random::Rng;

use super::canvas::Canvas;
use super::truth::{Page, PageKind, PageLine};
use super::warp::Warp;

/// How a page came into the file.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    File,
    Scan,
    Fax,
    Photograph,
}

pub(super) fn wear(rng: &mut Rng, canvas: Canvas, kind: PageKind, difficulty: f32) -> Page {
    let weights = match kind {
        PageKind::Screen => [0.85, 0.0, 0.0, 0.15],
        PageKind::Slide => [0.7, 0.1, 0.0, 0.2],
        PageKind::Receipt => [0.15, 0.25, 0.05, 0.55],
        PageKind::Article | PageKind::Form | PageKind::Table => [0.35, 0.3, 0.13, 0.22],
    };
    let way = if rng.chance(difficulty) {
        [Way::File, Way::Scan, Way::Fax, Way::Photograph][rng.weighted(&weights)]
    } else {
        Way::File
    };
    let Canvas {
        mut plane, mut lines, ..
    } = canvas;
    // Text that is hard to see on its ground is not asked for.
    lines.retain(|line| !line.chars.is_empty());
    if rng.chance(0.12) && way != Way::File {
        ground(rng, &mut plane);
    }
    let mut turned = 0;
    match way {
        Way::File => {
            if rng.chance(0.3 * difficulty) {
                let strength = rng.unit() * difficulty;
                degrade::jpeg(&mut plane, rng, strength * 0.8);
            }
        }
        Way::Scan | Way::Fax => {
            let angle = if rng.chance(0.6) {
                rng.normal().clamp(-2.5, 2.5) * 0.012
            } else {
                0.0
            };
            plane = turn(rng, &plane, &mut lines, angle);
            scan(rng, &mut plane, way, difficulty);
        }
        Way::Photograph => {
            plane = photograph(rng, &plane, &mut lines, difficulty);
        }
    }
    if rng.chance(0.06 * difficulty) {
        turned = [90, 180, 270][rng.below(3)];
        plane = quarter_turns(&plane, &mut lines, turned);
    }
    // What a view cuts off is no longer on the page.
    let (width, height) = (plane.width as f32, plane.height as f32);
    let inside = |line: &PageLine| {
        line.chars
            .iter()
            .flatten()
            .all(|p| p[0] >= 0.0 && p[1] >= 0.0 && p[0] <= width && p[1] <= height)
    };
    lines.retain(inside);
    Page {
        kind,
        image: plane.to_gray(),
        lines,
        turned,
    }
}

/// Paper or a print behind the text: grain, slow changes, pale shapes.
fn ground(rng: &mut Rng, plane: &mut Plane) {
    let strength = 0.3 * rng.unit();
    degrade::paper(plane, rng, strength);
    let (width, height) = (plane.width as f32, plane.height as f32);
    for _ in 0..rng.int(1, 6) {
        let (x, y) = (rng.unit() * width, rng.unit() * height);
        let (w, h) = (rng.between(0.05, 0.6) * width, rng.between(0.05, 0.5) * height);
        let shade = rng.between(0.86, 1.0);
        for row in (y as usize)..((y + h) as usize).min(plane.height) {
            let end = ((x + w) as usize).min(plane.width);
            for level in &mut plane.row(row)[(x as usize).min(end)..end] {
                *level *= shade;
            }
        }
    }
}

fn moved(lines: &mut [PageLine], to: impl Fn([f32; 2]) -> [f32; 2]) {
    for line in lines {
        line.chars.iter_mut().flatten().for_each(|p| *p = to(*p));
        line.baseline.iter_mut().for_each(|p| *p = to(*p));
    }
}

/// The picture of `plane` through `warp`, `width` x `height`; what is not paper comes from `beside`.
fn view(
    plane: &Plane,
    warp: &Warp,
    (width, height): (usize, usize),
    beside: impl Fn(usize, usize) -> f32,
) -> Plane {
    let mut out = Plane::filled(width, height, 0.0);
    let (last_x, last_y) = (plane.width - 1, plane.height - 1);
    for y in 0..height {
        for x in 0..width {
            let [u, v] = warp.back([x as f32 + 0.5, y as f32 + 0.5]);
            let (u, v) = (u - 0.5, v - 0.5);
            out.data[y * width + x] =
                if u < -0.5 || v < -0.5 || u > last_x as f32 + 0.5 || v > last_y as f32 + 0.5 {
                    beside(x, y)
                } else {
                    let (u, v) = (u.clamp(0.0, last_x as f32), v.clamp(0.0, last_y as f32));
                    let (i, j) = (u as usize, v as usize);
                    let (i1, j1) = ((i + 1).min(last_x), (j + 1).min(last_y));
                    let (a, b) = (u - i as f32, v - j as f32);
                    let at = |i: usize, j: usize| plane.data[j * plane.width + i];
                    let top = at(i, j) + (at(i1, j) - at(i, j)) * a;
                    let bottom = at(i, j1) + (at(i1, j1) - at(i, j1)) * a;
                    top + (bottom - top) * b
                };
        }
    }
    out
}

/// A page that lies a little askew on the glass.
fn turn(rng: &mut Rng, plane: &Plane, lines: &mut [PageLine], angle: f32) -> Plane {
    if angle == 0.0 {
        return plane.clone();
    }
    let (w, h) = (plane.width as f32, plane.height as f32);
    let (sin, cos) = angle.sin_cos();
    let about = |x: f32, y: f32| {
        let (dx, dy) = (x - w / 2.0, y - h / 2.0);
        [w / 2.0 + dx * cos - dy * sin, h / 2.0 + dx * sin + dy * cos]
    };
    let warp = Warp::new(
        w,
        h,
        [about(0.0, 0.0), about(w, 0.0), about(w, h), about(0.0, h)],
        0.0,
        0.5,
    );
    let glass = if rng.chance(0.8) {
        plane.data[0]
    } else {
        rng.unit()
    };
    moved(lines, |p| warp.forth(p));
    view(plane, &warp, (plane.width, plane.height), |_, _| glass)
}

fn scan(rng: &mut Rng, plane: &mut Plane, way: Way, difficulty: f32) {
    let strength = |rng: &mut Rng| rng.unit() * difficulty;
    if way == Way::Fax {
        let s = strength(rng);
        degrade::blur(plane, rng, s * 0.5);
        let s = strength(rng);
        degrade::noise(plane, rng, s);
        let s = strength(rng);
        degrade::threshold(plane, rng, s);
        if rng.chance(0.4) {
            let s = strength(rng) * 0.3;
            degrade::specks(plane, rng, s);
        }
        return;
    }
    // How often, and how strong at most.
    let steps: [(f32, f32, degrade::Degradation); 6] = [
        (0.7, 0.7, degrade::blur),
        (0.5, 0.7, degrade::spread),
        (0.4, 0.25, degrade::paper),
        (0.5, 0.7, degrade::noise),
        (0.25, 0.7, degrade::fade),
        (0.6, 0.7, degrade::jpeg),
    ];
    for (chance, most, step) in steps {
        if rng.chance(chance) {
            let s = strength(rng) * most;
            step(plane, rng, s);
        }
    }
    if rng.chance(0.15) {
        // The gutter of a book: the paper darkens towards one side.
        let left = rng.chance(0.5);
        let reach = plane.width as f32 * rng.between(0.05, 0.15);
        let width = plane.width;
        for y in 0..plane.height {
            for (x, level) in plane.row(y).iter_mut().enumerate() {
                let from = if left { x } else { width - 1 - x } as f32;
                *level *= 1.0 - 0.75 * (1.0 - from / reach).max(0.0).powi(2);
            }
        }
    }
}

/// The page on a table: in perspective, curled, unevenly lit, a little blurred.
fn photograph(rng: &mut Rng, plane: &Plane, lines: &mut [PageLine], difficulty: f32) -> Plane {
    let (w, h) = (plane.width as f32, plane.height as f32);
    let margin = rng.between(0.0, 0.08) * w.max(h);
    let (width, height) = (w + 2.0 * margin, h + 2.0 * margin);
    let most = 0.045 * difficulty * w.min(h);
    let turn = rng.normal().clamp(-2.0, 2.0) * 0.025 * difficulty;
    let mut corner = |x: f32, y: f32| {
        let (dx, dy) = (x - w / 2.0, y - h / 2.0);
        [
            width / 2.0 + dx - dy * turn + rng.between(-most, most),
            height / 2.0 + dy + dx * turn + rng.between(-most, most),
        ]
    };
    let corners = [corner(0.0, 0.0), corner(w, 0.0), corner(w, h), corner(0.0, h)];
    let curl = if rng.chance(0.5) {
        rng.between(-0.02, 0.02) * difficulty * w
    } else {
        0.0
    };
    let warp = Warp::new(w, h, corners, curl, rng.between(0.25, 0.75));
    moved(lines, |p| warp.forth(p));
    // The table: a level with a grain along x.
    let table = rng.between(0.05, 0.6);
    let grain: Vec<f32> = (0..height as usize + 1)
        .map(|_| table + 0.03 * rng.normal())
        .collect();
    let mut out = view(plane, &warp, (width as usize, height as usize), |_, y| grain[y]);
    light(rng, &mut out, difficulty);
    let s = rng.unit() * 0.6 * difficulty;
    degrade::blur(&mut out, rng, s);
    let s = rng.unit() * 0.6 * difficulty;
    degrade::noise(&mut out, rng, s);
    let s = rng.unit() * 0.7 * difficulty;
    degrade::jpeg(&mut out, rng, s);
    out
}

/// Light that falls off, and at times a shadow with a soft edge.
fn light(rng: &mut Rng, plane: &mut Plane, difficulty: f32) {
    let (w, h) = (plane.width as f32, plane.height as f32);
    let (bright, across, down) = (
        rng.between(0.7, 1.0),
        rng.between(-0.25, 0.25) * difficulty,
        rng.between(-0.25, 0.25) * difficulty,
    );
    let shadow = rng.chance(0.45 * difficulty).then(|| {
        let (angle, at) = (rng.between(0.0, std::f32::consts::TAU), rng.between(-0.25, 0.35));
        (
            angle.sin(),
            angle.cos(),
            at,
            rng.between(0.01, 0.2),
            rng.between(0.45, 0.85),
        )
    });
    for y in 0..plane.height {
        let v = y as f32 / h - 0.5;
        for (x, level) in plane.row(y).iter_mut().enumerate() {
            let u = x as f32 / w - 0.5;
            let mut lit = bright + across * u + down * v;
            if let Some((sin, cos, at, soft, dark)) = shadow {
                let depth = ((u * cos + v * sin - at) / soft + 0.5).clamp(0.0, 1.0);
                lit *= 1.0 - (1.0 - dark) * depth;
            }
            *level *= lit;
        }
    }
}

/// The page turned clockwise by 90, 180 or 270 degrees.
fn quarter_turns(plane: &Plane, lines: &mut [PageLine], degrees: u32) -> Plane {
    let (w, h) = (plane.width, plane.height);
    let (width, height) = if degrees == 180 { (w, h) } else { (h, w) };
    let to = |p: [f32; 2]| match degrees {
        90 => [h as f32 - p[1], p[0]],
        180 => [w as f32 - p[0], h as f32 - p[1]],
        _ => [p[1], w as f32 - p[0]],
    };
    moved(lines, to);
    let mut out = Plane::filled(width, height, 0.0);
    for y in 0..h {
        for x in 0..w {
            let [u, v] = to([x as f32 + 0.5, y as f32 + 0.5]);
            out.data[v as usize * width + u as usize] = plane.data[y * w + x];
        }
    }
    out
}
