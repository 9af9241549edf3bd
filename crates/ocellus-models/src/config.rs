//! Reading a `config.json` so that no field which changes the computation goes unread.
//!
//! A field is read, or refused by name; or it is known not to reach the computation (`accepted`); or the reference does not know
//! it either, and then it is a warning, which `strict` makes an error. What the reference knows stands in `class`.

mod accepted;
mod class;
mod error;
mod fields;
mod file;
mod log;
mod warning;

pub use error::ConfigError;
pub use fields::Fields;
pub use file::ConfigFile;
pub use warning::ModelWarning;
