//! From a checkpoint's text and picture files and a conversation to a model's input.
//!
//! All files of a checkpoint beside its weights are read here, each file by one parser: tokenizer, chat template,
//! how pictures are prepared, how answers are drawn and end. A [`PictureProcessor`] makes patches of pictures, or counts the
//! tokens that they will take without decoding them; a [`PromptFormatter`] makes ids of conversations.
//!
//! This room knows conversations, pictures and prompts. It knows no weights, no scheduling and no HTTP.

mod error;
mod formatter;
mod generation;
mod picture;
mod places;
mod recipe;
mod text;
mod text_files;
mod tokenizer_files;

pub use error::{ProcessorError, Result};
pub use formatter::PromptFormatter;
pub use generation::GenerationDefaults;
pub use picture::{PictureGeometry, PictureProcessor, PixelBounds, PreparedPicture};
pub use recipe::PictureRecipe;
pub use text::TextProcessor;
pub use text_files::TextFiles;
