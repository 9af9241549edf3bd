//! Families of models, a file or folder each, and the registry that finds them.

mod albef;
mod arranged;
mod blip;
mod blip_2;
#[cfg(test)]
mod changed;
mod clip;
mod family;
mod frcnn;
pub mod gguf;
mod packed;
mod pixtral;
mod planes;
pub mod published;
mod qwen;
mod qwen2;
mod qwen2_5_vl;
mod qwen2_vl;
mod qwen3_vl;
mod regions;
mod registry;
#[cfg(test)]
mod testing;
mod uniter;
mod vilbert;
mod vilt;
mod vlmo;

pub use arranged::arranged;
pub use family::{Family, Load, Task};
pub use registry::{
    CONFIG_FILES, FAMILIES, find, load, load_generator, load_learner, load_trace, named, parse, processor,
};
