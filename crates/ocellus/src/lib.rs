//! Ocellus as a library: vision-language models of many families behind one interface, on our own CPU kernels.
//!
//! A [`Session`] is a loaded model with its tokenizer, prompt format and preprocessing. It is opened on a [`Checkpoint`]: the model
//! inside the program, a folder, or a repository that a [`Hub`] found or downloaded.
//!
//! ```no_run
//! use std::ops::ControlFlow;
//! use std::sync::Arc;
//!
//! use ocellus::{Checkpoint, Conversation, Event, GenerationOptions, OpenOptions, PixelBounds, Session, SystemClock};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let options = OpenOptions {
//!     clock: Arc::new(SystemClock::start()),
//!     ..OpenOptions::default()
//! };
//! let session = Session::open(&Checkpoint::folder("./my-model"), &options)?;
//! let picture = session.picture(&std::fs::read("photo.jpg")?, PixelBounds::default())?;
//! let question = Conversation::about_images(1, "What is this?");
//! let answer = session.ask(&question, &[picture], &GenerationOptions::default(), &mut |event| {
//!     if let Event::Text(text) = event {
//!         print!("{text}");
//!     }
//!     ControlFlow::Continue(())
//! })?;
//! println!("\n{} tokens in {} ms", answer.tokens.len(), answer.timing.ms()[2]);
//! # Ok(())
//! # }
//! ```
//!
//! `examples/two_requests.rs` runs two requests in one [`engine`], `examples/library.rs` reads a page with the model inside the program. Without its default feature `cli` this crate brings
//! nothing that a command line needs.

mod clock;

pub use clock::SystemClock;
pub use ocellus_base::clock::Clock;
pub use ocellus_engine as engine;
pub use ocellus_hub::{
    BUILT_IN, Checkpoint, Hub, HubConfig, HubError, Location, Progress, Reference, Silent, Source,
};
pub use ocellus_session::*;
pub use ocellus_tasks::layout::{LineText, PageText};
pub use ocellus_text::{Conversation, Message, Part, Role};
