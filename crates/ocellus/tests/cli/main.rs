//! The program from outside: what users and their scripts see.

mod detect;
mod errors;
mod help;
mod models;
mod support;
