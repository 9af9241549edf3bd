//! Keys and values of a header.

use super::reader::Reader;
use super::types::Kind;
use crate::storage::Storage;
use crate::{Result, WeightsError};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// The metadata of a GGUF file, by key. Values are read from the mapped file on access.
///
/// Every getter gives `None` when there is no such key, and an error when its value is of another kind.
pub struct Metadata {
    pub(crate) file: String,
    pub(crate) storage: Arc<Storage>,
    pub(crate) values: BTreeMap<String, Stored>,
}

/// Where a value lies, and what it is.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    kind: Kind,
    /// `None` for a value on its own.
    count: Option<usize>,
    range: Range<usize>,
}

impl Stored {
    /// The value as a whole number, from the file it lies in.
    pub(super) fn size(&self, file: &[u8]) -> Option<u64> {
        let value = file.get(self.range.clone()).filter(|_| self.count.is_none())?;
        integer(self.kind, value).and_then(|value| u64::try_from(value).ok())
    }
}

/// Reads past one value and checks its length.
pub(super) fn read(reader: &mut Reader<'_>, key: &str) -> Result<Stored> {
    let what = || format!("the value of `{key}`");
    let kind = |reader: &mut Reader<'_>| {
        let number = reader.u32(&what())?;
        Kind::of(number).ok_or_else(|| reader.damaged(format!("{} has the unknown type {number}", what())))
    };
    let alone = kind(reader)?;
    if alone != Kind::Array {
        let range = match alone.size_bytes() {
            Some(size) => reader.skip(size as u64, &what())?,
            None => reader.text_range(&what())?,
        };
        let count = None;
        return Ok(Stored {
            kind: alone,
            count,
            range,
        });
    }
    let (kind, count) = (kind(reader)?, reader.u64(&what())?);
    let least = match kind {
        Kind::Array => {
            return Err(reader.damaged(format!("{} is a list of lists, which is not read", what())));
        }
        // The length of a text alone takes eight bytes.
        kind => kind.size_bytes().unwrap_or(8),
    };
    let bytes = count
        .checked_mul(least as u64)
        .filter(|bytes| *bytes <= reader.left() as u64);
    let Some(bytes) = bytes else {
        let left = reader.left();
        return Err(reader.damaged(format!(
            "{} is a list of {count}, but {left} bytes are left in the file",
            what()
        )));
    };
    let start = reader.at();
    match kind {
        Kind::Text => {
            for _ in 0..count {
                reader.text_range(&what())?;
            }
        }
        _ => {
            reader.skip(bytes, &what())?;
        }
    }
    Ok(Stored {
        kind,
        // At most the length of the file, a usize.
        count: Some(count as usize),
        range: start..reader.at(),
    })
}

impl Metadata {
    /// Keys in alphabetical order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    pub fn contains(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// The name of the file, as messages call it.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// A text.
    pub fn text(&self, key: &str) -> Result<Option<&str>> {
        self.alone(key, "a text", |kind, bytes| match kind {
            Kind::Text => std::str::from_utf8(bytes).ok(),
            _ => None,
        })
    }

    /// A whole number that is not negative, of any integer type.
    pub fn size(&self, key: &str) -> Result<Option<u64>> {
        self.alone(key, "a whole number", |kind, bytes| {
            integer(kind, bytes).and_then(|value| u64::try_from(value).ok())
        })
    }

    /// A number of any type. An f32 gives the shortest decimal number that rounds to it: 1e-6 stays 1e-6.
    pub fn number(&self, key: &str) -> Result<Option<f64>> {
        self.alone(key, "a number", number)
    }

    pub fn flag(&self, key: &str) -> Result<Option<bool>> {
        self.alone(key, "true or false", flag)
    }

