//! Where the pages of a TIFF file stand, and a view of the file in which some bytes differ.

use std::io::{self, Read, Seek, SeekFrom};

/// Pages of one file. A chain of directories that is longer, or that turns back on itself, ends there.
const MOST_PAGES: usize = 10_000;
const TAG_SUBFILE: u16 = 254;
/// Reduced pictures and masks are no pages of their own.
const NO_PAGE: u64 = 0b101;

/// The part of a TIFF file's structure that is common to its directories.
#[derive(Debug, Clone, Copy)]
struct Layout {
    big_endian: bool,
    /// 64-bit offsets (BigTIFF).
    wide: bool,
}

impl Layout {
    fn of(bytes: &[u8]) -> Option<Self> {
        let big_endian = match bytes.get(..2)? {
            b"II" => false,
            b"MM" => true,
            _ => return None,
        };
        let narrow = Self {
            big_endian,
            wide: false,
        };
        match narrow.number(bytes, 2, 2)? {
            42 => Some(narrow),
            43 => Some(Self { wide: true, ..narrow }),
            _ => None,
        }
    }

    fn number(self, bytes: &[u8], at: usize, size: usize) -> Option<u64> {
        let part = bytes.get(at..at.checked_add(size)?)?;
        let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        Some(if self.big_endian {
            part.iter().fold(0, fold)
        } else {
            part.iter().rev().fold(0, fold)
        })
    }

    /// Bytes of an offset, of a directory's count, of one of its entries; where an entry's value stands in it.
    fn sizes(self) -> (usize, usize, usize, usize) {
        if self.wide { (8, 8, 20, 12) } else { (4, 2, 12, 8) }
    }

    /// Where the file says where its first directory stands.
    fn first(self) -> usize {
        if self.wide { 8 } else { 4 }
    }

    /// Where the value of a tag of the directory stands.
    fn value_place(self, bytes: &[u8], directory: u64, tag: u16) -> Option<usize> {
        let (_, count_size, entry_size, value) = self.sizes();
        let at = usize::try_from(directory).ok()?;
        let count = usize::try_from(self.number(bytes, at, count_size)?).ok()?;
        let start = at.checked_add(count_size)?;
        (0..count.min(usize::from(u16::MAX)))
            .map(|index| start + index * entry_size)
            .take_while(|&entry| entry < bytes.len())
            .find(|&entry| self.number(bytes, entry, 2) == Some(u64::from(tag)))
            .map(|entry| entry + value)
    }

    /// Where the directory after this one stands; 0 after the last.
    fn next(self, bytes: &[u8], directory: u64) -> Option<u64> {
        let (offset_size, count_size, entry_size, _) = self.sizes();
        let at = usize::try_from(directory).ok()?;
        let count = usize::try_from(self.number(bytes, at, count_size)?).ok()?;
        let end = count
            .checked_mul(entry_size)?
            .checked_add(at)?
            .checked_add(count_size)?;
        self.number(bytes, end, offset_size)
    }
}

/// Where the directories of a file's pages stand, in order; empty if the file is damaged at its start.
pub(crate) fn directories(bytes: &[u8]) -> Vec<u64> {
    let Some(layout) = Layout::of(bytes) else {
        return Vec::new();
    };
    let mut all: Vec<u64> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    let mut next = layout.number(bytes, layout.first(), layout.sizes().0);
    while let Some(directory) = next.filter(|&at| at != 0 && (at as usize) < bytes.len()) {
        if all.len() == MOST_PAGES || !seen.insert(directory) {
            break;
        }
        all.push(directory);
        next = layout.next(bytes, directory);
    }
    let is_page = |directory: &u64| {
        let kind = layout.value_place(bytes, *directory, TAG_SUBFILE);
        let kind = kind.and_then(|at| layout.number(bytes, at, 4));
        kind.is_none_or(|kind| kind & NO_PAGE == 0)
    };
    let pages: Vec<u64> = all.iter().copied().filter(is_page).collect();
    if pages.is_empty() { all } else { pages }
}

/// A file in which a few bytes differ: one page of several, or one tag of it.
pub(crate) struct View<'a> {
    bytes: &'a [u8],
    layout: Layout,
    directory: u64,
    at: u64,
    changes: Vec<(u64, u8)>,
}

impl<'a> View<'a> {
    /// The file as if the page at `directory` were its first.
    pub(crate) fn of_page(bytes: &'a [u8], directory: u64) -> Option<Self> {
        let layout = Layout::of(bytes)?;
        let mut view = Self {
            bytes,
            layout,
            directory,
            at: 0,
            changes: Vec::new(),
        };
        view.change(layout.first(), directory, layout.sizes().0);
        Some(view)
    }

    /// With another value of a tag that holds one 16-bit number.
    pub(crate) fn with_short(mut self, tag: u16, value: u16) -> Self {
        if let Some(at) = self.layout.value_place(self.bytes, self.directory, tag) {
            self.change(at, u64::from(value), 2);
        }
        self
    }

    fn change(&mut self, at: usize, value: u64, size: usize) {
        for index in 0..size {
            let place = if self.layout.big_endian {
                size - 1 - index
            } else {
                index
            };
            self.changes
                .push(((at + place) as u64, (value >> (8 * index)) as u8));
        }
    }
}

impl Read for View<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let start = self.at.min(self.bytes.len() as u64);
        let rest = &self.bytes[start as usize..];
        let length = out.len().min(rest.len());
        out[..length].copy_from_slice(&rest[..length]);
        for &(at, byte) in &self.changes {
            if (start..start + length as u64).contains(&at) {
                out[(at - start) as usize] = byte;
            }
        }
        self.at = start + length as u64;
        Ok(length)
    }
}

impl Seek for View<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => (self.bytes.len() as u64).checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
