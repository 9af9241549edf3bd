//! Memory of packed weights: allocated, or a mapped file.

use std::sync::Arc;

/// Read-only bytes, kept alive by their owner.
#[derive(Clone)]
pub struct Bytes(pub Arc<dyn AsRef<[u8]> + Send + Sync>);

impl Bytes {
    pub fn as_slice(&self) -> &[u8] {
        (*self.0).as_ref()
    }
}

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.as_slice().len())
    }
}
