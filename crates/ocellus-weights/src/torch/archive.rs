//! The zip container of torch 1.6 and later: `<prefix>/data.pkl` and one file `<prefix>/data/<key>` per storage.
//!
//! Only what torch writes is read: files of one archive, not encrypted, listed in a central directory at the end of the
//! archive, with the 64-bit fields that archives above 4 GiB need. The layout is that of APPNOTE.TXT 6.3 (sections 4.3.7
//! to 4.3.16 and 4.5.3). Checksums are not verified: that would read the whole file at opening.

use crate::{Result, WeightsError};
use ocellus_base::limits;
use std::collections::BTreeMap;
use std::ops::Range;

const LOCAL: &[u8] = b"PK\x03\x04";
const CENTRAL: &[u8] = b"PK\x01\x02";
const END: &[u8] = b"PK\x05\x06";
const END_64: &[u8] = b"PK\x06\x06";
const LOCATOR_64: &[u8] = b"PK\x06\x07";
/// Bytes of the end record without its comment, which is the last thing in the archive.
const END_BYTES: usize = 22;
/// In a field of 32 bits: see the 64-bit field.
const SATURATED: u64 = 0xffff_ffff;

/// Names of the files in an archive, and where their contents lie.
#[derive(Debug)]
pub(super) struct Archive<'b> {
    pub files: BTreeMap<&'b str, Range<usize>>,
    /// The first file that is not simply stored, and the number of the method that it is compressed by.
    pub compressed: Option<(&'b str, u64)>,
}

impl<'b> Archive<'b> {
    /// Reads the directory of `bytes`, a whole file that messages call `file`.
    pub(super) fn read(bytes: &'b [u8], file: &str) -> Result<Archive<'b>> {
        read(bytes).map_err(|reason| WeightsError::Archive {
            file: file.to_string(),
            reason,
        })
    }
}

type Read<T> = std::result::Result<T, String>;

fn read(bytes: &[u8]) -> Read<Archive<'_>> {
    let (directory, count) = directory(bytes)?;
    if count > limits::ARCHIVE_FILES as u64 {
        let limit = limits::ARCHIVE_FILES;
        return Err(format!(
            "it lists {count} files, more than the {limit} that are accepted"
        ));
    }
    let mut files = BTreeMap::new();
    let mut places: Vec<(Range<usize>, &str)> = Vec::new();
    let mut compressed = None;
    let mut at = directory.start;
    for _ in 0..count {
        let entry = Entry::read(bytes, at, directory.end)?;
        at = entry.next;
        if entry.method != 0 {
            compressed = compressed.or(Some((entry.name, entry.method)));
        }
        let (header, contents) = entry.contents(bytes, directory.start)?;
        places.push((header..contents.end, entry.name));
        if files.insert(entry.name, contents).is_some() {
            return Err(format!("`{}` is listed twice", entry.name.escape_debug()));
        }
    }
    if at != directory.end {
        return Err("its directory holds more than the files it counts".to_string());
    }
    places.sort_by_key(|(range, _)| range.start);
    for pair in places.windows(2) {
        let [(before, first), (after, second)] = pair else {
            continue;
        };
        if after.start < before.end {
            let (first, second) = (first.escape_debug(), second.escape_debug());
            return Err(format!("`{first}` and `{second}` overlap"));
        }
    }
    Ok(Archive { files, compressed })
}

/// Where the central directory lies, and how many files it lists.
fn directory(bytes: &[u8]) -> Read<(Range<usize>, u64)> {
    let cut =
        || "the directory at its end is missing: the file is cut short or has something after it".to_string();
    let earliest = bytes.len().saturating_sub(END_BYTES + usize::from(u16::MAX));
    let latest = bytes.len().checked_sub(END_BYTES).ok_or_else(cut)?;
    let end = (earliest..=latest)
        .rev()
        .find(|at| {
            bytes[*at..].starts_with(END)
                && number(bytes, at + 20, 2) == Some((bytes.len() - at - END_BYTES) as u64)
        })
        .ok_or_else(cut)?;
    let field = |at: usize, width| number(bytes, end + at, width).ok_or_else(cut);
    let (mut disks, mut count) = (field(4, 2)? | field(6, 2)?, field(10, 2)?);
    let (mut size, mut start) = (field(12, 4)?, field(16, 4)?);
    let locator = end
        .checked_sub(20)
        .filter(|at| bytes[*at..].starts_with(LOCATOR_64));
    if let Some(locator) = locator {
        let wide = number(bytes, locator + 8, 8)
            .and_then(|at| usize::try_from(at).ok())
            .filter(|at| bytes.get(*at..).is_some_and(|rest| rest.starts_with(END_64)))
            .ok_or("its 64-bit end record is missing")?;
        let field = |at: usize, width| number(bytes, wide.saturating_add(at), width).ok_or_else(cut);
        disks = field(16, 4)? | field(20, 4)?;
        count = field(32, 8)?;
        (size, start) = (field(40, 8)?, field(48, 8)?);
    }
    if disks != 0 {
        return Err("it is one part of an archive in several files".to_string());
    }
    match (usize::try_from(start), start.checked_add(size)) {
        (Ok(start), Some(stop)) if stop <= end as u64 => Ok((start..stop as usize, count)),
        _ => Err(format!(
            "its directory should be {size} bytes at byte {start}, which is not inside the file"
        )),
    }
}

