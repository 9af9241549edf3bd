//! Losses of pretraining against the same loss written down in f64 over logits and states, and their gradients against central
//! differences of it.

mod hand;
mod image_text_language;
mod masked_regions;
mod single_stream;
mod staged_experts;
mod tiny;
