//! What is made: a strip with its truth.

use ocellus_media::Gray;

/// A strip with its true text.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// What is drawn, in characters of the charset, single spaces, none at the ends; empty where a page has nothing to read there.
    pub text: String,
    /// 28 px high, a multiple of 28 px wide, dark on white.
    pub image: Gray,
    /// Start and end in x, in pixels of `image`, of every character of `text`.
    pub spans: Vec<(f32, f32)>,
}
