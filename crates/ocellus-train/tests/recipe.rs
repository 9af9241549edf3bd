//! Recipes that are refused, each saying what is wrong, and the recipe of the built-in model.

use ocellus_testkit::test_each;
use ocellus_text::Tokenizer;
use ocellus_train::{TrainError, TrainingRecipe};

mod tiny;

#[test]
fn each_wrong_recipe_says_what_is_wrong() {
    let folder = tiny::folder("recipes");
    let right = tiny::recipe_text(&folder);
    let path = folder.join("recipe.toml");
    // What is replaced, by what, and what the message says.
    let table = [
        ("unknown field", ("seed = 3", "seed = 3\nsede = 4", "sede")),
        (
            "unknown table",
            ("[auxiliary]", "[extra]\nx = 1\n\n[auxiliary]", "extra"),
        ),
        (
            "unknown field of a stage",
            ("until = 0.5", "until = 0.5\nfrom = 0.1", "from"),
        ),
        ("missing field", ("clip_norm = 1.0", "", "clip_norm")),
        ("wrong type", ("batch = 8", "batch = 'eight'", "batch")),
        ("negative", ("batch = 8", "batch = -8", "batch")),
        ("no batch", ("\nbatch = 8", "\nbatch = 0", "optimiser.batch is 0")),
        (
            "no micro batch",
            ("micro_batch = 3", "micro_batch = 0", "optimiser.micro_batch is 0"),
        ),
        ("no shards", ("shards = 2", "shards = 0", "optimiser.shards is 0")),
        (
            "no frames",
            (
                "frames_per_cell = 4",
                "frames_per_cell = 0",
                "auxiliary.frames_per_cell is 0",
            ),
        ),
        (
            "very many threads",
            (
                "shards = 2",
                "shards = 1000000000000",
                "optimiser.shards is 1000000000000",
            ),
        ),
        (
            "a batch beyond all memory",
            ("\nbatch = 8", "\nbatch = 1000000000000", "optimiser.batch is"),
        ),
        (
            "lines beyond all memory",
            (
                "max_chars = 6",
                "max_chars = 1000000000000",
                "stages.max_chars is",
            ),
        ),
        (
            "frames beyond all memory",
            (
                "frames_per_cell = 4",
                "frames_per_cell = 1000000000000",
                "expected at most 4096",
            ),
        ),
        ("stages fall", ("until = 1.0", "until = 0.25", "until")),
        ("stages stand", ("until = 1.0", "until = 0.5", "until")),
        ("not TOML", ("[data]", "[data", "expected")),
    ];
    test_each(table, |&(from, to, wanted)| {
        assert!(right.contains(from), "there is nothing to replace");
        std::fs::write(&path, right.replacen(from, to, 1)).unwrap();
        let error = TrainingRecipe::read(&path).unwrap_err();
        assert!(matches!(error, TrainError::Recipe { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(wanted) && text.contains("recipe.toml"), "{text}");
    });
}

#[test]
fn a_recipe_without_stages_is_refused() {
    let folder = tiny::folder("no-stages");
    let text = tiny::recipe_text(&folder);
    let path = folder.join("recipe.toml");
    let (head, _) = text.split_once("[[stages]]").unwrap();
    std::fs::write(&path, format!("stages = []\n{head}")).unwrap();
    let text = TrainingRecipe::read(&path).unwrap_err().to_string();
    assert!(text.contains("no stage"), "{text}");
}

#[test]
fn a_missing_recipe_is_named() {
    let path = tiny::folder("none").join("none.toml");
    let error = TrainingRecipe::read(&path).unwrap_err();
    assert!(matches!(error, TrainError::Io { .. }));
    assert!(error.to_string().contains("none.toml"), "{error}");
}

#[test]
fn the_stage_follows_the_share_of_the_run() {
    let recipe = tiny::recipe(&tiny::folder("stages"));
    for (share, max_chars) in [(0.0, 6), (0.49, 6), (0.5, 12), (0.99, 12), (1.0, 12)] {
        assert_eq!(recipe.stage(share).max_chars, max_chars, "at {share}");
    }
}

#[test]
fn the_recipes_of_the_repository_are_right() {
    // The recipe, its model, characters that the model reads and one that it does not.
    let table = [
        ("built in", ("nano", "models/nano", 216, "aé€", '漢')),
        ("second part", ("nano-2", "models/nano", 216, "aé€", '，')),
        (
            "Chinese and English",
            (
                "nano-zh-en",
                "models/nano-zh-en",
                9417,
                "aŒ€，（漢汉國国鬱■→≤",
                'の',
            ),
        ),
    ];
    test_each(table, |&(name, folder, count, read, other)| {
        let root = tiny::repository();
        let recipe = TrainingRecipe::read(&root.join(format!("recipes/{name}.toml"))).unwrap();
        assert_eq!(recipe.model.folder, std::path::Path::new(folder));
        assert_eq!(recipe.stages.last().unwrap().until, 1.0);
        let characters = Tokenizer::from_dir(&root.join(folder))
            .unwrap()
            .single_characters();
        assert_eq!(characters.len(), count);
        assert!(read.chars().all(|c| characters.binary_search(&c).is_ok()));
        assert!(characters.binary_search(&other).is_err());
    });
}
