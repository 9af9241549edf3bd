//! Lines as they are found.

use super::glyph_group::Group;
use super::metrics::Metrics;

/// A line, measured.
pub(super) struct Found {
    pub group: Group,
    pub metrics: Metrics,
}
