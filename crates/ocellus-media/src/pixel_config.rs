//! What a checkpoint's files say about a [`PixelRecipe`].
//!
//! A family brings its own recipe; `preprocessor_config.json`, or the vision part of a publisher's `params.json`,
//! changes its numbers. Old files give a size as one number, newer ones as an object: both are read.

use serde_json::{Map, Value};

use crate::MediaError;
use crate::fields::{WITHOUT_EFFECT, channels, extent, field, first_unknown, number, object, refused, side};
use crate::pixels::{Filter, PixelRecipe, Resize};

/// A size as configurations state it, px.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stated {
    Number(u32),
    Sides { height: u32, width: u32 },
    Shortest(u32),
    Longest(u32),
}

impl PixelRecipe {
    /// Reads `preprocessor_config.json` over the recipe of a family.
    ///
    /// A field that is absent or null keeps the family's value; a switch (`do_…`) that is null is off, as the
    /// published processors have it. `do_pad` says nothing about a single picture and is not looked at: padding is
    /// [`pad_batch`](crate::pad_batch)'s. A field that asks for a computation other than ours, or that we do not
    /// know, is an error that names the field.
    pub fn from_json(text: &str, default: Self) -> Result<Self, MediaError> {
        let fields = object(text)?;
        let mut recipe = default;
        let mut crop = recipe.crop;
        if let Some(size) = given(&fields, "size") {
            let square = fields.get("default_to_square").and_then(Value::as_bool);
            recipe.resize = resized(recipe.resize, stated("size", size)?, square)
                .ok_or_else(|| refused("size", wanted(&recipe.resize), size))?;
        }
        for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
            match name.as_str() {
                "size" => {}
                "crop_size" => crop = Some(sides(name, value)?),
                "size_divisor" => divide(&mut recipe.resize, name, value)?,
                "patch_size" => cut_to_patches(&mut recipe.resize, name, value)?,
                "image_mean" => recipe.mean = channels(name, value)?,
                "image_std" => recipe.std = channels(name, value)?,
                "rescale_factor" => recipe.rescale = number(name, value)?,
                "resample" => recipe.filter = filter(name, value)?,
                "do_resize" | "do_center_crop" | "do_rescale" | "do_normalize" | "do_pad"
                | "default_to_square" => {
                    flag(name, value)?;
                }
                "do_convert_rgb" if flag(name, value)? => {}
                "do_convert_rgb" => return Err(refused(name, "true", value)),
                other if WITHOUT_EFFECT.contains(&other) => {}
                other => return Err(refused(other, "no such field", value)),
            }
        }
        let asked = |name: &str| fields.get(name).map(|value| value.as_bool().unwrap_or(false));
        recipe.crop = match asked("do_center_crop") {
            Some(false) => None,
            Some(true) if crop.is_none() => {
                return Err(field("crop_size", "the size to cut".into(), "nothing".into()));
            }
            Some(true) => crop,
            None => recipe.crop.and(crop),
        };
        if asked("do_resize") == Some(false) {
            recipe.resize = Resize::Keep;
        }
        if asked("do_rescale") == Some(false) {
            recipe.rescale = 1.0;
        }
        if asked("do_normalize") == Some(false) {
            (recipe.mean, recipe.std) = ([0.0; 3], [1.0; 3]);
        }
        recipe.check()?;
        Ok(recipe)
    }

    /// Reads `vision_encoder` of a publisher's `params.json` over the recipe of a family: the largest side and the
    /// side of a patch. The other fields there are the model's.
    pub fn from_params(text: &str, default: Self) -> Result<Self, MediaError> {
        let fields = object(text)?;
        let Some(Value::Object(vision)) = fields.get("vision_encoder") else {
            let found = fields.get("vision_encoder").unwrap_or(&Value::Null);
            return Err(refused("vision_encoder", "an object", found));
        };
        let mut recipe = default;
        let (Resize::LongerSide { longest, patch } | Resize::LongerSideRounded { longest, patch }) =
            &mut recipe.resize
        else {
            return Ok(recipe);
        };
        // The bound of the pictures where it differs from the one that the positions are made for.
        for name in ["image_size", "max_image_size"] {
            if let Some(value) = given(vision, name) {
                *longest = extent(&format!("vision_encoder.{name}"), value)?;
            }
        }
        let unit = |name: &str| match given(vision, name) {
            Some(value) => side(&format!("vision_encoder.{name}"), value).map(Some),
            None => Ok(None),
        };
        *patch = unit("patch_size")?.unwrap_or(*patch) * unit("spatial_merge_size")?.unwrap_or(1);
        Ok(recipe)
    }

    fn check(&self) -> Result<(), MediaError> {
        for (name, values) in [("image_std", &self.std[..]), ("rescale_factor", &[self.rescale])] {
            if let Some(value) = values.iter().find(|value| **value <= 0.0) {
                return Err(field(name, "a number above 0".into(), value.to_string()));
            }
        }
        Ok(())
    }
}

