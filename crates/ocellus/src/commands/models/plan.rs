//! `ocellus models plan`: memory, before anything is loaded.

use ocellus_hub::{Location, Reference};
use ocellus_media::{Recipe, smart_resize};
use serde_json::json;

use crate::args::Plan;
use crate::builtin;
use crate::context::Context;
use crate::error::Failure;
use crate::gguf;
use crate::output::{self, size};
use crate::values::{Dtype, Format};

/// Tokens of a prompt beside its pictures.
const TEXT_TOKENS: u64 = 64;

pub fn run(context: &Context, args: &Plan) -> Result<(), Failure> {
    let (config, preprocessing) = texts(context, &args.model)?;
    let config = ocellus_models::families::parse(&config)?;
    let family = ocellus_models::find(&config)?;
    let Some(shape) = family.shape else {
        let able = ocellus_models::FAMILIES.iter().filter(|f| f.shape.is_some());
        let able: Vec<&str> = able.map(|f| f.id).collect();
        return Err(
            Failure::new(format!("the memory of family `{}` cannot be planned", family.id))
                .hint(format!("families that can: {}", able.join(", "))),
        );
    };
    let shape = shape(&config)?;
    let facts = &shape.facts;
    let recipe = match preprocessing {
        Some(text) => Recipe::from_json(&text)?,
        None => Recipe {
            patch_size: facts.patch_size as u32,
            merge_size: facts.merge as u32,
            ..Recipe::default()
        },
    };
    let min_pixels = args
        .pixels
        .min_pixels
        .map_or(recipe.min_pixels, |n| n.get().into());
    let max_pixels = args
        .pixels
        .max_pixels
        .map_or(recipe.max_pixels, |n| n.get().into());
    let asked = args.image_size;
    let (height, width) = smart_resize(
        asked.height_px,
        asked.width_px,
        recipe.factor(),
        min_pixels,
        max_pixels,
    )?;
    let patches = u64::from(height / recipe.patch_size) * u64::from(width / recipe.patch_size);
    let cells = patches / u64::from(recipe.merge_size * recipe.merge_size);
    let images = vec![(patches, cells); usize::from(args.images)];
    let context_tokens = cells * u64::from(args.images) + TEXT_TOKENS + args.max_tokens.get() as u64;
    // On the CPU states are f32 whatever the weights are kept in.
    let weight_bytes = match context.global.dtype {
        None | Some(Dtype::F32) => 4,
        Some(Dtype::Bf16 | Dtype::F16) => 2,
    };
    let plan = shape.plan(&images, context_tokens, weight_bytes, 4);
    let parameters = shape.vision_parameters() + shape.decoder_parameters();
    if args.format == Format::Json {
        return output::json(&json!({
            "model": args.model, "parameters": parameters, "resized": [width, height],
            "image_tokens": plan.image_tokens, "context_tokens": context_tokens,
            "weights_bytes": plan.weights_bytes, "cache_bytes": plan.cache_bytes,
            "vision_bytes": plan.vision_bytes, "prefill_bytes": plan.prefill_bytes,
            "total_bytes": plan.total_bytes(),
        }));
    }
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    output::write(&output::table(&[
        row("parameters", output::count(parameters)),
        row(
            "pictures",
            format!(
                "{} of {width}x{height}, {} tokens in all",
                args.images, plan.image_tokens
            ),
        ),
        row("context", format!("{context_tokens} tokens")),
        row("weights", size(plan.weights_bytes)),
        row("keys and values", size(plan.cache_bytes)),
        row("vision tower at its peak", size(plan.vision_bytes)),
        row("prompt at its peak", size(plan.prefill_bytes)),
        row("total", size(plan.total_bytes())),
    ]))
}

/// `config.json` and, when there is one, `preprocessor_config.json`.
fn texts(context: &Context, model: &str) -> Result<(String, Option<String>), Failure> {
    let reference = Reference::parse(model)?;
    let checkpoint = context.hub()?.resolve(&reference, &context.downloads())?;
    match checkpoint.location {
        Location::BuiltIn => {
            let text = |name| builtin::file(name).map(|b| String::from_utf8_lossy(b).into_owned());
            Ok((
                text("config.json").unwrap_or_default(),
                text("preprocessor_config.json"),
            ))
        }
        Location::Folder(folder) => {
            let path = folder.join("config.json");
            let config = std::fs::read_to_string(&path).map_err(|e| Failure::io("read", &path, &e))?;
            Ok((
                config,
                std::fs::read_to_string(folder.join("preprocessor_config.json")).ok(),
            ))
        }
        Location::Gguf(files) => {
            let made = gguf::open(&files)?;
            Ok((made.config, Some(made.preprocessor)))
        }
    }
}