/// One file as the central directory describes it.
struct Entry<'b> {
    name: &'b str,
    /// Of compression; 0 is none.
    method: u64,
    /// In the archive.
    bytes: u64,
    /// Of the local header.
    header: u64,
    /// Where the next entry begins.
    next: usize,
}

impl<'b> Entry<'b> {
    fn read(bytes: &'b [u8], at: usize, directory_end: usize) -> Read<Entry<'b>> {
        let damaged = || format!("its directory is damaged at byte {at}");
        let fixed = bytes[..directory_end]
            .get(at..)
            .filter(|rest| rest.starts_with(CENTRAL) && rest.len() >= 46)
            .ok_or_else(damaged)?;
        let field = |at: usize, width: usize| number(fixed, at, width).unwrap_or_default(); // all within 46 bytes
        let lengths = [field(28, 2), field(30, 2), field(32, 2)].map(|length| length as usize);
        let [name_bytes, extra_bytes, comment_bytes] = lengths;
        let name = fixed.get(46..46 + name_bytes).ok_or_else(damaged)?;
        let name =
            std::str::from_utf8(name).map_err(|_| "the name of a file in it is not UTF-8".to_string())?;
        let extra = fixed
            .get(46 + name_bytes..46 + name_bytes + extra_bytes)
            .ok_or_else(damaged)?;
        let shown = name.escape_debug();
        let (flags, method) = (field(8, 2), field(10, 2));
        if flags & 1 != 0 {
            return Err(format!("`{shown}` is encrypted"));
        }
        let mut sizes = [field(24, 4), field(20, 4), field(42, 4)];
        widen(&mut sizes, extra).ok_or_else(|| format!("`{shown}` lacks its 64-bit sizes"))?;
        let [size, stored, header] = sizes;
        if method == 0 && size != stored {
            return Err(format!(
                "`{shown}` is stored in {stored} bytes but {size} bytes long"
            ));
        }
        Ok(Entry {
            name,
            method,
            bytes: stored,
            header,
            next: at + 46 + name_bytes + extra_bytes + comment_bytes,
        })
    }

    /// Start of the local header, and the range of the contents, which end before the directory.
    fn contents(&self, bytes: &[u8], directory_start: usize) -> Read<(usize, Range<usize>)> {
        let outside = || {
            let name = self.name.escape_debug();
            format!(
                "`{name}` ({} bytes at byte {}) is not inside the file",
                self.bytes, self.header
            )
        };
        let data = &bytes[..directory_start];
        let header = usize::try_from(self.header).map_err(|_| outside())?;
        let local = data
            .get(header..)
            .filter(|rest| rest.starts_with(LOCAL))
            .ok_or_else(outside)?;
        let lengths = number(local, 26, 2)
            .zip(number(local, 28, 2))
            .ok_or_else(outside)?;
        let (name_bytes, extra_bytes) = (lengths.0 as usize, lengths.1 as usize);
        if local.get(30..30 + name_bytes) != Some(self.name.as_bytes())
            || number(local, 8, 2) != Some(self.method)
        {
            let name = self.name.escape_debug();
            return Err(format!("the directory and the header of `{name}` do not agree"));
        }
        let start = header + 30 + name_bytes + extra_bytes;
        let end = usize::try_from(self.bytes)
            .ok()
            .and_then(|length| start.checked_add(length))
            .filter(|end| *end <= directory_start)
            .ok_or_else(outside)?;
        Ok((header, start..end))
    }
}

/// Replaces the saturated ones of `sizes` by those of the 64-bit extra field, which holds just these, in this order.
fn widen(sizes: &mut [u64; 3], mut extra: &[u8]) -> Option<()> {
    if sizes.iter().all(|size| *size != SATURATED) {
        return Some(());
    }
    loop {
        let (id, length) = (number(extra, 0, 2)?, number(extra, 2, 2)? as usize);
        let field = extra.get(4..4 + length)?;
        if id == 1 {
            let wanted = sizes.iter_mut().filter(|size| **size == SATURATED);
            for (i, size) in wanted.enumerate() {
                *size = number(field, 8 * i, 8)?;
            }
            return Some(());
        }
        extra = &extra[4 + length..];
    }
}

/// The little-endian number of `width` bytes at `at`.
fn number(bytes: &[u8], at: usize, width: usize) -> Option<u64> {
    let mut wide = [0; 8];
    wide[..width].copy_from_slice(bytes.get(at..at.checked_add(width)?)?);
    Some(u64::from_le_bytes(wide))
}
