//! From dark and light to ink and ground, by how components lie inside one another.
//!
//! On paper, dark components are ink; in a dark box, or on a dark screen, the light ones are. Every component of
//! the binary page (dark or light) has the component around it as parent. A child of ground is ink, a child of ink
//! is ground (the inside of an `o`, a cell of a table), except where a component that should be ink is a filled
//! box with writing on it: that one is ground as well, and its children are ink.

use super::components::{Components, Mask, Of, label};

/// What would be ink is ground if it is a solid box with writing in it.
#[derive(Default, Clone, Copy)]
struct Inside {
    /// Children that could be letters of a box's text.
    letters: u32,
    /// Pixels on the four sides of the bounding box.
    rim: u32,
    /// Area of all children.
    holes: u32,
}

/// The ink of a page as 1, given its dark pixels as 1.
pub(super) fn ink(dark: &Mask) -> Mask {
    let components = label(dark, Of::Both);
    let parents = parents(&components);
    let inside = inside(&components, &parents);
    let paper = border_value(dark);

    let mut is_ground = vec![false; components.all.len()];
    for (index, component) in components.all.iter().enumerate() {
        let on_ground = match parents[index] {
            None if component.value == paper => {
                is_ground[index] = true;
                continue;
            }
            None => true,
            // Parents come first in raster order.
            Some(parent) => is_ground[parent as usize],
        };
        is_ground[index] = !on_ground || is_box(&components, index, inside[index]);
    }

    let mut ink = Mask::empty(dark.width, dark.height);
    for run in &components.runs {
        if !is_ground[run.component as usize] {
            ink.paint(run, 1);
        }
    }
    ink
}

/// The component around each one: the one left of its first pixel. `None` at the left side of the page.
fn parents(components: &Components) -> Vec<Option<u32>> {
    let around = |first_run: u32| {
        let run = components.runs[first_run as usize];
        (run.x0 > 0).then(|| components.runs[first_run as usize - 1].component)
    };
    components
        .all
        .iter()
        .map(|component| around(component.first_run))
        .collect()
}

fn inside(components: &Components, parents: &[Option<u32>]) -> Vec<Inside> {
    let mut inside = vec![Inside::default(); components.all.len()];
    for run in &components.runs {
        let rect = components.all[run.component as usize].rect;
        let entry = &mut inside[run.component as usize];
        let y = run.y as i32;
        if y == rect.y0 || y + 1 == rect.y1 {
            entry.rim += run.length();
        } else {
            entry.rim += u32::from(run.x0 as i32 == rect.x0) + u32::from(run.x1 as i32 == rect.x1);
        }
    }
    for (component, parent) in components.all.iter().zip(parents) {
        let Some(parent) = parent else { continue };
        let around = components.all[*parent as usize].rect;
        let entry = &mut inside[*parent as usize];
        entry.holes += component.area;
        let height = component.rect.height();
        if height >= 5 && component.rect.width() >= 2 && height * 10 <= around.height() * 9 {
            entry.letters += 1;
        }
    }
    inside
}

fn is_box(components: &Components, index: usize, inside: Inside) -> bool {
    let component = components.all[index];
    let (width, height) = (component.rect.width(), component.rect.height());
    if height < 9 || width < 12 || inside.letters < 2 {
        return false;
    }
    let whole = (width as f32) * (height as f32);
    let own = component.area as f32 / whole;
    let filled = (component.area as f32 + inside.holes as f32) / whole;
    if own < 0.4 || filled < 0.75 {
        return false;
    }
    // An ideograph is also a solid square with holes, but it has few, and it is not wide.
    let wide = width >= 2 * height;
    let enough_letters = if wide {
        inside.letters >= 2
    } else {
        inside.letters >= 12
    };
    let rim = inside.rim as f32 / (2 * (width + height) - 4) as f32;
    enough_letters && (rim >= 0.6 || (height >= 60 && filled >= 0.85) || (own >= 0.65 && filled >= 0.9))
}

/// The value of most pixels on the page's rim.
fn border_value(mask: &Mask) -> u8 {
    let (width, height) = (mask.width, mask.height);
    let rows = (0..width).map(|x| mask.at(x, 0) as usize + mask.at(x, height - 1) as usize);
    let columns = (0..height).map(|y| mask.at(0, y) as usize + mask.at(width - 1, y) as usize);
    let dark: usize = rows.chain(columns).sum();
    u8::from(dark > width + height)
}
