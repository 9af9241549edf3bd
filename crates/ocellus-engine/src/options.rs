//! Options of an engine.

use ocellus_base::limits;
use ocellus_nn::{BLOCK, KvWidth};

/// Limits and options of an engine. The defaults suit one caller with few requests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EngineOptions {
    /// Storage format of keys and values.
    pub kv_width: KvWidth,
    /// Maximum blocks of the KV cache, of [`BLOCK`] tokens each. Memory is allocated as blocks are used.
    pub kv_blocks: usize,
    /// Most requests that run at a time.
    pub running: usize,
    /// Most requests that wait.
    pub waiting: usize,
    /// Maximum prompt tokens per step while other sequences decode: bounds the time between their tokens.
    pub prefill_tokens: usize,
    /// The same when no sequence decodes: bounds memory.
    pub prefill_tokens_alone: usize,
    /// Whether full blocks are kept for requests with the same prefix.
    pub prefix_cache: bool,
    /// Bytes of visual tokens that are kept for requests with the same picture.
    pub encoder_cache_bytes: usize,
    /// Fills free blocks with NaN, so that tests detect reads of stale values.
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
