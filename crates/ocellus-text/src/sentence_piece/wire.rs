//! The wire format of protocol buffers, read only: fields in order, nothing copied, nothing trusted.

/// A field's value by its wire type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'b> {
    Varint(u64),
    Fixed32([u8; 4]),
    /// Carried by no field that is read here.
    Fixed64,
    Bytes(&'b [u8]),
}

/// The fields of a message, until its end or the first one that cannot be read.
pub(super) struct Fields<'b> {
    rest: &'b [u8],
}

impl<'b> Fields<'b> {
    pub(super) fn new(message: &'b [u8]) -> Fields<'b> {
        Fields { rest: message }
    }

    fn take(&mut self, count: usize) -> Result<&'b [u8], String> {
        let left = self.rest.len();
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or_else(|| format!("a field of {count} bytes, but only {left} are left"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, String> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("a number of more than ten bytes".to_string())
    }

    fn field(&mut self) -> Result<(u64, Value<'b>), String> {
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => {
                self.take(8)?;
                Value::Fixed64
            }
            2 => {
                let count = self.varint()?;
                Value::Bytes(self.take(usize::try_from(count).unwrap_or(usize::MAX))?)
            }
            5 => {
                let mut four = [0; 4];
                four.copy_from_slice(self.take(4)?);
                Value::Fixed32(four)
            }
            kind => return Err(format!("a field of wire type {kind}")),
        };
        Ok((key >> 3, value))
    }
}

impl<'b> Iterator for Fields<'b> {
    /// A field's number and value.
    type Item = Result<(u64, Value<'b>), String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_every_kind() {
        let message = [
            8, 0xAC, 2, 18, 2, b'h', b'i', 29, 1, 2, 3, 4, 33, 0, 0, 0, 0, 0, 0, 0, 0,
        ];
        let fields: Result<Vec<_>, _> = Fields::new(&message).collect();
        assert_eq!(
            fields.unwrap(),
            [
                (1, Value::Varint(300)),
                (2, Value::Bytes(b"hi")),
                (3, Value::Fixed32([1, 2, 3, 4])),
                (4, Value::Fixed64),
            ]
        );
    }

    #[test]
    fn what_ends_too_early_is_an_error() {
        for message in [
            &[8][..],
            &[8, 0x80],
            &[18, 3, b'h'],
            &[18, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1],
            &[29, 1, 2],
            &[11],
            &[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
        ] {
            assert!(Fields::new(message).any(|field| field.is_err()), "{message:?}");
        }
    }
}
