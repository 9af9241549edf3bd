//! A run that was interrupted goes on bit for bit, and a state that does not belong to the recipe is refused.

use ocellus_base::clock::ManualClock;
use ocellus_train::{TrainError, Trainer};
use ocellus_weights::Weights;
use std::path::Path;

mod tiny;

fn steps(trainer: &mut Trainer, count: usize) -> Vec<u64> {
    (0..count)
        .map(|_| trainer.step().expect("a step can be taken").loss.to_bits())
        .collect()
}

/// Fails on the first tensor of two states that differs.
fn same(a: &Path, b: &Path) {
    let (a, b) = (Weights::from_file(a).unwrap(), Weights::from_file(b).unwrap());
    assert_eq!(a.metadata(), b.metadata());
    assert_eq!(a.names().collect::<Vec<_>>(), b.names().collect::<Vec<_>>());
    for name in a.names() {
        assert!(
            a.view(name).unwrap().bytes == b.view(name).unwrap().bytes,
            "`{name}` differs"
        );
    }
}

#[test]
fn ten_steps_are_five_and_five() {
    let folder = tiny::folder("resume");
    let recipe = tiny::recipe(&folder);
    let (whole, half, both) = (
        folder.join("whole.safetensors"),
        folder.join("half.safetensors"),
        folder.join("both.safetensors"),
    );
    let mut trainer = Trainer::new(recipe.clone(), None).unwrap();
    let mut losses = steps(&mut trainer, 5);
    trainer.save(&half).unwrap();
    losses.extend(steps(&mut trainer, 5));
    trainer.save(&whole).unwrap();

    let mut resumed = Trainer::new(recipe, Some(&half)).unwrap();
    assert_eq!(resumed.steps(), 5);
    assert_eq!(steps(&mut resumed, 5), losses[5..], "losses");
    resumed.save(&both).unwrap();
    same(&whole, &both);

    let state = Weights::from_file(&whole).unwrap();
    let earlier = Weights::from_file(&half).unwrap();
    for part in ["weight", "first_moment", "second_moment", "average"] {
        let name = format!("{part}/model.embed_tokens.weight");
        assert!(
            state.view(&name).unwrap().bytes != earlier.view(&name).unwrap().bytes,
            "`{name}` moved"
        );
    }
}

#[test]
fn a_run_goes_on_with_its_own_recipe_only() {
    let folder = tiny::folder("other-recipe");
    let recipe = tiny::recipe(&folder);
    let state = folder.join("state.safetensors");
    Trainer::new(recipe.clone(), None).unwrap().save(&state).unwrap();

    let refused = |change: fn(&mut ocellus_train::TrainingRecipe), field: &str| {
        let mut other = recipe.clone();
        change(&mut other);
        match Trainer::new(other, Some(&state)).err() {
            Some(TrainError::OtherRecipe { field: found, .. }) => assert_eq!(found, field),
            other => panic!("{field}: {other:?}"),
        }
    };
    refused(|r| r.data.seed += 1, "data.seed");
    refused(
        |r| r.optimiser.learning_rate *= 1.000_001,
        "optimiser.learning_rate",
    );
    refused(|r| r.stages[0].max_chars += 1, "stages");
    // Files may have moved.
    let mut moved = recipe.clone();
    moved.model.folder = folder.join(".");
    Trainer::new(moved, Some(&state)).unwrap();
}

#[test]
fn validation_leaves_the_run_as_it_was_and_the_export_has_no_auxiliary_heads() {
    let folder = tiny::folder("validate");
    let recipe = tiny::recipe(&folder);
    let (before, after) = (
        folder.join("before.safetensors"),
        folder.join("after.safetensors"),
    );
    let mut trainer = Trainer::new(recipe, None).unwrap();
    steps(&mut trainer, 2);
    trainer.save(&before).unwrap();
    let found = trainer.validate(&ManualClock::default()).unwrap();
    let (rate, readings) = (found.error_rate, found.readings);
    assert_eq!(readings.len(), 3);
    assert!(rate > 0.0, "nobody reads after two steps");
    trainer.save(&after).unwrap();
    same(&before, &after);

    let path = folder.join("model.safetensors");
    trainer.export(&path).unwrap();
    let model = Weights::from_file(&path).unwrap();
    let elements: usize = model.names().map(|n| model.view(n).unwrap().elements()).sum();
    assert_eq!(elements, trainer.parameters());
    assert!(model.contains("model.embed_tokens.weight"));
    assert!(model.names().all(|name| !name.starts_with("auxiliary")));
}

#[test]
fn a_state_of_another_model_is_refused() {
    let folder = tiny::folder("refused");
    let recipe = tiny::recipe(&folder);
    let state = folder.join("state.safetensors");
    let trainer = Trainer::new(recipe.clone(), None).unwrap();
    trainer.save(&state).unwrap();

    let config = std::fs::read_to_string(folder.join("config.json")).unwrap();
    let wider = config.replace("\"intermediate_size\": 96", "\"intermediate_size\": 80");
    std::fs::write(folder.join("config.json"), wider).unwrap();
    let error = Trainer::new(recipe.clone(), Some(&state))
        .err()
        .expect("the shapes differ");
    assert!(
        matches!(&error, TrainError::Checkpoint { message, .. } if message.contains("mlp.down_proj.weight")),
        "{error}"
    );

    let model = folder.join("model.safetensors");
    trainer.export(&model).unwrap();
    let error = Trainer::new(recipe, Some(&model))
        .err()
        .expect("a model is no state");
    assert!(
        matches!(&error, TrainError::Checkpoint { message, .. } if message.contains("steps")),
        "{error}"
    );
}
