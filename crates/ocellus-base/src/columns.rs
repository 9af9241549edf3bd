//! Tables as text.

/// Rows of text with their columns aligned; the last column is not padded.
pub fn columns(rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        widths.resize(widths.len().max(row.len()), 0);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            text.push_str(cell);
            if column + 1 < row.len() {
                let pad = width - cell.chars().count() + 2;
                text.extend(std::iter::repeat_n(' ', pad));
            }
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [
            vec!["a", "bb"],
            vec!["ccc", "d"],
            vec![],
            vec!["e"],
            vec!["é", "f", "g"],
        ];
        let rows = rows.map(|row| row.into_iter().map(str::to_owned).collect());
        assert_eq!(columns(&rows), "a    bb\nccc  d\n\ne\né    f   g\n");
    }

    #[test]
    fn many_rows_take_one_pass() {
        // With a width computed for each row this would be 10^11 steps.
        let rows = vec![vec!["name".to_owned(), "size".to_owned()]; 300_000];
        assert_eq!(columns(&rows).len(), rows.len() * "name  size\n".len());
    }
}