/// A field that is there and not null.
fn given<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    fields.get(name).filter(|value| !value.is_null())
}

fn stated(name: &str, value: &Value) -> Result<Stated, MediaError> {
    const EXPECTED: &str = "a number, height and width, shortest_edge, or longest_edge";
    let fields = match value {
        Value::Number(_) => return extent(name, value).map(Stated::Number),
        Value::Array(sides) if sides.len() == 2 => {
            let (height, width) = (extent(name, &sides[0])?, extent(name, &sides[1])?);
            return Ok(Stated::Sides { height, width });
        }
        Value::Object(fields) => fields,
        _ => return Err(refused(name, EXPECTED, value)),
    };
    let known = ["height", "width", "shortest_edge", "longest_edge"];
    if let Some((unknown, value)) = first_unknown(fields, &known) {
        return Err(refused(&format!("{name}.{unknown}"), "no such field", value));
    }
    let part = |part: &str| {
        let value = given(fields, part);
        value
            .map(|value| extent(&format!("{name}.{part}"), value))
            .transpose()
    };
    match (
        part("height")?,
        part("width")?,
        part("shortest_edge")?,
        part("longest_edge")?,
    ) {
        (Some(height), Some(width), None, None) => Ok(Stated::Sides { height, width }),
        (None, None, Some(side), None) => Ok(Stated::Shortest(side)),
        (None, None, None, Some(side)) => Ok(Stated::Longest(side)),
        _ => Err(refused(name, EXPECTED, value)),
    }
}

/// A rule with the stated size; `None` where the rule cannot be stated like that.
fn resized(rule: Resize, size: Stated, square: Option<bool>) -> Option<Resize> {
    use Stated::{Longest, Number, Shortest, Sides};
    Some(match (rule, size) {
        // These two are one processor, told apart by how the size is stated.
        (Resize::Exact { .. } | Resize::ShorterSide { .. }, size) => match size {
            Sides { height, width } => Resize::Exact { height, width },
            Shortest(to) => Resize::ShorterSide { to },
            Number(side) if square.unwrap_or(matches!(rule, Resize::Exact { .. })) => Resize::Exact {
                height: side,
                width: side,
            },
            Number(to) => Resize::ShorterSide { to },
            Longest(_) => return None,
        },
        (Resize::ShorterSideBounded { bound, multiple, .. }, Shortest(shorter) | Number(shorter))
            if square != Some(true) =>
        {
            Resize::ShorterSideBounded {
                shorter,
                bound,
                multiple,
            }
        }
        (Resize::ShorterSideCapped { longer, .. }, Shortest(shorter) | Number(shorter))
            if square != Some(true) =>
        {
            Resize::ShorterSideCapped { shorter, longer }
        }
        (Resize::LongerSide { patch, .. }, size) => Resize::LongerSide {
            longest: longest(size, square)?,
            patch,
        },
        (Resize::LongerSideRounded { patch, .. }, size) => Resize::LongerSideRounded {
            longest: longest(size, square)?,
            patch,
        },
        _ => return None,
    })
}

