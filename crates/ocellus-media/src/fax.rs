//! Rows of fax pictures (ITU-T T.4 and T.6), as TIFF files hold them: modified Huffman, Group 3 in one and two
//! dimensions, Group 4. The code tables are those of the crate `fax`.

use std::convert::Infallible;

use fax::maps::{Mode, black, mode, white};
use fax::{BitReader, ByteReader};

/// How rows are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    /// Runs; each row begins at a byte (TIFF compression 2).
    Huffman,
    /// Runs; an end-of-line code before each row (Group 3, one dimension).
    Group3,
    /// The same, and after the end-of-line code a bit that says whether the row is coded by runs or by the row above.
    Group3Mixed,
    /// Every row by the row above, without end-of-line codes.
    Group4,
}

/// A row: the columns where the colour changes, the first from white to black.
type Row = Vec<u16>;

/// Decodes `height` rows of `width` px. Every row is passed on as `true` for black pixels.
///
/// `None` if there are fewer rows, or if more than a quarter of them cannot be read. A damaged row of Group 3 repeats the row
/// above, as fax machines do it.
pub(crate) fn decode(
    data: &[u8],
    coding: Coding,
    width: u16,
    height: u32,
    mut each: impl FnMut(&mut dyn Iterator<Item = bool>),
) -> Option<()> {
    // The last code may end with the data, but the tables look further.
    let bytes = data.iter().copied().chain([0; 2]).map(Ok::<u8, Infallible>);
    let mut reader = ByteReader::new(bytes).ok()?;
    let mut above = Row::new();
    let mut damaged = 0;
    for _ in 0..height {
        let by_runs = match coding {
            Coding::Huffman => true,
            Coding::Group4 => false,
            Coding::Group3 => skip_line_end(&mut reader).map(|()| true)?,
            Coding::Group3Mixed => {
                skip_line_end(&mut reader)?;
                let tag = reader.peek(1)?;
                reader.consume(1).ok()?;
                tag == 1
            }
        };
        let row = if by_runs {
            row_by_runs(&mut reader, width)
        } else {
            row_by_row_above(&mut reader, width, &above)
        };
        match (row, coding) {
            (Some(row), _) => above = row,
            (None, Coding::Group3 | Coding::Group3Mixed) => {
                damaged += 1;
                find_line_end(&mut reader);
            }
            (None, _) => return None,
        }
        if coding == Coding::Huffman {
            let rest = reader.bits_to_byte_boundary();
            reader.consume(rest).ok()?;
        }
        each(&mut pixels(&above, width));
    }
    (damaged * 4 <= height).then_some(())
}

fn pixels(row: &[u16], width: u16) -> impl Iterator<Item = bool> {
    let mut changes = row.iter().copied().peekable();
    let mut is_black = false;
    (0..width).map(move |x| {
        while changes.next_if(|&change| change <= x).is_some() {
            is_black = !is_black;
        }
        is_black
    })
}

/// Skips fill bits and one end-of-line code, if there is one. `None` at the end of the picture: two codes in a row.
fn skip_line_end(reader: &mut impl BitReader) -> Option<()> {
    // No code of a run begins with nine zeros.
    if reader.peek(9)? != 0 {
        return Some(());
    }
    while reader.peek(1)? == 0 {
        reader.consume(1).ok()?;
    }
    reader.consume(1).ok()?;
    (reader.peek(12) != Some(1)).then_some(())
}

/// Goes on to the next end-of-line code.
fn find_line_end(reader: &mut impl BitReader) {
    while reader.peek(11).is_some_and(|bits| bits != 0) {
        if reader.consume(1).is_err() {
            return;
        }
    }
}

/// The length of a run: any number of make-up codes and a terminating one.
fn run(reader: &mut impl BitReader, is_black: bool) -> Option<u16> {
    let mut length: u16 = 0;
    loop {
        let part = if is_black {
            black::decode(reader)?
        } else {
            white::decode(reader)?
        };
        length = length.checked_add(part)?;
        if part < 64 {
            return Some(length);
        }
    }
}

/// Notes a change of colour. Two at one place are none; one at the row's end is none.
fn change(row: &mut Row, at: u16, width: u16) {
    if row.last() == Some(&at) {
        row.pop();
    } else if at < width {
        row.push(at);
    }
}

fn row_by_runs(reader: &mut impl BitReader, width: u16) -> Option<Row> {
    let (mut row, mut at, mut is_black) = (Row::new(), 0u16, false);
    while at < width {
        at = at.checked_add(run(reader, is_black)?)?;
        change(&mut row, at, width);
        is_black = !is_black;
    }
    (at == width).then_some(row)
}

fn row_by_row_above(reader: &mut impl BitReader, width: u16, above: &[u16]) -> Option<Row> {
    let (mut row, mut is_black) = (Row::new(), false);
    // The last change, and whether the row has begun: a change of the row above in its first column counts at the start.
    let (mut at, mut begun) = (0u16, false);
    while at < width {
        // The first change of the row above to the other colour right of here.
        let first = above.partition_point(|&change| if begun { change <= at } else { change < at });
        let first = first + usize::from(first % 2 != usize::from(is_black));
        let next = |index: usize| above.get(index).copied().unwrap_or(width);
        match mode::decode(reader)? {
            Mode::Pass => at = next(first + 1),
            Mode::Horizontal => {
                for colour in [is_black, !is_black] {
                    at = at.checked_add(run(reader, colour)?)?;
                    change(&mut row, at, width);
                }
            }
            Mode::Vertical(shift) => {
                let to = i32::from(next(first)) + i32::from(shift);
                let to = u16::try_from(to).ok().filter(|&to| to >= at && to <= width)?;
                at = to;
                change(&mut row, at, width);
                is_black = !is_black;
            }
            Mode::Extension | Mode::EOF => return None,
        }
        begun = true;
    }
    (at == width).then_some(row)
}
