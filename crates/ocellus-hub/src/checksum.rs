//! The two checksums that hubs publish: SHA-256 for large files, git's blob SHA-1 for small ones.

use std::fmt::Write as _;

use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::reference::is_hex;

/// What a file's bytes must hash to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Checksum {
    /// Of the bytes as they are.
    Sha256(String),
    /// Of `blob <size>\0` and then the bytes: the id that git gives a file.
    GitSha1(String),
}

impl Checksum {
    /// 64 hexadecimal digits, or nothing.
    pub fn sha256(text: &str) -> Option<Self> {
        is_hex(text, 64).then(|| Self::Sha256(text.into()))
    }

    /// 40 hexadecimal digits, or nothing.
    pub fn git_sha1(text: &str) -> Option<Self> {
        is_hex(text, 40).then(|| Self::GitSha1(text.into()))
    }

    /// The digits: also the name of the blob in the cache.
    pub fn hex(&self) -> &str {
        match self {
            Self::Sha256(hex) | Self::GitSha1(hex) => hex,
        }
    }

    /// A hasher for a file of `size_bytes`.
    pub fn hasher(&self, size_bytes: u64) -> Hasher {
        match self {
            Self::Sha256(_) => Hasher::Sha256(Sha256::new()),
            Self::GitSha1(_) => Hasher::Sha1(Sha1::new().chain_update(format!("blob {size_bytes}\0"))),
        }
    }
}

/// Takes bytes as they arrive.
pub(crate) enum Hasher {
    Sha256(Sha256),
    Sha1(Sha1),
}

impl Hasher {
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha1(hasher) => hasher.update(bytes),
        }
    }

    pub fn finish(self) -> String {
        match self {
            Self::Sha256(hasher) => hex(&hasher.finalize()),
            Self::Sha1(hasher) => hex(&hasher.finalize()),
        }
    }
}

/// SHA-1 of some text in hexadecimal digits: an id, not a protection.
pub(crate) fn sha1_of(text: &str) -> String {
    hex(&Sha1::digest(text))
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_digests() {
        let cases: [(Checksum, &[u8]); 3] = [
            // `printf hello | sha256sum`, `printf hello | git hash-object --stdin`, and git's id of the empty file.
            (
                Checksum::sha256("2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824").unwrap(),
                b"hello",
            ),
            (
                Checksum::git_sha1("b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0").unwrap(),
                b"hello",
            ),
            (
                Checksum::git_sha1("e69de29bb2d1d6434b8b29ae775ad8c2e48c5391").unwrap(),
                b"",
            ),
        ];
        for (checksum, bytes) in cases {
            let mut hasher = checksum.hasher(bytes.len() as u64);
            hasher.update(bytes);
            assert_eq!(hasher.finish(), checksum.hex());
        }
    }

    #[test]
    fn only_hexadecimal_digits_of_the_right_length_are_checksums() {
        let long = "a".repeat(64);
        assert!(Checksum::sha256(&long).is_some());
        for bad in ["", "../../x", &long[1..], &long.to_uppercase(), &"g".repeat(64)] {
            assert!(Checksum::sha256(bad).is_none(), "{bad}");
            assert!(Checksum::git_sha1(bad).is_none(), "{bad}");
        }
    }
}
