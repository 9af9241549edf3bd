//! `ocellus models plan`: memory and work, before anything is loaded.

use std::io::ErrorKind;
use std::path::PathBuf;

use ocellus_hub::{Location, Reference};
use serde_json::json;

use crate::args::Plan;
use crate::builtin;
use crate::context::Context;
use crate::error::Failure;
use crate::foresight::{Foreseen, Usage, foresee};
use crate::gguf;
use crate::held::Held;
use crate::output::{self, count, size};
use crate::values::Format;

/// Tokens of a prompt beside its pictures.
const TEXT_TOKENS: u64 = 64;

pub fn run(context: &Context, args: &Plan) -> Result<(), Failure> {
    let texts = Texts::of(context, &args.model)?;
    let config = texts.config()?;
    let picture = (args.image_size.width_px, args.image_size.height_px);
    let usage = Usage {
        pictures: vec![picture; usize::from(args.images)],
        text_tokens: TEXT_TOKENS,
        new_tokens: args.max_tokens.get() as u64,
        ..Usage::default().within(&args.pixels)
    };
    let held = Held::of(context, None);
    let Some(foreseen) = foresee(&config, |name| texts.read(name), &usage, &held)? else {
        let family = ocellus_models::find(&ocellus_models::families::parse(&config)?)?;
        let able = ocellus_models::FAMILIES.iter().filter(|f| f.shape.is_some());
        let able: Vec<&str> = able.map(|f| f.id).collect();
        return Err(
            Failure::new(format!("the memory of family `{}` cannot be planned", family.id))
                .hint(format!("families that can: {}", able.join(", "))),
        );
    };
    let Foreseen {
        shape,
        grids,
        context_tokens,
        plan,
    } = foreseen;
    let parameters = shape
        .vision_parameters()
        .saturating_add(shape.decoder_parameters());
    let side = shape.facts.patch_size;
    let (width, height) = grids
        .first()
        .map_or((0, 0), |grid| (grid.w * side, grid.h * side));
    let prompt = context_tokens - usage.new_tokens;
    let (tower, prefill) = (shape.vision_flops(&grids), shape.prefill_flops(prompt));
    // A token in the middle of the answer.
    let turn = shape.turn(prompt + usage.new_tokens / 2, &held.widths, held.state);
    let available = context.available_bytes();
    if args.format == Format::Json {
        return output::json(&json!({
            "model": args.model, "parameters": parameters, "weights": held.name, "resized": [width, height],
            "image_tokens": plan.image_tokens, "prompt_tokens": prompt, "context_tokens": context_tokens,
            "weights_bytes": plan.weights_bytes, "cache_bytes": plan.cache_bytes,
            "vision_bytes": plan.vision_bytes, "prefill_bytes": plan.prefill_bytes,
            "total_bytes": plan.total_bytes(), "available_bytes": available,
            "tower_flops": tower, "prefill_flops": prefill, "token_bytes": turn.bytes(),
        }));
    }
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let pictures = format!(
        "{} of {width}x{height}, {} tokens in all",
        args.images, plan.image_tokens
    );
    let mut rows = vec![
        row("parameters", count(parameters)),
        row("pictures", pictures),
        row("context", format!("{context_tokens} tokens")),
        row(
            "weights",
            format!("{} in {}", size(plan.weights_bytes), held.name),
        ),
        row("keys and values", size(plan.cache_bytes)),
        row("vision tower at its peak", size(plan.vision_bytes)),
        row("prompt at its peak", size(plan.prefill_bytes)),
        row("total", size(plan.total_bytes())),
    ];
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

/// The text files of a checkpoint.
enum Texts {
    BuiltIn,
    Folder(PathBuf),
    /// What the metadata of other files says.
    Made([(&'static str, String); 2]),
}

impl Texts {
    fn of(context: &Context, model: &str) -> Result<Self, Failure> {
        let reference = Reference::parse(model)?;
        let checkpoint = context.hub()?.resolve(&reference, &context.downloads())?;
        match checkpoint.location {
            Location::BuiltIn => Ok(Self::BuiltIn),
            Location::Folder(folder) => Ok(Self::Folder(folder)),
            Location::Gguf(files) => {
                let made = gguf::open(&files)?;
                Ok(Self::Made([
                    ("config.json", made.config),
                    ("preprocessor_config.json", made.preprocessor),
                ]))
            }
        }
    }

    /// The first of the files that a config may stand in.
    fn config(&self) -> Result<String, Failure> {
        for name in ocellus_models::CONFIG_FILES {
            if let Some(text) = self.read(name)? {
                return Ok(text);
            }
        }
        Err(Failure::new("config.json is missing")
            .hint("a model folder holds config.json, or params.json in the layout of some publishers"))
    }

    /// The file's text; nothing when there is no such file.
    fn read(&self, name: &str) -> Result<Option<String>, Failure> {
        match self {
            Self::Made(texts) => {
                let found = texts.iter().find(|(own, _)| *own == name);
                Ok(found.map(|(_, text)| text.clone()))
            }
            Self::BuiltIn => Ok(builtin::file(name).map(|b| String::from_utf8_lossy(b).into_owned())),
            Self::Folder(folder) => {
                let path = folder.join(name);
                match std::fs::read_to_string(&path) {
                    Ok(text) => Ok(Some(text)),
                    Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                    Err(error) => Err(Failure::io("read", &path, &error)),
                }
            }
        }
    }
}
