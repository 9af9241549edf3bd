//! The preprocessing of a checkpoint's `preprocessor_config.json`.

use serde_json::Value;

use crate::MediaError;
use crate::fields::{
    WITHOUT_EFFECT, area, channels, field, first_unknown, known, number, object, refused, side,
};
use crate::pixels::{WEB_MEAN, WEB_STD};

/// How pictures become patches. All fields are read from the checkpoint; a missing one has the published default.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// Side of a patch, px.
    pub patch_size: u32,
    /// Patches per side of a visual token.
    pub merge_size: u32,
    /// Frames per patch. A still picture is repeated that often.
    pub temporal_patch_size: u32,
    /// Least area after the resize, px.
    pub min_pixels: u64,
    /// Largest area after the resize, px.
    pub max_pixels: u64,
    /// Mean per channel, on the scale 0..1.
    pub mean: [f32; 3],
    /// Standard deviation per channel, on the scale 0..1.
    pub std: [f32; 3],
    /// Factor from a level to the scale 0..1.
    pub rescale: f32,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            patch_size: 14,
            merge_size: 2,
            temporal_patch_size: 2,
            min_pixels: 56 * 56,
            max_pixels: 28 * 28 * 1280,
            mean: WEB_MEAN,
            std: WEB_STD,
            rescale: 1.0 / 255.0,
        }
    }
}

/// Steps that we always take, and steps that we never take.
const SWITCHES: &[(&str, bool)] = &[
    ("do_resize", true),
    ("do_rescale", true),
    ("do_normalize", true),
    ("do_convert_rgb", true),
    ("do_center_crop", false),
    ("do_pad", false),
];

impl Recipe {
    /// Reads `preprocessor_config.json`.
    ///
    /// The area bounds may stand as `min_pixels` and `max_pixels`, or in `size` under these names or as
    /// `shortest_edge` and `longest_edge`; where both are given, the outer ones count. A field that asks for a
    /// computation other than ours, or that we do not know, is an error that names the field.
    pub fn from_json(text: &str) -> Result<Self, MediaError> {
        let mut unknown = Vec::new();
        let recipe = Self::read(text, Self::default(), &mut unknown)?;
        known(text, unknown).map(|()| recipe)
    }

    /// The same over the recipe of a family; names of fields that we do not know, and leave out, are added to `unknown`.
    ///
    /// # Errors
    /// As [`from_json`](Self::from_json) for fields that we know.
    pub fn read(text: &str, default: Self, unknown: &mut Vec<String>) -> Result<Self, MediaError> {
        let fields = object(text)?;
        let mut recipe = default;
        if let Some(size) = fields.get("size").filter(|value| !value.is_null()) {
            recipe.read_size(size)?;
        }
        for (name, value) in &fields {
            // A null is an absent field; a switch set to null is off.
            match name.as_str() {
                _ if value.is_null() && !SWITCHES.iter().any(|(switch, _)| switch == name) => {}
                "size" => {}
                "patch_size" => recipe.patch_size = side(name, value)?,
                "merge_size" => recipe.merge_size = side(name, value)?,
                "temporal_patch_size" => recipe.temporal_patch_size = side(name, value)?,
                "min_pixels" => recipe.min_pixels = area(name, value)?,
                "max_pixels" => recipe.max_pixels = area(name, value)?,
                "image_mean" => recipe.mean = channels(name, value)?,
                "image_std" => recipe.std = channels(name, value)?,
                "rescale_factor" => recipe.rescale = number(name, value)?,
                "resample" => {
                    if value.as_u64() != Some(3) {
                        return Err(refused(name, "3 (bicubic)", value));
                    }
                }
                other => {
                    if !is_inert(other, value)? {
                        unknown.push(other.to_owned());
                    }
                }
            }
        }
        recipe.check()?;
        Ok(recipe)
    }

    /// Side of a visual token, px: every resized side is a multiple of it.
    pub fn factor(&self) -> u32 {
        self.patch_size * self.merge_size
    }

    /// Values of one patch row: channels x frames x rows x columns.
    pub fn features(&self) -> usize {
        3 * self.temporal_patch_size as usize * (self.patch_size as usize).pow(2)
    }

    fn read_size(&mut self, size: &Value) -> Result<(), MediaError> {
        let Value::Object(size) = size else {
            return Err(refused("size", "an object", size));
        };
        let bound = |names: [&str; 2], slot: &mut u64| {
            for name in names {
                if let Some(value) = size.get(name).filter(|value| !value.is_null()) {
                    *slot = area(&format!("size.{name}"), value)?;
                }
            }
            Ok(())
        };
        bound(["shortest_edge", "min_pixels"], &mut self.min_pixels)?;
        bound(["longest_edge", "max_pixels"], &mut self.max_pixels)?;
        let known = ["shortest_edge", "longest_edge", "min_pixels", "max_pixels"];
        match first_unknown(size, &known) {
            Some((name, value)) => Err(refused(&format!("size.{name}"), "no such field", value)),
            None => Ok(()),
        }
    }

