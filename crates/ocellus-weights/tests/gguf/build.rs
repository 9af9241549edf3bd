//! Files as the format describes them, or almost.

/// Numbers of the types of metadata.
pub const U8: u32 = 0;
pub const U32: u32 = 4;
pub const F32: u32 = 6;
pub const BOOL: u32 = 7;
pub const TEXT: u32 = 8;
pub const ARRAY: u32 = 9;
pub const U64: u32 = 10;

/// A file in the making; every part can be made wrong before it is written.
#[derive(Clone)]
pub struct File {
    pub magic: Vec<u8>,
    pub version: u32,
    pub tensor_count: Option<u64>,
    pub key_count: Option<u64>,
    /// Key, type and bytes of the value.
    pub keys: Vec<(String, u32, Vec<u8>)>,
    pub tensors: Vec<Row>,
    pub alignment: usize,
    pub data: Vec<u8>,
}

/// A row of the table of tensors; sides in the order of the file, the fastest first.
#[derive(Clone)]
pub struct Row {
    pub name: String,
    pub sides: Vec<u64>,
    pub kind: u32,
    pub offset: u64,
}

pub fn text(value: &str) -> Vec<u8> {
    [&(value.len() as u64).to_le_bytes()[..], value.as_bytes()].concat()
}

/// The bytes of a list: type and number of its values, and the values.
pub fn list(kind: u32, values: &[Vec<u8>]) -> Vec<u8> {
    let count = values.len() as u64;
    [&kind.to_le_bytes()[..], &count.to_le_bytes(), &values.concat()].concat()
}

pub fn row(name: &str, sides: &[u64], kind: u32, offset: u64) -> Row {
    Row {
        name: name.to_string(),
        sides: sides.to_vec(),
        kind,
        offset,
    }
}

impl File {
    pub fn new() -> Self {
        Self {
            magic: b"GGUF".to_vec(),
            version: 3,
            tensor_count: None,
            key_count: None,
            keys: Vec::new(),
            tensors: Vec::new(),
            alignment: 32,
            data: Vec::new(),
        }
    }

    pub fn key(mut self, key: &str, kind: u32, value: Vec<u8>) -> Self {
        self.keys.push((key.to_string(), kind, value));
        self
    }

    /// One more tensor, behind the others.
    pub fn tensor(mut self, name: &str, sides: &[u64], kind: u32, bytes: &[u8]) -> Self {
        self.data
            .resize(self.data.len().next_multiple_of(self.alignment), 0);
        let offset = self.data.len() as u64;
        self.data.extend_from_slice(bytes);
        self.tensors.push(row(name, sides, kind, offset));
        self
    }

    /// Everything in front of the data, without the padding.
    pub fn header(&self) -> Vec<u8> {
        let mut out = self.magic.clone();
        out.extend(self.version.to_le_bytes());
        out.extend(
            self.tensor_count
                .unwrap_or(self.tensors.len() as u64)
                .to_le_bytes(),
        );
        out.extend(self.key_count.unwrap_or(self.keys.len() as u64).to_le_bytes());
        for (key, kind, value) in &self.keys {
            out.extend(text(key));
            out.extend(kind.to_le_bytes());
            out.extend(value);
        }
        for row in &self.tensors {
            out.extend(text(&row.name));
            out.extend((row.sides.len() as u32).to_le_bytes());
            for side in &row.sides {
                out.extend(side.to_le_bytes());
            }
            out.extend(row.kind.to_le_bytes());
            out.extend(row.offset.to_le_bytes());
        }
        out
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut out = self.header();
        out.resize(out.len().next_multiple_of(self.alignment), 0);
        out.extend(&self.data);
        out
    }
}
