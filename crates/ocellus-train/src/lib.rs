//! Training: packing, losses, optimiser, schedule, checkpoints, and the loop that ties them.
//!
//! Read in this order: [`recipe`] says what is wanted, [`example`] makes one line of text a training example, [`pack`]
//! puts many into one block-diagonal sequence, [`losses`] grade the model on it, [`step`] turns that into gradients,
//! [`optimiser`] into better weights, [`checkpoint`] keeps them, and [`trainer`] is the loop.

pub mod checkpoint;
pub mod curve;
pub mod example;
pub mod frames;
pub mod losses;
pub mod measure;
pub mod optimiser;
pub mod pack;
pub mod recipe;
pub mod run;
pub mod run_folder;
pub mod schedule;
pub mod step;
pub mod trainer;

mod error;

pub use error::TrainError;
pub use recipe::TrainingRecipe;
pub use run_folder::RunFolder;
pub use trainer::{Report, Trainer};
