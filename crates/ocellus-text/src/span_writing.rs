//! Byte spans in the ids of a text.

use crate::byte_reader::ByteReader;
use crate::byte_spans::ByteSpans;
use crate::special::Special;
use crate::{Result, TextError, Tokenizer};

impl Tokenizer {
    /// From now on, text between the tokens `open` and `close` becomes its UTF-8 bytes as ids 0 to 255, followed by `pad`
    /// until there are `ids` of them. At least one `pad` must stay.
    ///
    /// An error when one of the three is no token, or `ids` is 0.
    pub fn with_byte_spans(mut self, open: &str, close: &str, pad: &str, ids: usize) -> Result<Tokenizer> {
        let id = |token: &str| {
            self.token_id(token).ok_or_else(|| TextError::NoToken {
                token: token.to_string(),
            })
        };
        let spans = ByteSpans {
            open: id(open)?,
            close: id(close)?,
            pad: id(pad)?,
            ids,
        };
        self.spans = Some(spans);
        self.with_span_ids(ids)
    }

    /// Sets the number of ids of a span, for a tokenizer that has such spans; others stay as they are.
    pub fn with_span_ids(mut self, ids: usize) -> Result<Tokenizer> {
        if ids == 0 {
            return Err(TextError::SpanLength);
        }
        if let Some(spans) = &mut self.spans {
            spans.ids = ids;
        }
        Ok(self)
    }

    /// Rewrites the ids between the special tokens of `spans`.
    pub(crate) fn write_spans(&self, spans: ByteSpans, ids: &[u32]) -> Result<Vec<u32>> {
        let mut written = Vec::with_capacity(ids.len());
        let mut rest = ids;
        while let Some(at) = rest.iter().position(|id| *id == spans.open) {
            let (before, after) = rest.split_at(at + 1);
            written.extend(before);
            let Some(end) = after.iter().position(|id| *id == spans.close) else {
                return Err(TextError::SpanOpen {
                    open: self.token(spans.open).unwrap_or_default(),
                    close: self.token(spans.close).unwrap_or_default(),
                });
            };
            let mut reader = ByteReader::default();
            let mut name = Vec::new();
            for id in &after[..end] {
                name.extend(reader.bytes(self, *id, Special::Keep));
            }
            if name.len() >= spans.ids {
                return Err(TextError::SpanTooLong {
                    open: self.token(spans.open).unwrap_or_default(),
                    found: name.len(),
                    limit: spans.ids - 1,
                });
            }
            let pads = spans.ids - name.len();
            written.extend(name.into_iter().map(u32::from));
            written.extend(std::iter::repeat_n(spans.pad, pads));
            rest = &after[end..];
        }
        written.extend(rest);
        Ok(written)
    }
}
