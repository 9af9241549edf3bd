//! A run that was interrupted goes on bit for bit: weights, both moments, the average, and the step, in one file.

use ocellus_weights::{Dtype, Weights};
use std::collections::BTreeMap;
use std::path::Path;

use crate::optimiser::{AUXILIARY, AdamW};
use crate::{TrainError, TrainingRecipe};

/// The metadata key of what a run's recipe says.
const RECIPE: &str = "recipe";

const PARTS: [&str; 4] = ["weight", "first_moment", "second_moment", "average"];

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// Writes the whole state; the old file stays until the new one is complete.
pub fn save(path: &Path, optimiser: &AdamW, recipe: &TrainingRecipe) -> Result<(), TrainError> {
    let mut tensors = Vec::new();
    for slot in &optimiser.slots {
        let shape = slot.var.as_tensor().dims().to_vec();
        let weight = slot.var.as_tensor().flatten_all()?.to_vec1::<f32>()?;
        for (part, values) in
            PARTS
                .iter()
                .zip([&weight, &slot.first_moment, &slot.second_moment, &slot.average])
        {
            tensors.push((
                format!("{part}/{}", slot.name),
                Dtype::F32,
                shape.clone(),
                bytes(values),
            ));
        }
    }
    let metadata = BTreeMap::from([
        ("steps".to_owned(), optimiser.steps.to_string()),
        (RECIPE.to_owned(), recipe.identity()),
    ]);
    Ok(ocellus_weights::write(path, &tensors, &metadata)?)
}

/// Puts a saved state into an optimiser over the same variables. A state that says of what recipe it is belongs to that recipe only.
pub fn load(path: &Path, optimiser: &mut AdamW, recipe: &TrainingRecipe) -> Result<(), TrainError> {
    let wrong = |message: String| TrainError::Checkpoint {
        path: path.into(),
        message,
    };
    let weights = Weights::from_file(path)?;
    if let Some(before) = weights.metadata().get(RECIPE)
        && let Some((field, was, is)) = recipe.difference(before)
    {
        let path = path.into();
        return Err(TrainError::OtherRecipe { path, field, was, is });
    }
    let steps = weights.metadata().get("steps").and_then(|s| s.parse().ok());
    optimiser.steps = steps.ok_or_else(|| wrong("it does not say how many steps were taken".to_owned()))?;
    for slot in &mut optimiser.slots {
        let shape = slot.var.as_tensor().dims().to_vec();
        let read = |part: &str| -> Result<Vec<f32>, TrainError> {
            let name = format!("{part}/{}", slot.name);
            let view = weights.view(&name)?;
            if view.shape != shape {
                let message = format!(
                    "tensor `{name}` has shape {:?}, the recipe's model has {shape:?}",
                    view.shape
                );
                return Err(TrainError::Checkpoint {
                    path: path.into(),
                    message,
                });
            }
            Ok(view.to_f32()?)
        };
        let weight = read(PARTS[0])?;
        (slot.first_moment, slot.second_moment, slot.average) =
            (read(PARTS[1])?, read(PARTS[2])?, read(PARTS[3])?);
        slot.var
            .set(&candle_core::Tensor::from_vec(weight, shape, slot.var.device())?)?;
    }
    Ok(weights.intact()?)
}

/// Takes the weights of an exported model as the start of a new run. The auxiliary heads keep their random start; of
/// everything else nothing may be missing or left over.
pub fn start(path: &Path, optimiser: &mut AdamW) -> Result<(), TrainError> {
    let wrong = |message: String| TrainError::Checkpoint {
        path: path.into(),
        message,
    };
    let weights = Weights::from_file(path)?;
    let mut taken = 0;
    for slot in &mut optimiser.slots {
        let auxiliary = slot.name.starts_with(AUXILIARY);
        if auxiliary && !weights.contains(&slot.name) {
            continue;
        }
        let view = weights.view(&slot.name)?;
        let shape = slot.var.as_tensor().dims();
        if view.shape != shape {
            return Err(wrong(format!(
                "tensor `{}` has shape {:?}, the recipe's model has {shape:?}",
                slot.name, view.shape
            )));
        }
        slot.average = view.to_f32()?;
        let weight = candle_core::Tensor::from_slice(&slot.average, shape, slot.var.device())?;
        slot.var.set(&weight)?;
        taken += 1;
    }
    weights.intact()?;
    match weights.names().count() - taken {
        0 => Ok(()),
        left => Err(wrong(format!(
            "{left} of its tensors have no place in the recipe's model"
        ))),
    }
}

/// Writes the average as a checkpoint that every command can load: bf16, without the auxiliary heads.
pub fn export(path: &Path, optimiser: &AdamW) -> Result<(), TrainError> {
    let tensors: Vec<_> = optimiser
        .slots
        .iter()
        .filter(|slot| !slot.name.starts_with(AUXILIARY))
        .map(|slot| {
            let data = slot.average.iter().flat_map(|v| bf16(*v).to_le_bytes()).collect();
            (
                slot.name.clone(),
                Dtype::Bf16,
                slot.var.as_tensor().dims().to_vec(),
                data,
            )
        })
        .collect();
    let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    Ok(ocellus_weights::write(path, &tensors, &metadata)?)
}

/// The nearest bf16, ties to even.
fn bf16(value: f32) -> u16 {
    let bits = value.to_bits();
    if value.is_nan() {
        return (bits >> 16) as u16 | 0x40;
    }
    ((bits + 0x7fff + ((bits >> 16) & 1)) >> 16) as u16
}
