//! Pickles, streams and archives, written byte by byte.

use ocellus_weights::{Weights, WeightsError};

/// A pickle in the making. Names follow what Python's `pickletools` calls the opcodes.
#[derive(Clone)]
pub struct Pickle(pub Vec<u8>);

impl Pickle {
    pub fn new() -> Pickle {
        Pickle(vec![0x80, 2])
    }

    pub fn raw(mut self, bytes: &[u8]) -> Pickle {
        self.0.extend_from_slice(bytes);
        self
    }

    pub fn text(self, text: &str) -> Pickle {
        self.raw(b"X")
            .raw(&(text.len() as u32).to_le_bytes())
            .raw(text.as_bytes())
    }

    pub fn int(self, value: i64) -> Pickle {
        self.raw(&[0x8a, 8]).raw(&value.to_le_bytes())
    }

    pub fn global(self, module: &str, name: &str) -> Pickle {
        self.raw(format!("c{module}\n{name}\n").as_bytes())
    }

    pub fn ints(self, values: &[i64]) -> Pickle {
        values
            .iter()
            .fold(self.raw(b"("), |pickle, value| pickle.int(*value))
            .raw(b"t")
    }

    /// A persistent id of a storage, without a view.
    pub fn storage(self, class: &str, key: &str, elements: i64) -> Pickle {
        self.raw(b"(")
            .text("storage")
            .global("torch", class)
            .text(key)
            .text("cpu")
            .int(elements)
            .raw(b"tQ")
    }

    /// A whole tensor of floats on storage `key`.
    pub fn tensor(self, key: &str, elements: i64, offset: i64, shape: &[i64], strides: &[i64]) -> Pickle {
        self.tensor_of("FloatStorage", key, elements, offset, shape, strides)
    }

    pub fn tensor_of(
        self,
        class: &str,
        key: &str,
        elements: i64,
        offset: i64,
        shape: &[i64],
        strides: &[i64],
    ) -> Pickle {
        self.global("torch._utils", "_rebuild_tensor_v2")
            .raw(b"(")
            .storage(class, key, elements)
            .int(offset)
            .ints(shape)
            .ints(strides)
            .raw(b"\x89ccollections\nOrderedDict\n)RtR")
    }

    pub fn stop(self) -> Vec<u8> {
        self.raw(b".").0
    }
}

/// `{"w": [1, 2, 3, 4, 5, 6] as 2 x 3}` on storage `0`.
pub fn small() -> Vec<u8> {
    Pickle::new()
        .raw(b"}(")
        .text("w")
        .tensor("0", 6, 0, &[2, 3], &[3, 1])
        .raw(b"u")
        .stop()
}

pub fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

pub const SIX: [f32; 6] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];

/// A stream of the old format: the saved object, and storages with their counts of elements.
pub fn stream(saved: &[u8], storages: &[(&str, i64, &[u8])]) -> Vec<u8> {
    let magic = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
    let protocol = b"\x80\x02M\xe9\x03.";
    let machine = Pickle::new()
        .raw(b"}(")
        .text("little_endian")
        .raw(b"\x88u")
        .stop();
    let keys = storages
        .iter()
        .fold(Pickle::new().raw(b"]("), |pickle, (key, ..)| pickle.text(key));
    let mut bytes = [&magic[..], protocol, &machine, saved, &keys.raw(b"e").stop()].concat();
    for (_, elements, data) in storages {
        bytes.extend_from_slice(&elements.to_le_bytes());
        bytes.extend_from_slice(data);
    }
    bytes
}

/// One file of an archive, with what its headers say.
#[derive(Clone)]
pub struct Stored {
    pub name: String,
    pub data: Vec<u8>,
    pub method: u16,
    pub flags: u16,
    /// In the directory, instead of the true ones.
    pub size: Option<u64>,
    pub header: Option<u64>,
    pub local_name: Option<String>,
}

pub fn stored(name: &str, data: &[u8]) -> Stored {
    Stored {
        name: name.to_string(),
        data: data.to_vec(),
        method: 0,
        flags: 0x808,
        size: None,
        header: None,
        local_name: None,
    }
}

