//! Reading order: lines into blocks, blocks into a partial order, and that into one sequence.
//!
//! The partial order is Breuel's (High Performance Document Layout Analysis, 2003): of two blocks that share columns
//! the upper one comes first, and of two that do not the left one does, unless a block that spans both lies between.
//!
//! Breuel's second rule holds for columns of running text. In a table it would read the first column to its end before
//! the second begins; so where one of two blocks stands in no column of running text, the left one comes first only
//! if the two share rows.

use super::rows::{Item, around, by_rows, in_row, is_price_list, overlap};

/// Indices of `items` in reading order.
pub(super) fn reading_order(items: &[Item]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by(|&a, &b| items[a].bbox[1].total_cmp(&items[b].bbox[1]).then(a.cmp(&b)));
    let (head, body, foot) = running_lines(&order, items);
    let mut sequence = in_row(head, items);
    let blocks = interleaved(titles(blocks(body, items), items), items);
    let boxes: Vec<[f32; 4]> = blocks.iter().map(|block| around(block, items)).collect();
    let running: Vec<bool> = blocks
        .iter()
        .zip(&boxes)
        .map(|(block, bbox)| is_running(block, bbox, items))
        .collect();
    for block in sort_blocks(&boxes, &running) {
        sequence.extend_from_slice(&blocks[block]);
    }
    sequence.extend(in_row(foot, items));
    sequence
}

/// Parts the first and the last row of the page from the rest where white keeps them apart: what is in them (title,
/// page number) belongs to no column. `order` is from top to bottom.
fn running_lines<'a>(order: &'a [usize], items: &[Item]) -> (&'a [usize], &'a [usize], &'a [usize]) {
    const ROW_EM: f32 = 1.6;
    let apart = |upper: &[usize], lower: &[usize]| {
        let (a, b) = (around(upper, items), around(lower, items));
        let em = upper
            .iter()
            .chain(lower)
            .map(|&index| items[index].em)
            .fold(f32::MAX, f32::min);
        b[1] - a[3] >= em
    };
    let is_row = |row: &[usize]| {
        let bbox = around(row, items);
        row.iter()
            .all(|&index| bbox[3] - bbox[1] <= ROW_EM * items[index].em)
    };
    let head = (1..order.len())
        .find(|&end| apart(&order[..end], &order[end..]))
        .unwrap_or(0);
    let head = if is_row(&order[..head]) { head } else { 0 };
    let rest = &order[head..];
    let foot = (1..rest.len())
        .rev()
        .find(|&start| apart(&rest[..start], &rest[start..]))
        .unwrap_or(rest.len());
    let foot = if is_row(&rest[foot..]) { foot } else { rest.len() };
    (&order[..head], &rest[..foot], &rest[foot..])
}

/// Joins a short line that stands alone (a section's number) with the line right of it (the title).
fn titles(mut blocks: Vec<Vec<usize>>, items: &[Item]) -> Vec<Vec<usize>> {
    for left in 0..blocks.len() {
        let [number] = blocks[left][..] else { continue };
        let a = items[number];
        if a.bbox[2] - a.bbox[0] > 4.0 * a.em {
            continue;
        }
        let right = (0..blocks.len()).find(|&right| {
            let Some(&title) = blocks[right].first() else {
                return false;
            };
            let b = items[title];
            let level = overlap(a.bbox[1], a.bbox[3], b.bbox[1], b.bbox[3]) >= 0.7 * (a.bbox[3] - a.bbox[1]);
            let gap = b.bbox[0] - a.bbox[2];
            right != left
                && level
                && gap >= 0.0
                && gap <= 2.5 * a.em
                && a.em.max(b.em) <= 1.25 * a.em.min(b.em)
        });
        if let Some(right) = right {
            let title = std::mem::take(&mut blocks[right]);
            blocks[left].extend(title);
        }
    }
    blocks.retain(|block| !block.is_empty());
    blocks
}

/// Makes one block of blocks that share columns and rows, as cells that are printed into one another: they cannot be put one
/// after the other, so they are read row by row. Two columns of running text stay apart.
///
/// Blocks that almost touch count as well: where cells run into one another, ink is lost at the border between them.
fn interleaved(mut blocks: Vec<Vec<usize>>, items: &[Item]) -> Vec<Vec<usize>> {
    const TOUCHING_EM: f32 = 0.7;
    let mut first = 0;
    while first < blocks.len() {
        let a = around(&blocks[first], items);
        let other = (first + 1..blocks.len()).find(|&other| {
            let b = around(&blocks[other], items);
            let em = items[blocks[first][0]].em.min(items[blocks[other][0]].em);
            let running =
                [(first, &a), (other, &b)].map(|(block, bbox)| is_running(&blocks[block], bbox, items));
            let printed_together = overlap(a[0], a[2], b[0], b[2]) > -TOUCHING_EM * em
                && overlap(a[1], a[3], b[1], b[3]) > 0.5 * em
                && running != [true, true];
            let prices =
                || is_price_list(&blocks, first, other, items) || is_price_list(&blocks, other, first, items);
            printed_together || (running == [false, false] && prices())
        });
        match other {
            // The block has grown: it may share more now.
            Some(other) => {
                let lines = blocks.swap_remove(other);
                blocks[first].extend(lines);
                first = 0;
            }
            None => first += 1,
        }
    }
    blocks.into_iter().map(|block| by_rows(block, items)).collect()
}

/// Whether a block is running text: several lines, wide enough for sentences.
fn is_running(block: &[usize], bbox: &[f32; 4], items: &[Item]) -> bool {
    const LINES: usize = 3;
    const WIDTH_EM: f32 = 15.0;
    let em = block.iter().map(|&index| items[index].em).fold(0.0, f32::max);
    block.len() >= LINES && bbox[2] - bbox[0] >= WIDTH_EM * em
}

