//! Reads the bytes of a pickle in order.

use super::value::Value;
use crate::{Result, WeightsError};
use ocellus_base::limits;

/// A place in a pickle. Whatever is taken lies inside the file, and stays where it is there.
pub(super) struct Reader<'p> {
    /// What messages call the file.
    pub file: &'p str,
    pub bytes: &'p [u8],
    pub at: usize,
}

impl<'p> Reader<'p> {
    pub(super) fn take(&mut self, count: usize) -> Result<&'p [u8]> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len());
        let Some(end) = end else {
            return Err(self.damaged("the file ends within it"));
        };
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// Bytes after their count, which itself is `width` bytes wide.
    pub(super) fn counted(&mut self, width: usize) -> Result<&'p [u8]> {
        let mut count = [0; 8];
        count[..width].copy_from_slice(self.take(width)?);
        let count = u64::from_le_bytes(count);
        let limit = limits::PICKLE_TEXT_BYTES;
        match usize::try_from(count) {
            Ok(count) if count <= limit => self.take(count),
            _ => Err(self.damaged(format!(
                "it holds a text of {count} bytes, more than the {limit} that are accepted"
            ))),
        }
    }

    pub(super) fn text(&mut self, width: usize) -> Result<Value<'p>> {
        let bytes = self.counted(width)?;
        std::str::from_utf8(bytes)
            .map(Value::Text)
            .map_err(|_| self.damaged("it holds a text that is not UTF-8"))
    }

    /// The text up to the next line feed, which GLOBAL uses for names.
    pub(super) fn line(&mut self) -> Result<&'p str> {
        let rest = &self.bytes[self.at..];
        let rest = &rest[..rest.len().min(limits::PICKLE_TEXT_BYTES)];
        let Some(length) = rest.iter().position(|byte| *byte == b'\n') else {
            return Err(self.damaged("the name that it imports has no end"));
        };
        let line = self.take(length)?;
        self.take(1)?;
        std::str::from_utf8(line).map_err(|_| self.damaged("the name that it imports is not UTF-8"))
    }

    /// The error that something about the pickle is wrong, with the place that was reached.
    pub(super) fn damaged(&self, reason: impl Into<String>) -> WeightsError {
        WeightsError::Pickle {
            file: self.file.to_string(),
            at: self.at as u64,
            reason: reason.into(),
        }
    }
}

/// An integer from its little-endian two's complement; no bytes at all are zero.
pub(super) fn integer(bytes: &[u8]) -> Value<'_> {
    if bytes.len() > 8 {
        return Value::Long(bytes);
    }
    let negative = bytes.last().is_some_and(|last| last & 0x80 != 0);
    let mut wide = [if negative { 0xff } else { 0 }; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    Value::Int(i64::from_le_bytes(wide))
}

/// A name as a message can quote it: one line, not too long.
pub(super) fn quotable(name: &str) -> String {
    let mut shown: String = name.chars().take(80).flat_map(char::escape_debug).collect();
    if name.chars().nth(80).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_every_width() {
        for (bytes, value) in [
            (&[][..], 0),
            (&[0xff], -1),
            (&[0xff, 0x00], 255),
            (&[0x00, 0x80], -32768),
            (&[0, 0, 0, 0, 1], 1 << 32),
            (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], i64::MAX),
        ] {
            assert_eq!(integer(bytes), Value::Int(value), "{bytes:?}");
        }
        assert_eq!(integer(&[1; 9]), Value::Long(&[1; 9]));
    }

    #[test]
    fn quoted_names_are_one_short_line() {
        assert_eq!(quotable("os"), "os");
        assert_eq!(quotable("a\nb`\u{1b}"), "a\\nb`\\u{1b}");
        assert_eq!(quotable(&"x".repeat(1000)).chars().count(), 81);
    }
}