/// An archive of `files`; with `wide`, all sizes stand in the 64-bit fields.
pub fn zip(files: &[Stored], wide: bool) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for file in files {
        let header = file.header.unwrap_or(bytes.len() as u64);
        directory.extend(file.central(header, wide));
        bytes.extend(file.local());
        bytes.extend_from_slice(&file.data);
        bytes.extend_from_slice(b"PK\x07\x08");
        bytes.extend_from_slice(&[0; 12]);
    }
    let start = bytes.len() as u64;
    bytes.extend(with_end(directory, start, files.len() as u64, wide));
    bytes
}

impl Stored {
    /// The header before the contents.
    pub fn local(&self) -> Vec<u8> {
        let name = self.local_name.as_ref().unwrap_or(&self.name);
        let mut bytes = b"PK\x03\x04".to_vec();
        bytes.extend(words(&[0, self.flags, self.method, 0, 0]));
        bytes.extend_from_slice(&[0; 12]); // checksum and sizes stand behind the data
        bytes.extend(words(&[name.len() as u16, 5]));
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(b"FB\x01\x00Z"); // torch pads with a field like this
        bytes
    }

    /// The entry of the directory for a file whose local header is at byte `header`.
    pub fn central(&self, header: u64, wide: bool) -> Vec<u8> {
        let size = self.size.unwrap_or(self.data.len() as u64);
        let mut extra = b"XX\x02\x00ab".to_vec();
        if wide {
            extra.extend(words(&[1, 24]));
            extra.extend([size, size, header].iter().flat_map(|value| value.to_le_bytes()));
        }
        let mut bytes = b"PK\x01\x02".to_vec();
        bytes.extend(words(&[0, 0, self.flags, self.method, 0, 0]));
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&narrow(size, wide));
        bytes.extend_from_slice(&narrow(size, wide));
        bytes.extend(words(&[
            self.name.len() as u16,
            extra.len() as u16,
            0,
            0,
            0,
            0,
            0,
        ]));
        bytes.extend_from_slice(&narrow(header, wide));
        bytes.extend_from_slice(self.name.as_bytes());
        bytes.extend(extra);
        bytes
    }
}

/// A directory of `count` files that starts at byte `start`, and the records that end the archive.
pub fn with_end(directory: Vec<u8>, start: u64, count: u64, wide: bool) -> Vec<u8> {
    let size = directory.len() as u64;
    let mut bytes = directory;
    if wide {
        bytes.extend_from_slice(b"PK\x06\x06");
        bytes.extend_from_slice(&44u64.to_le_bytes());
        bytes.extend_from_slice(&[0; 12]);
        bytes.extend(
            [count, count, size, start]
                .iter()
                .flat_map(|value| value.to_le_bytes()),
        );
        bytes.extend_from_slice(b"PK\x06\x07\0\0\0\0");
        bytes.extend_from_slice(&(start + size).to_le_bytes());
        bytes.extend_from_slice(&1u32.to_le_bytes());
    }
    bytes.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    bytes.extend(words(&[count as u16, count as u16]));
    bytes.extend_from_slice(&narrow(size, wide));
    bytes.extend_from_slice(&narrow(start, wide));
    bytes.extend_from_slice(&[0; 2]);
    bytes
}

fn narrow(value: u64, wide: bool) -> [u8; 4] {
    if wide { u32::MAX } else { value as u32 }.to_le_bytes()
}

fn words(values: &[u16]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// The archive that torch would write around `saved`.
pub fn archive(saved: &[u8], storages: &[(&str, &[u8])]) -> Vec<u8> {
    let mut files = vec![stored("x/data.pkl", saved), stored("x/byteorder", b"little")];
    files.extend(
        storages
            .iter()
            .map(|(key, data)| stored(&format!("x/data/{key}"), data)),
    );
    files.push(stored("x/version", b"3\n"));
    zip(&files, false)
}

pub fn open(bytes: Vec<u8>) -> Result<Weights, WeightsError> {
    Weights::from_bytes(bytes, "model.pth")
}

#[track_caller]
pub fn refusal(bytes: Vec<u8>) -> String {
    let message = open(bytes).expect_err("the file should be refused").to_string();
    assert!(message.starts_with("model.pth"), "no file is named: {message}");
    assert!(
        !message.chars().any(char::is_control),
        "more than one line: {message:?}"
    );
    message
}

/// Both containers around the same pickle and one storage `0` of floats.
pub fn both(saved: &[u8], values: &[f32]) -> [Vec<u8>; 2] {
    let data = floats(values);
    let count = values.len() as i64;
    [
        archive(saved, &[("0", &data)]),
        stream(saved, &[("0", count, &data)]),
    ]
}
