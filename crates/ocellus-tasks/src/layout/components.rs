//! Connected components of a binary picture, by runs and union-find.

use super::rect::Rect;

/// A binary picture, row-major; 1 is ink, 0 is ground.
#[derive(Debug, Clone)]
pub(super) struct Mask {
    pub width: usize,
    pub height: usize,
    pub data: Vec<u8>,
}

impl Mask {
    pub fn empty(width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            data: vec![0; width * height],
        }
    }

    pub fn at(&self, x: usize, y: usize) -> u8 {
        self.data[y * self.width + x]
    }

    pub fn paint(&mut self, run: &Run, value: u8) {
        let row = run.y as usize * self.width;
        self.data[row + run.x0 as usize..row + run.x1 as usize].fill(value);
    }
}

/// Pixels `x0..x1` of row `y`, all of one value, all of one component.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub y: u32,
    pub x0: u32,
    pub x1: u32,
    pub value: u8,
    /// Index into [`Components::all`].
    pub component: u32,
}

impl Run {
    pub fn length(&self) -> u32 {
        self.x1 - self.x0
    }
}

/// One connected component.
#[derive(Debug, Clone, Copy)]
pub(super) struct Component {
    pub rect: Rect,
    pub area: u32,
    pub value: u8,
    /// Index of its first run in raster order.
    pub first_run: u32,
}

/// Components in the raster order of their first pixels, and the runs (row by row, left to right) they consist of.
pub(super) struct Components {
    pub runs: Vec<Run>,
    pub all: Vec<Component>,
}

/// Which pixels get components.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// Ink only, 8-connected.
    Ink,
    /// Ink 8-connected and ground 4-connected: the runs tile the picture.
    Both,
}

pub(super) fn label(mask: &Mask, of: Of) -> Components {
    let mut runs: Vec<Run> = Vec::new();
    let mut parent: Vec<u32> = Vec::new();
    let mut previous = 0..0;
    for y in 0..mask.height {
        let row = &mask.data[y * mask.width..(y + 1) * mask.width];
        let first = runs.len();
        let mut x = 0;
        while x < row.len() {
            let value = row[x];
            let length = row[x..].iter().take_while(|&&pixel| pixel == value).count();
            if value == 1 || of == Of::Both {
                runs.push(Run {
                    y: y as u32,
                    x0: x as u32,
                    x1: (x + length) as u32,
                    value,
                    component: 0,
                });
                parent.push(parent.len() as u32);
            }
            x += length;
        }
        let current = first..runs.len();
        connect(&runs, &mut parent, previous, current.clone());
        previous = current;
    }
    collect(runs, &mut parent)
}

/// Joins the runs of one row with those above that they touch.
fn connect(
    runs: &[Run],
    parent: &mut [u32],
    previous: std::ops::Range<usize>,
    current: std::ops::Range<usize>,
) {
    let mut start = previous.start;
    for index in current {
        let run = runs[index];
        while start < previous.end && runs[start].x1 < run.x0 {
            start += 1;
        }
        let mut above = start;
        while above < previous.end && runs[above].x0 <= run.x1 {
            let other = runs[above];
            // Diagonal neighbours count for ink, not for ground.
            let reach = u32::from(run.value);
            if other.value == run.value && other.x0 < run.x1 + reach && run.x0 < other.x1 + reach {
                join(parent, above as u32, index as u32);
            }
            above += 1;
        }
    }
}

fn collect(mut runs: Vec<Run>, parent: &mut [u32]) -> Components {
    let mut all: Vec<Component> = Vec::new();
    let mut number = vec![u32::MAX; parent.len()];
    for (index, run) in runs.iter_mut().enumerate() {
        let root = find(parent, index as u32) as usize;
        let (x0, y, x1) = (run.x0 as i32, run.y as i32, run.x1 as i32);
        let rect = Rect {
            x0,
            y0: y,
            x1,
            y1: y + 1,
        };
        if number[root] == u32::MAX {
            number[root] = all.len() as u32;
            all.push(Component {
                rect,
                area: 0,
                value: run.value,
                first_run: index as u32,
            });
        }
        run.component = number[root];
        let component = &mut all[number[root] as usize];
        component.rect = component.rect.union(&rect);
        component.area += run.length();
    }
    Components { runs, all }
}

/// The root of `index`, halving the path on the way.
pub(super) fn find(parent: &mut [u32], mut index: u32) -> u32 {
    while parent[index as usize] != index {
        let above = parent[parent[index as usize] as usize];
        parent[index as usize] = above;
        index = above;
    }
    index
}

/// Unites two sets; the smaller index becomes the root, so that roots do not depend on the order of joins.
pub(super) fn join(parent: &mut [u32], a: u32, b: u32) {
    let (a, b) = (find(parent, a), find(parent, b));
    if a < b {
        parent[b as usize] = a;
    } else {
        parent[a as usize] = b;
    }
}
