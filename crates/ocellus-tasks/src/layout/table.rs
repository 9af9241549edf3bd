//! Tables without rules: rows of lines, one below the other, whose lines stand in the same columns.

use super::rows::{Item, overlap};

/// Where a line stands in a table of its page. All count from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    pub table: usize,
    pub row: usize,
    pub column: usize,
}

/// White between two rows of one table, in em, at most.
const ROW_GAP_EM: f32 = 2.5;
/// White between two lines of one cell.
const LINE_GAP_EM: f32 = 0.6;
/// Fewer cells than this make no table: two words side by side are often none.
const LEAST_CELLS: usize = 6;

/// The cells of lines, which come in reading order; a cell may hold several. A row is a series of lines side by side; a table is a series of rows of
/// several lines, in which no column has two lines of one row.
pub(super) fn cells(items: &[Item]) -> Vec<Option<Cell>> {
    let mut cells = vec![None; items.len()];
    let (mut tables, mut open) = (0, Table::default());
    let mut start = 0;
    while start < items.len() {
        let end = row_end(items, start);
        let row = &items[start..end];
        let taken = match row {
            [line] => open.take_below(start, *line),
            row => open.follows(row, ROW_GAP_EM) && open.take(start, row),
        };
        if !taken {
            tables += usize::from(open.mark(tables, &mut cells));
            open = Table::default();
            if row.len() > 1 {
                open.take(start, row);
            }
        }
        start = end;
    }
    open.mark(tables, &mut cells);
    cells
}

/// The end of the row that begins at `start`: lines that stand level, each right of the one before.
fn row_end(items: &[Item], start: usize) -> usize {
    let mut end = start + 1;
    while end < items.len() {
        let (a, b) = (items[end - 1], items[end]);
        let shared = overlap(a.bbox[1], a.bbox[3], b.bbox[1], b.bbox[3]);
        let height = (a.bbox[3] - a.bbox[1]).min(b.bbox[3] - b.bbox[1]);
        if shared < 0.5 * height || b.bbox[0] < a.bbox[2] {
            break;
        }
        end += 1;
    }
    end
}

/// A table that grows.
#[derive(Debug, Default)]
struct Table {
    /// Left and right sides, from left to right.
    columns: Vec<[f32; 2]>,
    rows: Vec<Row>,
    bottom: f32,
}

#[derive(Debug)]
struct Row {
    /// Index of its first line.
    first: usize,
    /// Left and right sides of its lines.
    sides: Vec<[f32; 2]>,
    em: f32,
    /// Lines that go on in a cell of this row, below it.
    below: usize,
}

impl Table {
    /// Whether a row comes right below, with at most so much white between.
    fn follows(&self, row: &[Item], gap_em: f32) -> bool {
        let top = row.iter().map(|item| item.bbox[1]).fold(f32::MAX, f32::min);
        let em = largest_em(row);
        self.rows.is_empty() || (-em..gap_em * em).contains(&(top - self.bottom))
    }

    /// Adds a row, unless its lines would make one column of two.
    fn take(&mut self, first: usize, row: &[Item]) -> bool {
        let sides: Vec<[f32; 2]> = row.iter().map(sides).collect();
        let columns = joined(&self.columns, &sides);
        let fits = |sides: &[[f32; 2]]| {
            let mut places: Vec<usize> = sides.iter().map(|side| place(&columns, side)).collect();
            places.dedup();
            places.len() == sides.len()
        };
        if !fits(&sides)
            || !self
                .rows
                .iter()
                .all(|row| fits(&row.sides[..row.sides.len() - row.below]))
        {
            return false;
        }
        self.columns = columns;
        self.rows.push(Row {
            first,
            sides,
            em: largest_em(row),
            below: 0,
        });
        self.bottom = row.iter().map(|item| item.bbox[3]).fold(0.0, f32::max);
        true
    }

    /// Adds a line that goes on in a cell of the last row: right below it, of its size, within one column.
    fn take_below(&mut self, index: usize, line: Item) -> bool {
        let side = sides(&line);
        let follows = self.follows(&[line], LINE_GAP_EM);
        let same = joined(&self.columns, &[side]).len() == self.columns.len();
        let Some(row) = self.rows.last_mut() else {
            return false;
        };
        let like = line.em.max(row.em) <= 1.2 * line.em.min(row.em);
        let inside = self
            .columns
            .iter()
            .any(|column| overlap(column[0], column[1], side[0], side[1]) > 0.0);
        if !(follows && same && inside && like && row.first + row.sides.len() == index) {
            return false;
        }
        row.sides.push(side);
        row.below += 1;
        self.columns = joined(&self.columns, &[side]);
        self.bottom = line.bbox[3];
        true
    }

    /// Writes the cells of this table, if it is one.
    fn mark(&self, table: usize, cells: &mut [Option<Cell>]) -> bool {
        let count: usize = self.rows.iter().map(|row| row.sides.len() - row.below).sum();
        if self.rows.len() < 2 || count < LEAST_CELLS {
            return false;
        }
        for (index, row) in self.rows.iter().enumerate() {
            for (cell, side) in cells[row.first..].iter_mut().zip(&row.sides) {
                *cell = Some(Cell {
                    table,
                    row: index,
                    column: place(&self.columns, side),
                });
            }
        }
        true
    }
}

