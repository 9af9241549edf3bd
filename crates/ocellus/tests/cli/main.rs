//! The program from outside: what users and their scripts see.

mod errors;
mod help;
mod models;
mod support;
