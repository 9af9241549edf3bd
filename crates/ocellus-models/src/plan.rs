//! Memory and arithmetic of a model, computed from its config.

mod count;
mod shape;
mod vision;
mod widths;
mod work;

pub use shape::{Plan, Shape};
pub use vision::{Behind, TowerShape, Windows};
pub use widths::{Width, Widths};
pub use work::DecodeCost;