/// Chains of lines of like size, each right below the one before and alone there. `order` is from top to bottom.
fn blocks(order: &[usize], items: &[Item]) -> Vec<Vec<usize>> {
    let mut next: Vec<Option<usize>> = vec![None; items.len()];
    let mut has_upper = vec![false; items.len()];
    let mut uppers: Vec<Vec<usize>> = vec![Vec::new(); items.len()];
    let mut lowers: Vec<Vec<usize>> = vec![Vec::new(); items.len()];
    for (position, &upper) in order.iter().enumerate() {
        let a = items[upper];
        let reach = a.bbox[3] + 0.6 * a.em;
        for &lower in &order[position + 1..] {
            let b = items[lower];
            if b.bbox[1] > reach {
                break;
            }
            let below = (b.bbox[1] + b.bbox[3]) > (a.bbox[1] + a.bbox[3]) + 0.8 * a.em.min(b.em);
            if below && overlap(a.bbox[0], a.bbox[2], b.bbox[0], b.bbox[2]) > 0.0 {
                lowers[upper].push(lower);
                uppers[lower].push(upper);
            }
        }
    }
    for &upper in order {
        let nearest = lowers[upper].iter().copied().filter(|&lower| {
            // No other line lies between the two.
            !lowers[upper]
                .iter()
                .any(|&other| other != lower && lowers[other].contains(&lower))
        });
        let nearest: Vec<usize> = nearest.collect();
        let [lower] = nearest[..] else { continue };
        let above_lower = uppers[lower]
            .iter()
            .filter(|&&other| {
                !uppers[lower]
                    .iter()
                    .any(|&third| third != other && lowers[other].contains(&third))
            })
            .count();
        let (a, b) = (items[upper], items[lower]);
        // A few characters say little about the size of their font.
        let few = [a, b]
            .iter()
            .any(|item| item.bbox[2] - item.bbox[0] < 4.0 * item.em);
        let like = a.em.max(b.em) <= if few { 1.7 } else { 1.3 } * a.em.min(b.em);
        if above_lower == 1 && like && !has_upper[lower] {
            next[upper] = Some(lower);
            has_upper[lower] = true;
        }
    }
    order
        .iter()
        .filter(|&&line| !has_upper[line])
        .map(|&line| std::iter::successors(Some(line), |&line| next[line]).collect())
        .collect()
}

/// A topological order of the blocks; where the partial order leaves a choice, the upper, then the left one first.
fn sort_blocks(boxes: &[[f32; 4]], running: &[bool]) -> Vec<usize> {
    let mut start: Vec<usize> = (0..boxes.len()).collect();
    start.sort_by(|&a, &b| {
        boxes[a][1]
            .total_cmp(&boxes[b][1])
            .then(boxes[a][0].total_cmp(&boxes[b][0]))
            .then(a.cmp(&b))
    });
    let mut visited = vec![false; boxes.len()];
    let mut sequence = Vec::with_capacity(boxes.len());
    for &block in &start {
        visit(
            block,
            &start,
            &|a, b| is_before(a, b, boxes, running),
            &mut visited,
            &mut sequence,
        );
    }
    sequence
}

/// Everything before `block`, then `block`, depth first with an explicit stack.
fn visit(
    block: usize,
    start: &[usize],
    is_before: &dyn Fn(usize, usize) -> bool,
    visited: &mut [bool],
    sequence: &mut Vec<usize>,
) {
    if visited[block] {
        return;
    }
    visited[block] = true;
    let mut stack = vec![(block, 0)];
    while let Some(top) = stack.last_mut() {
        let (block, position) = *top;
        top.1 += 1;
        match start.get(position) {
            Some(&other) => {
                if !visited[other] && is_before(other, block) {
                    visited[other] = true;
                    stack.push((other, 0));
                }
            }
            None => {
                sequence.push(block);
                stack.pop();
            }
        }
    }
}

fn shares_columns(a: &[f32; 4], b: &[f32; 4]) -> bool {
    let shared = overlap(a[0], a[2], b[0], b[2]);
    shared > 0.02 * (a[2] - a[0]).min(b[2] - b[0])
}

/// Whether `a` stands in a column of running text that `b` is not part of.
fn in_text_column(a: &[f32; 4], b: &[f32; 4], boxes: &[[f32; 4]], running: &[bool]) -> bool {
    boxes.iter().zip(running).any(|(c, running)| {
        let inside = overlap(a[0], a[2], c[0], c[2]) >= 0.9 * (a[2] - a[0]);
        *running && inside && !shares_columns(c, b)
    })
}

fn is_before(a: usize, b: usize, boxes: &[[f32; 4]], running: &[bool]) -> bool {
    let (a, b) = (&boxes[a], &boxes[b]);
    if shares_columns(a, b) {
        return a[1] < b[1];
    }
    if a[0] >= b[0] {
        return false;
    }
    let columns = in_text_column(a, b, boxes, running) && in_text_column(b, a, boxes, running);
    if !columns && overlap(a[1], a[3], b[1], b[3]) <= 0.0 {
        return false;
    }
    // A block over both of them that lies between the two, in either direction.
    let (top, bottom) = (a[1].min(b[1]), a[3].max(b[3]));
    !boxes.iter().any(|c| {
        let middle = (c[1] + c[3]) / 2.0;
        let between =
            middle > top && middle < bottom && (middle > a[3].min(b[3])) && (middle < a[1].max(b[1]));
        between && shares_columns(c, a) && shares_columns(c, b)
    })
}
