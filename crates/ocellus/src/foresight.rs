//! What a use of a model will take, before any of it is loaded; and the refusal of what cannot end well.

use ocellus_base::limits::Limits;
use ocellus_media::{Recipe, smart_resize};
use ocellus_models::Grid;
use ocellus_models::model::Sees;
use ocellus_models::plan::{Plan, Shape};
use ocellus_weights::Weights;

use crate::args::Pixels;
use crate::context::Context;
use crate::error::Failure;
use crate::held::Held;
use crate::output::size;
use crate::sight;

/// What a command is about to ask of a model.
#[derive(Debug, Clone)]
pub struct Usage {
    /// Width and height of the pictures of one request.
    pub pictures: Vec<(u32, u32)>,
    pub min_pixels: Option<u64>,
    pub max_pixels: Option<u64>,
    /// Tokens of the prompt beside its pictures.
    pub text_tokens: u64,
    /// Tokens of the answer.
    pub new_tokens: u64,
}

/// Where a command cannot tell yet: a picture of a page and an answer of some length.
impl Default for Usage {
    fn default() -> Self {
        Self {
            pictures: vec![(1280, 960)],
            min_pixels: None,
            max_pixels: None,
            text_tokens: 64,
            new_tokens: 1024,
        }
    }
}

impl Usage {
    /// Pictures of these files. One whose size cannot be read counts nothing: whoever decodes it says what is wrong.
    pub fn of_files<'f>(files: impl IntoIterator<Item = &'f Vec<u8>>) -> Self {
        let limits = Limits::default();
        let sizes = files
            .into_iter()
            .filter_map(|bytes| ocellus_media::dimensions(bytes, &limits).ok());
        Self {
            pictures: sizes.collect(),
            ..Self::default()
        }
    }

    /// The same within the bounds that the user set.
    pub fn within(self, pixels: &Pixels) -> Self {
        Self {
            min_pixels: pixels.min_pixels.map(|n| n.get().into()),
            max_pixels: pixels.max_pixels.map(|n| n.get().into()),
            ..self
        }
    }
}

/// A use of a model, foreseen.
pub struct Foreseen {
    pub shape: Shape,
    /// Grids of the pictures as the tower sees them.
    pub grids: Vec<Grid>,
    /// Pictures, text and answer.
    pub context_tokens: u64,
    pub plan: Plan,
}

/// Foresees a use from the texts of a checkpoint: its config, and other files by name. `None` = the family's memory cannot be
/// told from its config.
pub fn foresee(
    config: &str,
    text: impl Fn(&str) -> Result<Option<String>, Failure>,
    usage: &Usage,
    held: &Held,
) -> Result<Option<Foreseen>, Failure> {
    let config = ocellus_models::families::parse(config)?;
    let Some(shape) = ocellus_models::find(&config)?.shape else {
        return Ok(None);
    };
    let shape = shape(&config)?;
    let grids = grids(&shape, text, usage)?;
    let image_tokens: usize = grids.iter().map(|grid| shape.facts.cells(grid)).sum();
    let context_tokens = image_tokens as u64 + usage.text_tokens + usage.new_tokens;
    let plan = shape.plan(&grids, context_tokens, &held.widths, held.state);
    Ok(Some(Foreseen {
        shape,
        grids,
        context_tokens,
        plan,
    }))
}

fn grids(
    shape: &Shape,
    text: impl Fn(&str) -> Result<Option<String>, Failure>,
    usage: &Usage,
) -> Result<Vec<Grid>, Failure> {
    let facts = &shape.facts;
    let preprocessor = text("preprocessor_config.json")?;
    let cut = |(height, width): (u32, u32), patch: u32| Grid {
        t: 1,
        h: (height / patch.max(1)) as usize,
        w: (width / patch.max(1)) as usize,
    };
    let pictures = usage.pictures.iter();
    match &shape.sees {
        Sees::Cells => {
            let recipe = match preprocessor {
                Some(text) => Recipe::from_json(&text)?,
                None => Recipe {
                    patch_size: facts.patch_size as u32,
                    merge_size: facts.merge as u32,
                    ..Recipe::default()
                },
            };
            let min = usage.min_pixels.unwrap_or(recipe.min_pixels);
            let max = usage.max_pixels.unwrap_or(recipe.max_pixels);
            pictures
                .map(|&(width, height)| {
                    let target = smart_resize(height, width, recipe.factor(), min, max)?;
                    Ok(cut(target, recipe.patch_size))
                })
                .collect()
        }
        Sees::Planes(default) => {
            let params = text("params.json")?;
            let recipe = sight::planes(default.clone(), preprocessor.as_deref(), params.as_deref())?;
            pictures
                .map(|&(width, height)| Ok(cut(recipe.size(height, width)?, facts.patch_size as u32)))
                .collect()
        }
        Sees::Regions { .. } => Ok(Vec::new()),
    }
}