fn longest(size: Stated, square: Option<bool>) -> Option<u32> {
    match size {
        Stated::Longest(side) => Some(side),
        Stated::Sides { height, width } if height == width => Some(height),
        Stated::Number(side) if square != Some(false) => Some(side),
        _ => None,
    }
}

/// How the size of a rule is stated.
fn wanted(rule: &Resize) -> &'static str {
    match rule {
        Resize::Keep => "no size: pictures keep theirs",
        Resize::Exact { .. } | Resize::ShorterSide { .. } => "height and width, or shortest_edge",
        Resize::ShorterSideBounded { .. } | Resize::ShorterSideCapped { .. } => "shortest_edge",
        Resize::LongerSide { .. } | Resize::LongerSideRounded { .. } => "longest_edge",
    }
}

fn divide(rule: &mut Resize, name: &str, value: &Value) -> Result<(), MediaError> {
    let unit = side(name, value)?;
    match rule {
        Resize::ShorterSideBounded { multiple, .. } => *multiple = unit,
        // Old files of processors that never looked at it carry it along.
        Resize::Exact { height, width } if *height % unit == 0 && *width % unit == 0 => {}
        _ => return Err(refused(name, "no such field", value)),
    }
    Ok(())
}

fn cut_to_patches(rule: &mut Resize, name: &str, value: &Value) -> Result<(), MediaError> {
    match rule {
        Resize::LongerSide { patch, .. } | Resize::LongerSideRounded { patch, .. } => {
            let (height, width) = sides(name, value)?;
            if height != width || height > 1024 {
                return Err(refused(name, "a square patch of at most 1024 px", value));
            }
            *patch = height;
            Ok(())
        }
        _ => Err(refused(name, "no such field", value)),
    }
}

/// `(height, width)` from a number, a pair or an object.
fn sides(name: &str, value: &Value) -> Result<(u32, u32), MediaError> {
    match stated(name, value)? {
        Stated::Number(side) => Ok((side, side)),
        Stated::Sides { height, width } => Ok((height, width)),
        _ => Err(refused(name, "a number, or height and width", value)),
    }
}

fn filter(name: &str, value: &Value) -> Result<Filter, MediaError> {
    match value.as_u64() {
        Some(2) => Ok(Filter::Bilinear8),
        Some(3) => Ok(Filter::Bicubic8),
        _ => Err(refused(name, "2 (bilinear) or 3 (bicubic)", value)),
    }
}

