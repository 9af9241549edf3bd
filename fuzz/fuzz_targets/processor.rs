//! Any text as each of the files that say how pictures are prepared and answers are drawn (the first byte says which), for models of
//! two kinds of towers: a small picture is prepared by it, or the file is refused in one line.

#![no_main]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use ocellus_fuzz::choice;
use ocellus_media::{Decoded, PixelRecipe, Recipe, Rgb};
use ocellus_models::plan::Shape;
use ocellus_models::{families, find};
use ocellus_processor::{PictureProcessor, PixelBounds, TextFiles};

const FILES: &[&str] = &[
    "preprocessor_config.json",
    "processor_config.json",
    "video_preprocessor_config.json",
    "params.json",
    "tokenizer_config.json",
    "chat_template.json",
    "ocellus.json",
];

static SHAPES: LazyLock<Vec<Shape>> = LazyLock::new(|| {
    let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/goldens");
    let read = |name: &&str| {
        let text = std::fs::read_to_string(goldens.join(name).join("model/config.json")).ok()?;
        let config = families::parse(&text).ok()?;
        find(&config).ok()?.shape?(&config).ok()
    };
    ["qwen2_5_vl-end-to-end", "qwen3_vl-multi", "pixtral-multi-hf"].iter().filter_map(read).collect()
});

fuzz_target!(init: ocellus_fuzz::pass_contained(), |bytes: &[u8]| {
    let Some((kind, rest)) = choice(bytes, FILES.len() as u8) else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let mut unknown = Vec::new();
    let _ = Recipe::read(text, Recipe::default(), &mut unknown);
    for (_, recipe) in ocellus_models::FAMILIES.iter().flat_map(|family| family.processors) {
        if let Ok(recipe) = PixelRecipe::read(text, recipe.clone(), &mut unknown) {
            let _ = recipe.size(30, 20);
        }
        let _ = PixelRecipe::from_params(text, recipe.clone());
    }
    let files = TextFiles::Made(BTreeMap::from([(FILES[usize::from(kind)], text.to_owned())]));
    let _ = files.template();
    for shape in SHAPES.iter() {
        let processor = match PictureProcessor::of_shape(&files, shape) {
            Ok(processor) => processor,
            Err(error) => {
                assert!(!error.to_string().contains('\n'), "{error}");
                continue;
            }
        };
        let size = (30, 20);
        let Ok(geometry) = processor.geometry(size, PixelBounds::default()) else { continue };
        // Larger ones are refused by what they take in memory, which a session checks.
        if geometry.grid.patches() > 1 << 12 {
            continue;
        }
        let image = Rgb { width: 30, height: 20, data: vec![90; 30 * 20 * 3] };
        let picture = Decoded { original: size, oriented: size, image };
        if let Ok(prepared) = processor.prepare(&picture, PixelBounds::default()) {
            assert_eq!(prepared.geometry.grid, geometry.grid);
        }
    }
});