    fn check(&self) -> Result<(), MediaError> {
        if self.min_pixels > self.max_pixels {
            let expected = format!("at most max_pixels = {}", self.max_pixels);
            return Err(field("min_pixels", expected, self.min_pixels.to_string()));
        }
        for (name, values) in [("image_std", &self.std[..]), ("rescale_factor", &[self.rescale])] {
            if let Some(value) = values.iter().find(|value| **value <= 0.0) {
                return Err(field(name, "a number above 0".into(), value.to_string()));
            }
        }
        Ok(())
    }
}

fn is_inert(name: &str, value: &Value) -> Result<bool, MediaError> {
    if let Some((_, ours)) = SWITCHES.iter().find(|(switch, _)| *switch == name) {
        let asked = if value.is_null() {
            Some(false)
        } else {
            value.as_bool()
        };
        return if asked == Some(*ours) {
            Ok(true)
        } else {
            Err(refused(name, &ours.to_string(), value))
        };
    }
    Ok(name == "default_to_square" || WITHOUT_EFFECT.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_under_every_name() {
        let expected = Recipe {
            min_pixels: 784,
            max_pixels: 1568,
            ..Recipe::default()
        };
        for text in [
            r#"{"min_pixels": 784, "max_pixels": 1568}"#,
            r#"{"size": {"shortest_edge": 784, "longest_edge": 1568}}"#,
            r#"{"size": {"min_pixels": 784, "max_pixels": 1568}}"#,
            r#"{"size": {"shortest_edge": 1, "longest_edge": 2}, "min_pixels": 784, "max_pixels": 1568}"#,
            r#"{"min_pixels": 784, "size": {"shortest_edge": 5, "longest_edge": 1568}, "max_pixels": null}"#,
        ] {
            assert_eq!(Recipe::from_json(text).as_ref(), Ok(&expected), "{text}");
        }
    }

    #[test]
    fn every_field_is_read() {
        let recipe = Recipe::from_json(
            r#"{"patch_size": 7, "merge_size": 4, "temporal_patch_size": 1, "min_pixels": 1, "max_pixels": 9,
                "image_mean": [0.5, 0.25, 0], "image_std": [1, 2, 4], "rescale_factor": 0.5, "resample": 3,
                "do_resize": true, "do_rescale": true, "do_normalize": true, "do_convert_rgb": true,
                "do_center_crop": false, "crop_size": null, "do_pad": null, "processor_class": "P",
                "image_processor_type": "I"}"#,
        );
        let expected = Recipe {
            patch_size: 7,
            merge_size: 4,
            temporal_patch_size: 1,
            min_pixels: 1,
            max_pixels: 9,
            mean: [0.5, 0.25, 0.0],
            std: [1.0, 2.0, 4.0],
            rescale: 0.5,
        };
        assert_eq!(recipe, Ok(expected.clone()));
        assert_eq!((expected.factor(), expected.features()), (28, 147));
    }

    #[test]
    fn errors_name_the_field() {
        for (text, name) in [
            (r#"{"do_resize": false}"#, "do_resize"),
            (r#"{"do_normalize": false}"#, "do_normalize"),
            (r#"{"do_rescale": null}"#, "do_rescale"),
            (r#"{"do_convert_rgb": 1}"#, "do_convert_rgb"),
            (r#"{"do_center_crop": true}"#, "do_center_crop"),
            (r#"{"resample": 2}"#, "resample"),
            (r#"{"resample": "bicubic"}"#, "resample"),
            (r#"{"image_mean": [0.5]}"#, "image_mean"),
            (r#"{"image_std": [0.5, 0.5, 0]}"#, "image_std"),
            (r#"{"rescale_factor": "x"}"#, "rescale_factor"),
            (r#"{"rescale_factor": 0}"#, "rescale_factor"),
            (r#"{"patch_size": 0}"#, "patch_size"),
            (r#"{"merge_size": 2.5}"#, "merge_size"),
            (r#"{"temporal_patch_size": -1}"#, "temporal_patch_size"),
            (r#"{"min_pixels": 0}"#, "min_pixels"),
            (r#"{"min_pixels": 9, "max_pixels": 8}"#, "min_pixels"),
            (r#"{"size": 224}"#, "size"),
            (r#"{"size": {"height": 224}}"#, "size.height"),
            (r#"{"size": {"longest_edge": "a"}}"#, "size.longest_edge"),
            (r#"{"sharpen": 0.3}"#, "sharpen"),
        ] {
            match Recipe::from_json(text) {
                Err(MediaError::RecipeField { field, .. }) => assert_eq!(field, name, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
        for text in ["", "[]", "{", "null", "7"] {
            assert!(
                matches!(Recipe::from_json(text), Err(MediaError::RecipeJson { .. })),
                "{text}"
            );
        }
    }
}