fn sides(item: &Item) -> [f32; 2] {
    [item.bbox[0], item.bbox[2]]
}

fn largest_em(row: &[Item]) -> f32 {
    row.iter().map(|item| item.em).fold(0.0, f32::max)
}

/// Columns with more lines in them: what overlaps is one column.
fn joined(columns: &[[f32; 2]], sides: &[[f32; 2]]) -> Vec<[f32; 2]> {
    let mut all: Vec<[f32; 2]> = columns.iter().chain(sides).copied().collect();
    all.sort_by(|a, b| a[0].total_cmp(&b[0]));
    let mut out: Vec<[f32; 2]> = Vec::new();
    for side in all {
        match out.last_mut() {
            Some(last) if side[0] < last[1] => last[1] = last[1].max(side[1]),
            _ => out.push(side),
        }
    }
    out
}

/// The column of a line.
fn place(columns: &[[f32; 2]], side: &[f32; 2]) -> usize {
    columns
        .partition_point(|column| column[0] <= side[0])
        .saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of 10 px height in rows 15 px apart: `(row, left, right)`.
    fn items(lines: &[(usize, f32, f32)]) -> Vec<Item> {
        let item = |&(row, left, right): &(usize, f32, f32)| {
            let top = 15.0 * row as f32;
            Item {
                bbox: [left, top, right, top + 10.0],
                em: 10.0,
            }
        };
        lines.iter().map(item).collect()
    }

    /// `table.row.column` of each line, or a dash.
    fn found(lines: &[(usize, f32, f32)]) -> String {
        let told = |cell: Option<Cell>| match cell {
            Some(cell) => format!("{}.{}.{}", cell.table, cell.row, cell.column),
            None => "-".to_owned(),
        };
        let cells: Vec<String> = cells(&items(lines)).into_iter().map(told).collect();
        cells.join(" ")
    }

    #[test]
    fn rows_of_like_columns_are_a_table() {
        for (lines, expected) in [
            // A title, two rows of three with a gap in one, a line below.
            (
                &[
                    (0, 0.0, 300.0),
                    (1, 0.0, 50.0),
                    (1, 100.0, 150.0),
                    (1, 200.0, 250.0),
                    (2, 0.0, 70.0),
                    (2, 230.0, 250.0),
                    (3, 5.0, 60.0),
                    (3, 120.0, 140.0),
                    (3, 210.0, 240.0),
                    (4, 0.0, 300.0),
                ][..],
                "- 0.0.0 0.0.1 0.0.2 0.1.0 0.1.2 0.2.0 0.2.1 0.2.2 -",
            ),
            // Labels and values.
            (
                &[
                    (0, 0.0, 50.0),
                    (0, 80.0, 90.0),
                    (1, 0.0, 40.0),
                    (1, 80.0, 99.0),
                    (2, 0.0, 45.0),
                    (2, 85.0, 99.0),
                ],
                "0.0.0 0.0.1 0.1.0 0.1.1 0.2.0 0.2.1",
            ),
            // Two lines of two words are none.
            (
                &[(0, 0.0, 50.0), (0, 80.0, 90.0), (1, 0.0, 40.0), (1, 80.0, 99.0)],
                "- - - -",
            ),
            // Words that stand anywhere have no columns.
            (
                &[
                    (0, 0.0, 50.0),
                    (0, 60.0, 90.0),
                    (1, 0.0, 65.0),
                    (1, 70.0, 99.0),
                    (2, 0.0, 20.0),
                    (2, 30.0, 99.0),
                ],
                "- - - - - -",
            ),
            // Two tables, parted by white.
            (
                &[
                    (0, 0.0, 9.0),
                    (0, 20.0, 29.0),
                    (0, 40.0, 49.0),
                    (1, 0.0, 9.0),
                    (1, 20.0, 29.0),
                    (1, 40.0, 49.0),
                    (6, 0.0, 9.0),
                    (6, 20.0, 29.0),
                    (6, 40.0, 49.0),
                    (7, 0.0, 9.0),
                    (7, 20.0, 29.0),
                    (7, 40.0, 49.0),
                ],
                "0.0.0 0.0.1 0.0.2 0.1.0 0.1.1 0.1.2 1.0.0 1.0.1 1.0.2 1.1.0 1.1.1 1.1.2",
            ),
            (&[], ""),
            // The second line of a cell; the line below the table is too far for one.
            (
                &[
                    (0, 0.0, 50.0),
                    (0, 80.0, 90.0),
                    (1, 0.0, 40.0),
                    (1, 80.0, 99.0),
                    (2, 78.0, 90.0),
                    (3, 0.0, 45.0),
                    (3, 85.0, 99.0),
                    (5, 0.0, 40.0),
                ],
                "0.0.0 0.0.1 0.1.0 0.1.1 0.1.1 0.2.0 0.2.1 -",
            ),
        ] {
            assert_eq!(found(lines), expected);
        }
    }
}
