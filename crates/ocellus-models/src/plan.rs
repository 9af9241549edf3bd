//! What a model needs in memory and what its work costs, from its config alone.

mod count;
mod shape;
mod vision;
mod widths;
mod work;

pub use shape::{Plan, Shape};
pub use vision::{Behind, TowerShape, Windows};
pub use widths::{Width, Widths};
pub use work::DecodeCost;
