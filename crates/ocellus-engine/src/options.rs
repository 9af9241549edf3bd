//! How an engine is set up.

use ocellus_base::limits;
use ocellus_nn::{BLOCK, KvWidth};

/// Bounds and choices of an engine. The defaults serve one caller with few requests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EngineOptions {
    /// How keys and values are kept.
    pub kv_width: KvWidth,
    /// Most blocks of the KV cache, of [`BLOCK`] tokens each. Memory is taken as blocks are used.
    pub kv_blocks: usize,
    /// Most requests that run at a time.
    pub running: usize,
    /// Most requests that wait.
    pub waiting: usize,
    /// Most prompt tokens that are read in a step in which others decode: this bounds how long those wait for their next token.
    pub prefill_tokens: usize,
    /// The same when no sequence decodes: this bounds memory.
    pub prefill_tokens_alone: usize,
    /// Whether full blocks of prompts and answers are kept for requests that start alike.
    pub prefix_cache: bool,
    /// Bytes of visual tokens that are kept for requests that show the same picture.
    pub encoder_cache_bytes: usize,
    /// Fills free blocks with what is no number, so that a test sees whether one is read before it is written.
    pub poison: bool,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            kv_width: KvWidth::Full,
            kv_blocks: limits::KV_BLOCKS,
            running: limits::RUNNING_REQUESTS,
            waiting: limits::WAITING_REQUESTS,
            prefill_tokens: 512,
            prefill_tokens_alone: 8192,
            prefix_cache: false,
            encoder_cache_bytes: 0,
            poison: false,
        }
    }
}

impl EngineOptions {
    /// Most tokens whose keys and values the cache may hold.
    pub fn kv_tokens(&self) -> usize {
        self.kv_blocks.saturating_mul(BLOCK)
    }
}
