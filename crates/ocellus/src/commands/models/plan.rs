//! `ocellus models plan`: memory and work, before anything is loaded.

use ocellus_hub::{Checkpoint, Reference};
use ocellus_models::families;
use ocellus_session::{CheckpointFiles, MemoryEstimate, StorageDtype, Usage, checkpoint};
use serde_json::json;

use crate::args::Plan;
use crate::context::Context;
use crate::error::Failure;
use crate::output::{self, count, size};
use crate::values::Format;

/// Tokens of a prompt beside its pictures.
const TEXT_TOKENS: u64 = 64;

pub fn run(context: &Context, args: &Plan) -> Result<(), Failure> {
    let reference = Reference::parse(&args.model)?;
    let found = context.hub()?.resolve(&reference, &context.downloads())?;
    let texts = checkpoint::texts(&found.location)?;
    let config = families::parse(&texts.config()?)?;
    let picture = (args.image_size.width_px, args.image_size.height_px);
    let usage = Usage {
        pictures: vec![picture; usize::from(args.images)],
        text_tokens: TEXT_TOKENS,
        new_tokens: args.max_tokens.get() as u64,
        ..args.pixels.usage()
    };
    // Without weights a config is planned as if they were not quantised.
    let files = CheckpointFiles::open(&found).ok();
    let weights = files.as_ref().map(|files| &*files.weights);
    let storage = StorageDtype::of(&context.compute(&found), weights);
    let Some(estimate) = MemoryEstimate::new(&texts, &config, &usage, &storage)? else {
        return weights_alone(context, args, &found, &storage);
    };
    let warnings: Vec<String> = config.warnings().iter().map(ToString::to_string).collect();
    context.warn(&warnings)?;
    let image_tokens = estimate.image_tokens();
    let grids = estimate.grids();
    let (width, height) = estimate
        .pictures
        .first()
        .map_or((0, 0), |picture| picture.resized);
    let MemoryEstimate {
        shape,
        context_tokens,
        plan,
        page_bytes,
        ..
    } = estimate;
    let parameters = shape
        .vision_parameters()
        .saturating_add(shape.decoder_parameters());
    let prompt = context_tokens - usage.new_tokens;
    let (tower, prefill) = (shape.vision_flops(&grids), shape.prefill_flops(prompt));
    // A token in the middle of the answer.
    let turn = shape.decode_cost(prompt + usage.new_tokens / 2, &storage.widths, storage.kv_cache);
    let available = context.available_bytes();
    if args.format == Format::Json {
        return output::json(&json!({
            "model": args.model, "warnings": warnings, "parameters": parameters, "weights": storage.name, "resized": [width, height],
            "image_tokens": image_tokens, "prompt_tokens": prompt, "context_tokens": context_tokens,
            "weights_bytes": plan.weights_bytes, "cache_bytes": plan.cache_bytes,
            "vision_bytes": plan.vision_bytes, "prefill_bytes": plan.prefill_bytes,
            "total_bytes": plan.total_bytes(), "page_bytes": page_bytes, "available_bytes": available,
            "tower_flops": tower, "prefill_flops": prefill, "token_bytes": turn.bytes(),
        }));
    }
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let pictures = format!(
        "{} of {width}x{height}, {} tokens in all",
        args.images, image_tokens
    );
    let mut rows = vec![
        row("parameters", count(parameters)),
        row("pictures", pictures),
        row("context", format!("{context_tokens} tokens")),
        row(
            "weights",
            format!("{} in {}", size(plan.weights_bytes), storage.name),
        ),
        row("keys and values", size(plan.cache_bytes)),
        row("vision tower at its peak", size(plan.vision_bytes)),
        row("prompt at its peak", size(plan.prefill_bytes)),
        row("total", size(plan.total_bytes())),
    ];
    rows.extend(found.adapter.iter().map(|folder| {
        let place = folder.display();
        row("adapter", format!("{place}: little beside the weights"))
    }));
    rows.extend(page_bytes.map(|bytes| row("each page that is read", format!("up to {} more", size(bytes)))));
    rows.extend(available.map(|bytes| {
        let short = if bytes < plan.total_bytes() {
            ", too little"
        } else {
            ""
        };
        row("available here", format!("{}{short}", size(bytes)))
    }));
    let each = count(prefill / prompt.max(1));
    rows.extend([
        row("work of the vision tower", format!("{} operations", count(tower))),
        row(
            "work of the prompt",
            format!("{} operations, {each} a token", count(prefill)),
        ),
        row("read for each new token", size(turn.bytes())),
    ]);
    output::write(&output::table(&rows))
}

/// Of families whose work is not computed from their config: what their weights take, from the headers of the files.
fn weights_alone(
    context: &Context,
    args: &Plan,
    found: &Checkpoint,
    storage: &StorageDtype,
) -> Result<(), Failure> {
    let files = CheckpointFiles::open(found)?;
    let shapes = files.weights.names().filter_map(|name| files.weights.shape(name));
    let elements = shapes.map(|shape| shape.iter().product::<usize>() as u64);
    let parameters = elements.fold(0, u64::saturating_add);
    let bytes = storage.widths.layers.bytes(parameters);
    let available = context.available_bytes();
    if args.format == Format::Json {
        return output::json(&json!({
            "model": args.model, "parameters": parameters, "weights": storage.name, "weights_bytes": bytes,
            "available_bytes": available,
        }));
    }
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let mut rows = vec![
        row("parameters", count(parameters)),
        row("weights", format!("{} in {}", size(bytes), storage.name)),
        row(
            "work",
            "not planned for this family; it adds to the weights".to_owned(),
        ),
    ];
    rows.extend(available.map(|bytes| row("available here", size(bytes))));
    output::write(&output::table(&rows))
}
