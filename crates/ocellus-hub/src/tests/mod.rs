//! The whole crate against a small hub on 127.0.0.1. Nothing here leaves the machine.

mod adapters;
mod cache;
mod elsewhere;
mod failures;
mod names;
mod pull;
mod server;
mod setting;
