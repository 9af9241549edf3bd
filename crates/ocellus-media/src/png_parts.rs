//! A PNG file without the parts that nothing here reads and that may unpack to any size: colour profiles and texts.

use std::io::{self, BufRead, Read, Seek, SeekFrom};

const LEFT_OUT: [&[u8]; 4] = [b"iCCP", b"iTXt", b"zTXt", b"tEXt"];
const SIGNATURE_BYTES: usize = 8;
/// Length and kind before a chunk's data, and the checksum behind it.
const AROUND_BYTES: usize = 12;

/// The parts of a file that are read, one after another.
pub(crate) struct PngParts<'a> {
    /// Each with its place in what is read.
    parts: Vec<(u64, &'a [u8])>,
    length: u64,
    at: u64,
}

impl<'a> PngParts<'a> {
    /// All but the chunks that are left out. What is no chunk is kept as it is, for the decoder to explain.
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        let mut parts = Vec::new();
        let (mut start, mut at) = (0, SIGNATURE_BYTES.min(bytes.len()));
        while let Some((kind, end)) = chunk(bytes, at) {
            if LEFT_OUT.contains(&kind) {
                parts.push(&bytes[start..at]);
                start = end;
            }
            at = end;
        }
        parts.push(&bytes[start..]);
        let mut length = 0;
        let placed = parts.into_iter().map(|part| {
            let place = length;
            length += part.len() as u64;
            (place, part)
        });
        Self {
            parts: placed.filter(|(_, part)| !part.is_empty()).collect(),
            length,
            at: 0,
        }
    }
}

/// Kind and end of the chunk at `at`.
fn chunk(bytes: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let length = u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize;
    let end = at.checked_add(length)?.checked_add(AROUND_BYTES)?;
    (end <= bytes.len()).then(|| (&bytes[at + 4..at + 8], end))
}

impl BufRead for PngParts<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let after = self.parts.partition_point(|(place, _)| *place <= self.at);
        let Some((place, part)) = after.checked_sub(1).map(|index| self.parts[index]) else {
            return Ok(&[]);
        };
        Ok(part.get((self.at - place) as usize..).unwrap_or_default())
    }

    fn consume(&mut self, count: usize) {
        self.at += count as u64;
    }
}

impl Read for PngParts<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let here = self.fill_buf()?;
        let count = here.len().min(buffer.len());
        buffer[..count].copy_from_slice(&here[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl Seek for PngParts<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
        };
        self.at = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(chunks: &[(&[u8], &[u8])], end: &[u8]) -> Vec<u8> {
        let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
        for (kind, data) in chunks {
            file.extend((data.len() as u32).to_be_bytes());
            file.extend([*kind, *data, b"sum."].concat());
        }
        file.extend(end);
        file
    }

    fn read(file: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        PngParts::of(file).read_to_end(&mut out).unwrap();
        out
    }

    #[test]
    fn profiles_and_texts_are_left_out_and_nothing_else() {
        let kept: &[(&[u8], &[u8])] = &[(b"IHDR", b"x"), (b"eXIf", b"yy"), (b"IDAT", b""), (b"IEND", b"")];
        let more: &[(&[u8], &[u8])] = &[
            (b"iCCP", b"profile"),
            (b"IHDR", b"x"),
            (b"iTXt", b""),
            (b"zTXt", b"a"),
            (b"eXIf", b"yy"),
            (b"IDAT", b""),
            (b"IEND", b""),
            (b"tEXt", b"behind"),
        ];
        for end in [&b""[..], b"rest", b"\0\0\0\x09iCCP"] {
            assert_eq!(read(&with(more, end)), with(kept, end), "{end:?}");
            assert_eq!(read(&with(kept, end)), with(kept, end));
        }
        for short in [&b""[..], b"\x89PN", b"\x89PNG\r\n\x1a\n\xff\xff\xff\xffiCCP"] {
            assert_eq!(read(short), short);
        }
    }

    #[test]
    fn any_place_can_be_read_from() {
        let file = with(&[(b"IHDR", b"abc"), (b"tEXt", b"t"), (b"IDAT", b"defg")], b"");
        let whole = read(&file);
        let mut parts = PngParts::of(&file);
        for at in 0..whole.len() + 2 {
            parts.seek(SeekFrom::Start(at as u64)).unwrap();
            let mut rest = Vec::new();
            parts.read_to_end(&mut rest).unwrap();
            assert_eq!(rest, whole.get(at..).unwrap_or_default(), "{at}");
        }
        assert_eq!(parts.seek(SeekFrom::End(-1)).unwrap(), whole.len() as u64 - 1);
        assert!(parts.seek(SeekFrom::Current(-1000)).is_err());
    }
}
