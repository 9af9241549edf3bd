//! What is noticed while a config is read.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::class::Version;
use super::warning::ModelWarning;

/// What is noticed while a config is read, and who wrote it.
#[derive(Clone, Debug, Default)]
pub struct Log {
    warnings: RefCell<BTreeSet<ModelWarning>>,
    version: Option<Version>,
}

impl Log {
    pub fn of(version: Option<Version>) -> Self {
        Self {
            version,
            ..Self::default()
        }
    }

    pub fn version(&self) -> Option<Version> {
        self.version
    }

    /// Each warning once.
    pub fn all(&self) -> Vec<ModelWarning> {
        self.warnings.borrow().iter().cloned().collect()
    }

    pub fn warn(&self, warning: ModelWarning) {
        self.warnings.borrow_mut().insert(warning);
    }
}