/// Refuses to load a model that this machine cannot hold: one clear sentence instead of an end by the system's hand.
///
/// Of families whose memory cannot be told from the config, the weights alone count.
pub fn check(
    context: &Context,
    (name, held): (&str, &Held),
    (config, weights): (&str, &Weights),
    text: impl Fn(&str) -> Result<Option<String>, Failure>,
    usage: &Usage,
) -> Result<(), Failure> {
    let Some(available) = context.available_bytes() else {
        return Ok(());
    };
    // A config or a recipe that cannot be used is for the loader to speak about.
    let foreseen = foresee(config, text, usage, held).ok().flatten();
    let elements = weights
        .names()
        .filter_map(|n| Some(weights.view(n).ok()?.elements() as u64))
        .fold(0, u64::saturating_add);
    let (needed, parts) = match foreseen {
        // A config of another model than the weights: no element of a file holds more than eight weights. The loader says which.
        Some(Foreseen { shape, .. })
            if shape
                .vision_parameters()
                .saturating_add(shape.decoder_parameters())
                / 8
                > elements =>
        {
            return Ok(());
        }
        Some(Foreseen { plan, .. }) => (plan.total_bytes(), parts(&plan)),
        None => {
            let bytes = held.widths.layers.bytes(elements);
            (bytes, format!("weights {}", size(bytes)))
        }
    };
    refuse(name, held.name, (needed, &parts), available)
}

fn parts(plan: &Plan) -> String {
    format!(
        "weights {}, keys and values {}, work {}",
        size(plan.weights_bytes),
        size(plan.cache_bytes),
        size(plan.vision_bytes.max(plan.prefill_bytes))
    )
}

fn refuse(name: &str, width: &str, (needed, parts): (u64, &str), available: u64) -> Result<(), Failure> {
    if needed <= available {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{name} in {width} needs {} of memory ({parts}), and {} are available",
        size(needed),
        size(available)
    ))
    .hint(less(width)))
}

/// What takes less than weights of a width.
fn less(width: &str) -> String {
    let smaller = match width {
        "q4" => "--max-pixels makes the pictures smaller",
        "q6" | "q8" => "--quant q4 makes the weights smaller, --max-pixels the pictures",
        _ => "--quant q8 or q4 makes the weights smaller, --max-pixels the pictures",
    };
    format!("{smaller}; OCELLUS_MEMORY=any tries all the same")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_passes_and_what_does_not_is_refused_with_its_parts() {
        assert!(refuse("m", "f32", (8, "x"), 8).is_ok());
        let failure = refuse(
            "org/model",
            "f32",
            (15_000_000_000, "weights 14.0 GB"),
            8_000_000_000,
        );
        let failure = failure.unwrap_err();
        assert_eq!(failure.code(), 1);
        assert!(
            format!("{failure:?}").contains(
                "org/model in f32 needs 15.0 GB of memory (weights 14.0 GB), and 8.0 GB are available"
            ),
            "{failure:?}"
        );
    }

    #[test]
    fn nobody_is_told_to_take_what_they_have() {
        for (width, narrower) in [
            ("f32", "--quant q8 or q4 "),
            ("q8", "--quant q4 "),
            ("q4", "--max-pixels "),
        ] {
            let failure = refuse("m", width, (9, "x"), 8).unwrap_err();
            let said = format!("{failure:?}");
            assert!(said.contains(&format!("\"{narrower}")), "{said}");
        }
    }
}
