//! A place in a file that moves forward, never past the end.

use crate::{Result, WeightsError};
use ocellus_base::limits;
use std::ops::Range;

/// Reads a header from its start.
pub(super) struct Reader<'a> {
    pub file: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub fn new(file: &'a str, bytes: &'a [u8]) -> Self {
        Self { file, bytes, at: 0 }
    }

    /// Bytes read so far.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Bytes of the file that are left.
    pub fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The next `count` bytes, as a range of the file; `what` is said when the file ends before.
    pub fn skip(&mut self, count: u64, what: &str) -> Result<Range<usize>> {
        let count = usize::try_from(count).ok().filter(|count| *count <= self.left());
        let Some(count) = count else {
            let (at, size) = (self.at, self.bytes.len());
            return Err(self.damaged(format!(
                "{what} at byte {at} goes past the end of the file ({size} bytes)"
            )));
        };
        let range = self.at..self.at + count;
        if range.end as u64 > limits::WEIGHTS_HEADER_BYTES {
            return Err(WeightsError::HeaderTooLarge {
                file: self.file.to_string(),
                found: range.end as u64,
                limit: limits::WEIGHTS_HEADER_BYTES,
            });
        }
        self.at = range.end;
        Ok(range)
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N]> {
        let range = self.skip(N as u64, what)?;
        let mut array = [0; N];
        array.copy_from_slice(&self.bytes[range]);
        Ok(array)
    }

    pub fn u32(&mut self, what: &str) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    pub fn u64(&mut self, what: &str) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    /// A name: a length and as many bytes of UTF-8. Errors and lists show it, so that nothing in it may steer a terminal.
    pub fn name(&mut self, what: &str) -> Result<&'a str> {
        let range = self.text_range(what)?;
        let name = std::str::from_utf8(&self.bytes[range])
            .map_err(|error| self.damaged(format!("{what}: {error}")))?;
        if name.chars().any(char::is_control) {
            let name = name.escape_debug();
            return Err(self.damaged(format!("{what} has control characters: `{name}`")));
        }
        Ok(name)
    }

    /// A length and as many bytes; where the bytes are.
    pub fn text_range(&mut self, what: &str) -> Result<Range<usize>> {
        let length = self.u64(what)?;
        self.skip(length, what)
    }

    pub fn damaged(&self, reason: String) -> WeightsError {
        WeightsError::NotGguf {
            file: self.file.to_string(),
            reason,
        }
    }
}
