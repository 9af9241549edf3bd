//! The program from outside: what users and their scripts see.

mod abilities;
mod checkpoints;
mod errors;
mod help;
mod library;
mod models;
mod pairs;
mod support;
mod words;
