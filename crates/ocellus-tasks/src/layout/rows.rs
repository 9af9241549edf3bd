//! Lines side by side: rows of a block, and blocks whose rows are those of a table.

/// What ordering needs to know of a line: its box in pixels and its em.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    pub bbox: [f32; 4],
    pub em: f32,
}

/// From left to right.
pub(super) fn in_row(row: &[usize], items: &[Item]) -> Vec<usize> {
    let mut row = row.to_vec();
    row.sort_by(|&a, &b| items[a].bbox[0].total_cmp(&items[b].bbox[0]).then(a.cmp(&b)));
    row
}

/// Lines from top to bottom; those that stand level with the first of a row from left to right.
pub(super) fn by_rows(block: Vec<usize>, items: &[Item]) -> Vec<usize> {
    rows(block, items)
        .iter()
        .flat_map(|row| in_row(row, items))
        .collect()
}

fn rows(mut block: Vec<usize>, items: &[Item]) -> Vec<Vec<usize>> {
    block.sort_by(|&a, &b| middle(items[a]).total_cmp(&middle(items[b])).then(a.cmp(&b)));
    let mut rows: Vec<Vec<usize>> = Vec::new();
    for line in block {
        match rows.last_mut() {
            Some(row) if is_level(items[row[0]], items[line]) => row.push(line),
            _ => rows.push(vec![line]),
        }
    }
    rows
}

fn middle(item: Item) -> f32 {
    (item.bbox[1] + item.bbox[3]) / 2.0
}

fn is_level(of_row: Item, line: Item) -> bool {
    (middle(line) - middle(of_row)).abs() < 0.4 * of_row.em
}

/// Whether two blocks are a list of items and a column of short entries, such as prices: as many, each level with its item, and
/// nothing else beside them.
pub(super) fn is_price_list(blocks: &[Vec<usize>], left: usize, right: usize, items: &[Item]) -> bool {
    const ENTRY_EM: f32 = 6.0;
    let is_entry = |(&item, &entry): (&usize, &usize)| {
        let (item, entry) = (items[item], items[entry]);
        is_level(item, entry) && entry.bbox[2] - entry.bbox[0] <= ENTRY_EM * entry.em
    };
    let (a, b) = (around(&blocks[left], items), around(&blocks[right], items));
    let alone = || {
        blocks.iter().enumerate().all(|(index, block)| {
            let c = around(block, items);
            // Descenders of one line reach into the next.
            let shared = overlap(a[1].min(b[1]), a[3].max(b[3]), c[1], c[3]);
            index == left || index == right || shared <= 0.4 * items[block[0]].em
        })
    };
    blocks[left].len() == blocks[right].len()
        && a[2] <= b[0]
        && blocks[left].iter().zip(&blocks[right]).all(is_entry)
        && alone()
}

pub(super) fn around(block: &[usize], items: &[Item]) -> [f32; 4] {
    block
        .iter()
        .map(|&index| items[index].bbox)
        .fold([f32::MAX, f32::MAX, f32::MIN, f32::MIN], |a, b| {
            [a[0].min(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].max(b[3])]
        })
}

pub(super) fn overlap(a0: f32, a1: f32, b0: f32, b1: f32) -> f32 {
    a1.min(b1) - a0.max(b0)
}
