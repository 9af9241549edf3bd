//! Finding boxes near a box: boxes sorted into horizontal shelves of the page.

use super::rect::Rect;

/// For each shelf of the page the boxes that reach into it, from left to right by their left sides.
pub(super) struct Shelves<'a> {
    rects: &'a [Rect],
    height: i32,
    shelves: Vec<Vec<u32>>,
}

impl<'a> Shelves<'a> {
    pub fn new(rects: &'a [Rect], height: i32) -> Self {
        let height = height.max(4);
        let bottom = rects.iter().map(|rect| rect.y1).max().unwrap_or(0);
        let mut shelves = vec![Vec::new(); (bottom / height + 1) as usize];
        let mut order: Vec<u32> = (0..rects.len() as u32).collect();
        order.sort_by_key(|&index| (rects[index as usize].x0, index));
        for index in order {
            let rect = rects[index as usize];
            for shelf in rect.y0 / height..=(rect.y1 - 1).max(rect.y0) / height {
                shelves[shelf as usize].push(index);
            }
        }
        Self {
            rects,
            height,
            shelves,
        }
    }

    /// Indices of boxes that may reach into rows `y0..y1` and whose left side is in `left..=right`. A box in several
    /// shelves comes several times.
    pub fn between(&self, y0: i32, y1: i32, left: i32, right: i32) -> impl Iterator<Item = usize> {
        let last = self.shelves.len() as i32 - 1;
        let (first, end) = (
            (y0 / self.height).clamp(0, last),
            ((y1 - 1) / self.height).clamp(0, last),
        );
        (first..=end).flat_map(move |shelf| {
            let shelf = &self.shelves[shelf as usize];
            let start = shelf.partition_point(|&index| self.rects[index as usize].x0 < left);
            shelf[start..]
                .iter()
                .map(|&index| index as usize)
                .take_while(move |&index| self.rects[index].x0 <= right)
        })
    }
}
