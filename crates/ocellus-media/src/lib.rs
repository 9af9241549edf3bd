//! Pictures in, patches out.
//!
//! [`decode`] turns a file's bytes into upright 8-bit RGB within [`Limits`]; [`resize`] is the antialiased
//! bicubic filter that the published vision towers were trained with; [`patchify`] and its variants produce the
//! rows that a tower of patches takes, a [`PixelRecipe`] the planes that a tower with a convolution in front takes.
//! [`strip`] prepares a line of text for reading.
//!
//! This room knows pixels, grids and recipes. It knows no token ids, no model families and no weights.

mod batch;
mod canvas;
mod decode;
mod decoding;
mod error;
mod fax;
mod fields;
mod format;
mod frames;
mod interpolate;
mod levels;
mod patch;
mod pixel_config;
mod pixels;
mod png_parts;
mod raster;
mod recipe;
mod resize;
pub mod size_rules;
mod smart_resize;
pub mod strip;
mod test_card;
mod tiff_page;
mod tiff_pages;

pub use batch::{PixelBatch, pad_batch};
pub use decode::{Decoded, decode, decode_page, dimensions, frames, pages};
pub use error::MediaError;
pub use ocellus_base::Limits;
pub use patch::{Grid, Patches, patchify, patchify_exact, patchify_frames};
pub use pixels::{Filter, PixelRecipe, Pixels, Resize, WEB_MEAN, WEB_STD};
pub use raster::{Gray, Rgb};
pub use recipe::Recipe;
pub use resize::{resize, resize_gray};
pub use smart_resize::smart_resize;
pub use test_card::test_card;
