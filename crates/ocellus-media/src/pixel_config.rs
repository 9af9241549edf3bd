//! Reads a [`PixelRecipe`] from a checkpoint's files.
//!
//! A family brings its own recipe; `preprocessor_config.json`, or the vision part of a publisher's `params.json`,
//! changes its numbers. Old files give a size as one number, newer ones as an object: both are read.

use serde_json::{Map, Value};

use crate::MediaError;
use crate::fields::{
    WITHOUT_EFFECT, channels, extent, field, first_unknown, known, number, object, refused, side,
};
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
    /// published processors have it. `do_pad` does not affect a single picture and is ignored: padding is
    /// [`pad_batch`](crate::pad_batch)'s. A field that asks for a computation other than ours, or that we do not
    /// know, is an error that names the field.
    pub fn from_json(text: &str, default: Self) -> Result<Self, MediaError> {
        let mut unknown = Vec::new();
        let recipe = Self::read(text, default, &mut unknown)?;
        known(text, unknown).map(|()| recipe)
    }

    /// The same; names of fields that we do not know, and leave out, are added to `unknown`.
    ///
    /// # Errors
    /// As [`from_json`](Self::from_json) for fields that we know.
    pub fn read(text: &str, default: Self, unknown: &mut Vec<String>) -> Result<Self, MediaError> {
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
                other => unknown.push(other.to_owned()),
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
        // These two are one processor, distinguished by how the size is stated.
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
        // Old files have it although their processors never read it.
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
mod tests;