fn flag(name: &str, value: &Value) -> Result<bool, MediaError> {
    value
        .as_bool()
        .ok_or_else(|| refused(name, "true or false", value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{WEB_MEAN, WEB_STD};

    const SHORT: PixelRecipe = PixelRecipe {
        resize: Resize::ShorterSide { to: 224 },
        crop: Some((224, 224)),
        filter: Filter::Bicubic8,
        rescale: 1.0 / 255.0,
        mean: WEB_MEAN,
        std: WEB_STD,
    };

    fn with(resize: Resize, crop: Option<(u32, u32)>) -> PixelRecipe {
        PixelRecipe {
            resize,
            crop,
            ..SHORT
        }
    }

    fn square(side: u32) -> Resize {
        Resize::Exact {
            height: side,
            width: side,
        }
    }

    fn bounded(shorter: u32, multiple: u32) -> Resize {
        Resize::ShorterSideBounded {
            shorter,
            bound: (1333, 800),
            multiple,
        }
    }

    fn longer(longest: u32, patch: u32) -> Resize {
        Resize::LongerSide { longest, patch }
    }

    #[test]
    fn an_empty_file_changes_nothing() {
        for resize in [SHORT.resize, square(384), bounded(384, 32), longer(1024, 16)] {
            let recipe = with(resize, None);
            assert_eq!(PixelRecipe::from_json("{}", recipe.clone()), Ok(recipe));
        }
    }

    #[test]
    fn sizes_as_files_of_all_ages_state_them() {
        let short = |to| Resize::ShorterSide { to };
        for (text, from, to) in [
            (r#"{"size": 336}"#, short(224), short(336)),
            (r#"{"size": {"shortest_edge": 336}}"#, short(224), short(336)),
            (
                r#"{"size": {"height": 336, "width": 336}}"#,
                short(224),
                square(336),
            ),
            (
                r#"{"size": 336, "default_to_square": true}"#,
                short(224),
                square(336),
            ),
            (r#"{"size": 480}"#, square(384), square(480)),
            (r#"{"size": [480, 480]}"#, square(384), square(480)),
            (r#"{"size": {"shortest_edge": 480}}"#, square(384), short(480)),
            (
                r#"{"size": {"height": 480, "width": 480, "longest_edge": null}}"#,
                square(384),
                square(480),
            ),
            (
                r#"{"size_divisor": 32, "do_pad": true}"#,
                square(384),
                square(384),
            ),
            (
                r#"{"size": 96, "size_divisor": 16}"#,
                bounded(384, 32),
                bounded(96, 16),
            ),
            (
                r#"{"size": {"shortest_edge": 96}, "do_pad": false}"#,
                bounded(384, 32),
                bounded(96, 32),
            ),
            (
                r#"{"size": {"longest_edge": 64}, "patch_size": 8}"#,
                longer(1024, 16),
                longer(64, 8),
            ),
            (
                r#"{"size": {"height": 64, "width": 64}, "patch_size": {"height": 8, "width": 8}}"#,
                longer(1024, 16),
                longer(64, 8),
            ),
            (
                r#"{"size": 64, "patch_size": [8, 8]}"#,
                longer(1024, 16),
                longer(64, 8),
            ),
            (
                r#"{"do_resize": false, "size": 64}"#,
                longer(1024, 16),
                Resize::Keep,
            ),
            (r#"{"do_resize": null}"#, square(384), Resize::Keep),
        ] {
            let found = PixelRecipe::from_json(text, with(from, None));
            assert_eq!(found.map(|recipe| recipe.resize), Ok(to), "{text}");
        }
    }

    #[test]
    fn cuts() {
        for (text, default, expected) in [
            ("{}", Some((224, 224)), Some((224, 224))),
            (r#"{"crop_size": 96}"#, Some((224, 224)), Some((96, 96))),
            (
                r#"{"crop_size": {"height": 9, "width": 8}}"#,
                Some((224, 224)),
                Some((9, 8)),
            ),
            (
                r#"{"do_center_crop": false, "crop_size": 96}"#,
                Some((224, 224)),
                None,
            ),
            (r#"{"do_center_crop": null}"#, Some((224, 224)), None),
            (
                r#"{"do_center_crop": true, "crop_size": 96}"#,
                None,
                Some((96, 96)),
            ),
            (r#"{"do_center_crop": true}"#, Some((224, 224)), Some((224, 224))),
            (r#"{"crop_size": 96}"#, None, None),
            (r#"{"crop_size": null, "do_center_crop": null}"#, None, None),
        ] {
            let found = PixelRecipe::from_json(text, with(SHORT.resize, default));
            assert_eq!(found.map(|recipe| recipe.crop), Ok(expected), "{text}");
        }
    }

    #[test]
    fn levels() {
        let recipe = PixelRecipe::from_json(
            r#"{"image_mean": [0.5, 0.25, 0], "image_std": [1, 2, 4], "rescale_factor": 0.5, "resample": 2,
                "do_convert_rgb": null, "processor_class": "P", "data_format": "channels_first"}"#,
            SHORT,
        );
        let expected = PixelRecipe {
            filter: Filter::Bilinear8,
            rescale: 0.5,
            mean: [0.5, 0.25, 0.0],
            std: [1.0, 2.0, 4.0],
            ..SHORT
        };
        assert_eq!(recipe, Ok(expected));
        let text =
            r#"{"do_rescale": false, "do_normalize": false, "image_mean": [1, 1, 1], "rescale_factor": 2}"#;
        let raw = PixelRecipe::from_json(text, SHORT).unwrap();
        assert_eq!((raw.rescale, raw.mean, raw.std), (1.0, [0.0; 3], [1.0; 3]));
    }

    #[test]
    fn errors_name_the_field() {
        for (text, resize, name) in [
            (r#"{"do_convert_rgb": false}"#, SHORT.resize, "do_convert_rgb"),
            (r#"{"do_normalize": 1}"#, SHORT.resize, "do_normalize"),
            (r#"{"do_center_crop": "yes"}"#, SHORT.resize, "do_center_crop"),
            (r#"{"do_center_crop": true}"#, SHORT.resize, "crop_size"),
            (r#"{"resample": 1}"#, SHORT.resize, "resample"),
            (r#"{"resample": "bicubic"}"#, SHORT.resize, "resample"),
            (r#"{"image_std": [0.5, 0.5, 0]}"#, SHORT.resize, "image_std"),
            (r#"{"rescale_factor": -1}"#, SHORT.resize, "rescale_factor"),
            (r#"{"size": {"longest_edge": 9}}"#, SHORT.resize, "size"),
            (
                r#"{"size": {"shortest_edge": 9, "longest_edge": 9}}"#,
                SHORT.resize,
                "size",
            ),
            (r#"{"size": {"height": 9}}"#, SHORT.resize, "size"),
            (
                r#"{"size": {"max_height": 9, "max_width": 9}}"#,
                SHORT.resize,
                "size.max_height",
            ),
            (r#"{"size": "large"}"#, SHORT.resize, "size"),
            (r#"{"size": 0}"#, SHORT.resize, "size"),
            (
                r#"{"size": {"shortest_edge": 1e9}}"#,
                SHORT.resize,
                "size.shortest_edge",
            ),
            (
                r#"{"crop_size": {"shortest_edge": 9}}"#,
                SHORT.resize,
                "crop_size",
            ),
            (r#"{"size_divisor": 32}"#, SHORT.resize, "size_divisor"),
            (r#"{"size_divisor": 30}"#, square(384), "size_divisor"),
            (r#"{"size": {"height": 9, "width": 9}}"#, bounded(384, 32), "size"),
            (r#"{"size_divisor": 0}"#, bounded(384, 32), "size_divisor"),
            (r#"{"patch_size": 16}"#, square(384), "patch_size"),
            (
                r#"{"patch_size": {"height": 8, "width": 16}}"#,
                longer(64, 8),
                "patch_size",
            ),
            (r#"{"size": {"height": 8, "width": 16}}"#, longer(64, 8), "size"),
            (r#"{"size": {"shortest_edge": 8}}"#, longer(64, 8), "size"),
            (r#"{"pad_size": 16}"#, square(384), "pad_size"),
            (r#"{"sharpen": 0.3}"#, square(384), "sharpen"),
        ] {
            match PixelRecipe::from_json(text, with(resize, None)) {
                Err(MediaError::RecipeField { field, .. }) => assert_eq!(field, name, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
        for text in ["", "[]", "null"] {
            let found = PixelRecipe::from_json(text, SHORT);
            assert!(matches!(found, Err(MediaError::RecipeJson { .. })), "{text}");
        }
    }

    #[test]
    fn a_publishers_parameters() {
        let rounded = |longest, patch| Resize::LongerSideRounded { longest, patch };
        for (text, expected) in [
            (r#"{"vision_encoder": {}}"#, rounded(1024, 16)),
            (
                r#"{"dim": 5, "vision_encoder": {"image_size": 64, "patch_size": 8, "dim": 3}}"#,
                rounded(64, 8),
            ),
            (
                r#"{"vision_encoder": {"image_size": 64, "max_image_size": 96, "spatial_merge_size": 2}}"#,
                rounded(96, 32),
            ),
        ] {
            let found = PixelRecipe::from_params(text, with(rounded(1024, 16), None));
            assert_eq!(found.map(|recipe| recipe.resize), Ok(expected), "{text}");
        }
        for text in [
            "{}",
            r#"{"vision_encoder": 3}"#,
            r#"{"vision_encoder": {"patch_size": 0}}"#,
        ] {
            assert!(
                PixelRecipe::from_params(text, with(rounded(1024, 16), None)).is_err(),
                "{text}"
            );
        }
    }
}
