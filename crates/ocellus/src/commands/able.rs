//! A model that cannot do what it is asked says which families can.

use ocellus_models::{FAMILIES, Task};

use crate::error::Failure;
use crate::model::Model;

/// That the model cannot do `task`.
pub fn cannot(model: &Model, task: Task) -> Failure {
    unable(&model.name, task)
}

/// That the model of this name cannot do `task`.
pub fn unable(name: &str, task: Task) -> Failure {
    let able: Vec<&str> = FAMILIES
        .iter()
        .filter(|f| f.tasks.contains(&task))
        .map(|f| f.id)
        .collect();
    let hint = match able[..] {
        [] => "`ocellus models families` lists what each family does".to_owned(),
        _ => format!("families that can: {}", able.join(", ")),
    };
    Failure::new(format!("{name} cannot {}", task.as_str())).hint(hint)
}