    /// A list of texts.
    pub fn texts<'a>(&'a self, key: &str) -> Result<Option<Vec<&'a str>>> {
        let expected = "a list of texts in UTF-8";
        let Some((stored, mut bytes, count)) = self.list(key, expected)? else {
            return Ok(None);
        };
        let next = |bytes: &mut &'a [u8]| {
            let (length, rest) = bytes.split_first_chunk::<8>()?;
            let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
            let (text, rest) = rest.split_at_checked(length)?;
            *bytes = rest;
            std::str::from_utf8(text).ok()
        };
        let texts = (0..count).map(|_| next(&mut bytes).filter(|_| stored.kind == Kind::Text));
        let texts = texts.collect::<Option<Vec<&str>>>();
        texts.map(Some).ok_or_else(|| self.wrong(key, expected))
    }

    /// A list of whole numbers, of any integer type.
    pub fn integers(&self, key: &str) -> Result<Option<Vec<i64>>> {
        self.each(key, "a list of whole numbers", |kind, bytes| {
            integer(kind, bytes).and_then(|value| i64::try_from(value).ok())
        })
    }

    /// A list of numbers of any type, as [`number`](Self::number) gives them.
    pub fn numbers(&self, key: &str) -> Result<Option<Vec<f64>>> {
        self.each(key, "a list of numbers", number)
    }

    pub fn flags(&self, key: &str) -> Result<Option<Vec<bool>>> {
        self.each(key, "a list of true and false", flag)
    }

    fn alone<'a, T>(
        &'a self,
        key: &str,
        expected: &str,
        read: impl Fn(Kind, &'a [u8]) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(stored) = self.values.get(key) else {
            return Ok(None);
        };
        let bytes = &self.storage.bytes()[stored.range.clone()];
        let value = Some(bytes).filter(|_| stored.count.is_none());
        let value = value.and_then(|bytes| read(stored.kind, bytes));
        value.map(Some).ok_or_else(|| self.wrong(key, expected))
    }

    fn list(&self, key: &str, expected: &str) -> Result<Option<(&Stored, &[u8], usize)>> {
        let Some(stored) = self.values.get(key) else {
            return Ok(None);
        };
        let count = stored.count.ok_or_else(|| self.wrong(key, expected))?;
        Ok(Some((stored, &self.storage.bytes()[stored.range.clone()], count)))
    }

    fn each<T>(
        &self,
        key: &str,
        expected: &str,
        read: impl Fn(Kind, &[u8]) -> Option<T>,
    ) -> Result<Option<Vec<T>>> {
        let Some((stored, bytes, _)) = self.list(key, expected)? else {
            return Ok(None);
        };
        let wrong = || self.wrong(key, expected);
        let size = stored.kind.size_bytes().ok_or_else(wrong)?;
        let values = bytes.chunks_exact(size).map(|value| read(stored.kind, value));
        values.collect::<Option<Vec<T>>>().map(Some).ok_or_else(wrong)
    }

    fn wrong(&self, key: &str, expected: &str) -> WeightsError {
        WeightsError::Key {
            file: self.file.clone(),
            key: key.to_string(),
            reason: format!("expected {expected}"),
        }
    }
}

impl std::fmt::Debug for Metadata {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Metadata({}: {} keys)", self.file, self.values.len())
    }
}

fn bytes<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok()
}

fn integer(kind: Kind, value: &[u8]) -> Option<i128> {
    Some(match kind {
        Kind::U8 => u8::from_le_bytes(bytes(value)?).into(),
        Kind::I8 => i8::from_le_bytes(bytes(value)?).into(),
        Kind::U16 => u16::from_le_bytes(bytes(value)?).into(),
        Kind::I16 => i16::from_le_bytes(bytes(value)?).into(),
        Kind::U32 => u32::from_le_bytes(bytes(value)?).into(),
        Kind::I32 => i32::from_le_bytes(bytes(value)?).into(),
        Kind::U64 => u64::from_le_bytes(bytes(value)?).into(),
        Kind::I64 => i64::from_le_bytes(bytes(value)?).into(),
        Kind::F32 | Kind::F64 | Kind::Bool | Kind::Text | Kind::Array => return None,
    })
}

fn number(kind: Kind, value: &[u8]) -> Option<f64> {
    match kind {
        Kind::F32 => f32::from_le_bytes(bytes(value)?).to_string().parse().ok(),
        Kind::F64 => Some(f64::from_le_bytes(bytes(value)?)),
        _ => integer(kind, value).map(|value| value as f64),
    }
}

fn flag(kind: Kind, value: &[u8]) -> Option<bool> {
    match (kind, value) {
        (Kind::Bool, [0]) => Some(false),
        (Kind::Bool, [1]) => Some(true),
        _ => None,
    }
}
