//! The program from outside: what users and their scripts see.

mod abilities;
mod adapters;
mod bench;
mod checkpoints;
mod counts;
mod crop;
mod cut_off;
mod detect;
mod errors;
mod help;
mod library;
mod models;
mod ocr;
mod pairs;
mod quantize;
mod support;
mod train;
mod usage;
mod words;
