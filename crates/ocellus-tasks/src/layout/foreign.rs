//! Which ink within a strip is not of its line: rules, descenders of the line above, the next chunk's letters.

use super::components::Components;
use super::found::Found;
use super::glyphs::Glyph;
use super::rect::Rect;
use super::rules::Rules;

/// For every run of ink the line it belongs to.
pub(super) struct Owners<'a> {
    components: &'a Components,
    /// Line of each run; [`NOBODY`] if it is of none.
    line: Vec<u32>,
}

const NOBODY: u32 = u32::MAX;

const CLEAR: u8 = 0;
const FOREIGN: u8 = 1;
const OWN: u8 = 2;

impl<'a> Owners<'a> {
    pub fn new(components: &'a Components, glyphs: &[Glyph], lines: &[Found]) -> Self {
        // A component that was cut between two lines has several glyphs, one above the other.
        let mut by_component: Vec<(u32, i32, i32, u32)> = lines
            .iter()
            .enumerate()
            .flat_map(|(line, found)| found.group.glyphs.iter().map(move |&glyph| (line, glyph)))
            .map(|(line, glyph)| {
                let Glyph { rect, component, .. } = &glyphs[glyph];
                (*component, rect.y0, rect.y1, line as u32)
            })
            .collect();
        by_component.sort_unstable();
        let mut first = vec![NOBODY; components.all.len()];
        for (position, entry) in by_component.iter().enumerate().rev() {
            first[entry.0 as usize] = position as u32;
        }
        let owner = |component: u32, y: i32| {
            let start = first[component as usize];
            if start == NOBODY {
                return NOBODY;
            }
            by_component[start as usize..]
                .iter()
                .take_while(|entry| entry.0 == component)
                .find(|entry| (entry.1..entry.2).contains(&y))
                .map_or(NOBODY, |entry| entry.3)
        };
        let line = components
            .runs
            .iter()
            .map(|run| owner(run.component, run.y as i32))
            .collect();
        Self { components, line }
    }

    /// Boxes of foreign ink within `strip`, a pixel wider than the ink all around; never over the line's own ink
    /// inside the chunk's box `ink`.
    pub fn foreign(&self, line: usize, strip: Rect, ink: [f32; 4], rules: &Rules) -> Vec<[f32; 4]> {
        let (width, height) = (strip.width() as usize, strip.height() as usize);
        let mut map = vec![CLEAR; width * height];
        let mut any = false;
        let mut paint = |rect: Rect, value: u8| {
            let (x0, x1) = (rect.x0.max(strip.x0), rect.x1.min(strip.x1));
            let (y0, y1) = (rect.y0.max(strip.y0), rect.y1.min(strip.y1));
            if x0 < x1 {
                for y in y0..y1 {
                    let row = (y - strip.y0) as usize * width;
                    map[row + (x0 - strip.x0) as usize..row + (x1 - strip.x0) as usize].fill(value);
                    any |= value == FOREIGN;
                }
            }
        };
        for rule in rules.horizontal.iter().chain(&rules.vertical) {
            paint(*rule, FOREIGN);
        }
        let runs = &self.components.runs;
        let start = runs.partition_point(|run| (run.y as i32) < strip.y0);
        let end = runs.partition_point(|run| (run.y as i32) < strip.y1);
        for (run, &owner) in runs[start..end].iter().zip(&self.line[start..end]) {
            let y = run.y as i32;
            let rect = Rect {
                x0: run.x0 as i32,
                y0: y,
                x1: run.x1 as i32,
                y1: y + 1,
            };
            let beside = rect.x1 as f32 <= ink[0] || rect.x0 as f32 >= ink[2];
            if owner == line as u32 && !beside {
                paint(rect, OWN);
            } else if owner != NOBODY {
                paint(rect, FOREIGN);
            }
        }
        if any {
            boxes(&widened(&map, width, height), strip)
        } else {
            Vec::new()
        }
    }
}

/// Lets foreign ink take the clear pixels around it: the soft edge of its letters.
fn widened(map: &[u8], width: usize, height: usize) -> Vec<u8> {
    let mut wide = map.to_vec();
    for y in 0..height {
        for x in 0..width {
            if map[y * width + x] != FOREIGN {
                continue;
            }
            for near_y in y.saturating_sub(1)..(y + 2).min(height) {
                for near_x in x.saturating_sub(1)..(x + 2).min(width) {
                    let near = &mut wide[near_y * width + near_x];
                    if *near == CLEAR {
                        *near = FOREIGN;
                    }
                }
            }
        }
    }
    wide
}

/// The foreign pixels as boxes; equal spans of consecutive rows make one box.
fn boxes(map: &[u8], strip: Rect) -> Vec<[f32; 4]> {
    let width = strip.width() as usize;
    let mut boxes: Vec<Rect> = Vec::new();
    for (index, row) in map.chunks_exact(width).enumerate() {
        let y = strip.y0 + index as i32;
        let mut x = 0;
        while x < width {
            let length = row[x..].iter().take_while(|&&value| value == FOREIGN).count();
            if length == 0 {
                x += 1;
                continue;
            }
            let (x0, x1) = (strip.x0 + x as i32, strip.x0 + (x + length) as i32);
            match boxes
                .iter_mut()
                .find(|rect| rect.y1 == y && rect.x0 == x0 && rect.x1 == x1)
            {
                Some(rect) => rect.y1 += 1,
                None => boxes.push(Rect {
                    x0,
                    y0: y,
                    x1,
                    y1: y + 1,
                }),
            }
            x += length;
        }
    }
    boxes
        .iter()
        .map(|rect| [rect.x0, rect.y0, rect.x1, rect.y1].map(|side| side as f32))
        .collect()
}
