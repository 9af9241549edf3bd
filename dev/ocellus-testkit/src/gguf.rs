//! GGUF files as the format describes them, or almost: built from parts, or read and changed, so that a test can make every
//! part wrong.

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

impl Default for File {
    /// No keys, no tensors.
    fn default() -> Self {
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
}

impl File {
    pub fn new() -> Self {
        Self::default()
    }

    /// A sound file of alignment 32.
    pub fn read(bytes: &[u8]) -> Self {
        let mut at = 24;
        let number = |from: usize| u64::from_le_bytes(bytes[from..from + 8].try_into().unwrap());
        let word = |from: usize| u32::from_le_bytes(bytes[from..from + 4].try_into().unwrap());
        let name = |at: &mut usize| {
            let start = *at + 8;
            *at = start + number(*at) as usize;
            String::from_utf8(bytes[start..*at].to_vec()).unwrap()
        };
        let mut file = Self {
            version: word(4),
            ..Self::default()
        };
        for _ in 0..number(16) {
            let key = name(&mut at);
            let (kind, start) = (word(at), at + 4);
            at = value_end(bytes, kind, start);
            file.keys.push((key, kind, bytes[start..at].to_vec()));
        }
        for _ in 0..number(8) {
            let name = name(&mut at);
            let rank = word(at) as usize;
            let sides = (0..rank).map(|i| number(at + 4 + 8 * i)).collect();
            at += 4 + 8 * rank;
            let (kind, offset) = (word(at), number(at + 4));
            at += 12;
            file.tensors.push(Row {
                name,
                sides,
                kind,
                offset,
            });
        }
        file.data = bytes[at.next_multiple_of(file.alignment)..].to_vec();
        file
    }

    /// Sets a key, or removes it without a value.
    pub fn set(&mut self, key: &str, value: Option<(u32, Vec<u8>)>) {
        self.keys.retain(|row| row.0 != key);
        self.keys
            .extend(value.map(|(kind, value)| (key.to_string(), kind, value)));
    }

    /// Gives a tensor another name.
    pub fn rename(&mut self, from: &str, to: &str) {
        let row = self.tensors.iter_mut().find(|row| row.name == from);
        row.unwrap_or_else(|| panic!("there is no tensor {from}")).name = to.to_string();
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

/// Where a value of this type ends.
fn value_end(bytes: &[u8], kind: u32, start: usize) -> usize {
    let number = |from: usize| u64::from_le_bytes(bytes[from..from + 8].try_into().unwrap()) as usize;
    match kind {
        0 | 1 | BOOL => start + 1,
        2 | 3 => start + 2,
        U32 | 5 | F32 => start + 4,
        U64..=12 => start + 8,
        TEXT => start + 8 + number(start),
        _ => {
            let inner = u32::from_le_bytes(bytes[start..start + 4].try_into().unwrap());
            (0..number(start + 4)).fold(start + 12, |at, _| value_end(bytes, inner, at))
        }
    }
}
