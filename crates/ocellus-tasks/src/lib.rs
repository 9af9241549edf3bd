//! What a user asks for, one file per task: render the request, parse the answer.
//!
//! - [`layout`] finds the lines of a page and cuts them into strips for a line reader;
//! - [`ocr`] reads a page with whatever line reader the caller has, and [`render`] writes what was read;
//! - [`draw`] shows boxes on the page;
//! - [`grounding`] finds the places that an answer names;
//! - [`ask`] makes a question about pictures into a conversation.
//!
//! This crate depends on no engine, no model and no file.

pub mod ask;
pub mod classify;
pub mod draw;
pub mod grounding;
pub mod layout;
pub mod ocr;
pub mod render;
