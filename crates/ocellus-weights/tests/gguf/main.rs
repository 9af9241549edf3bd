//! GGUF files: built here byte by byte, and small ones that the published Python package wrote.

mod blocks;
mod damaged;
mod goldens;
mod metadata;
mod rebuilt;
