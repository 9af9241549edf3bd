//! Any text as a recipe of training: it is read, or refused.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ocellus_fuzz::Folder;
use ocellus_train::TrainingRecipe;

fuzz_target!(init: ocellus_fuzz::pass_contained(), |bytes: &[u8]| {
    let folder = Folder::with(&[("recipe.toml", bytes)]);
    if let Ok(recipe) = TrainingRecipe::read(&folder.path().join("recipe.toml")) {
        for share in [0.0, 0.5, 1.0] {
            let _ = recipe.stage(share);
        }
    }
});
