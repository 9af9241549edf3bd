//! Losses of pretraining against the same loss written down in f64 over logits and states, and their gradients against central
//! differences of it.

mod encoder_decoder_mixture;
mod hand;
mod masked_regions;
mod modality_experts;
mod single_stream;
mod tiny;
