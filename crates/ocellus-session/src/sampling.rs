//! Sampling options: the caller's override the checkpoint's.

use ocellus_engine::Sampling;
use ocellus_processor::GenerationDefaults;

/// Default bound of an answer, in tokens.
pub const MAX_TOKENS: usize = 1024;

/// A caller's generation options; missing ones come from the checkpoint's `generation_config.json`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GenerationOptions {
    /// `None` = [`MAX_TOKENS`], or what the context leaves.
    pub max_tokens: Option<usize>,
    /// 0 always takes the likeliest token.
    pub temperature: Option<f32>,
    pub top_p: Option<f32>,
    /// 0 = all.
    pub top_k: Option<usize>,
    pub min_p: Option<f32>,
    pub repetition_penalty: Option<f32>,
    /// The same seed gives the same answer.
    pub seed: u64,
    /// Texts that end the answer, beside the checkpoint's own.
    pub stop: Vec<String>,
}

impl GenerationOptions {
    /// The caller first, then the checkpoint, then greedy.
    pub fn sampling(&self, own: &GenerationDefaults) -> Sampling {
        let default = Sampling::default();
        let temperature = match own.sample {
            true => own.temperature.unwrap_or(1.0),
            false => default.temperature,
        };
        let top_k = if own.sample { 50 } else { default.top_k };
        Sampling {
            temperature: self.temperature.unwrap_or(temperature),
            top_k: self.top_k.or(own.top_k).unwrap_or(top_k),
            top_p: self.top_p.or(own.top_p).unwrap_or(default.top_p),
            min_p: self.min_p.or(own.min_p).unwrap_or(default.min_p),
            repetition_penalty: self
                .repetition_penalty
                .or(own.repetition_penalty)
                .unwrap_or(default.repetition_penalty),
            seed: self.seed,
        }
    }
}
