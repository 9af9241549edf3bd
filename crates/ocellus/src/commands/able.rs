//! A model that cannot do what it is asked says which families can.

use ocellus_models::{FAMILIES, Task};

use crate::args::Ask;
use crate::error::Failure;
use crate::model::Model;

/// That the model cannot do `task`.
pub fn cannot(model: &Model, task: Task) -> Failure {
    let family = model.loaded.facts().family;
    unable(
        &format!("{}, a checkpoint of the family {family},", model.name),
        task,
    )
}

/// That `who` cannot do `task`.
pub fn unable(who: &str, task: Task) -> Failure {
    let able: Vec<&str> = FAMILIES
        .iter()
        .filter(|f| f.tasks.contains(&task))
        .map(|f| f.id)
        .collect();
    let hint = match able[..] {
        [] => "`ocellus models families` lists what each family does".to_owned(),
        _ => format!("families with checkpoints that can: {}", able.join(", ")),
    };
    Failure::new(format!("{who} cannot {}", deed(task))).hint(hint)
}

/// What a model that cannot do it is said to be unable to do.
fn deed(task: Task) -> &'static str {
    match task {
        Task::Ask => "answer questions",
        Task::Chat => "hold a conversation",
        Task::Ocr => "read pages",
        Task::Caption => "write captions",
        Task::Score => "score texts against a picture",
        Task::Embed => "turn pictures and texts into vectors of one space",
        Task::Classify => "tell which label fits a picture",
        Task::Fill => "find words for masks",
        Task::Detect => "find regions in a picture",
    }
}

/// Fails unless the model is spoken to in conversations.
pub fn converses(model: &Model, task: Task) -> Result<(), Failure> {
    match model.loaded.generator().is_some() && model.loaded.input().prompts.is_none() {
        true => Ok(()),
        false => Err(cannot(model, task)),
    }
}

/// Refuses options of `ask` that this model would pass over: all but those it `takes`.
pub fn takes_only(model: &Model, args: &Ask, takes: &[&str]) -> Result<(), Failure> {
    let given = [
        ("--answers", args.answers.is_some()),
        ("--regions", args.regions.is_some()),
        ("--system", args.system.is_some()),
    ];
    let idle = given.iter().find(|(flag, given)| *given && !takes.contains(flag));
    idle.map_or(Ok(()), |(flag, _)| {
        Err(
            Failure::usage(format!("{} has no use for {flag}", model.name)).hint(format!(
                "leave out {flag}; `ocellus ask --help` says which models take it"
            )),
        )
    })
}
