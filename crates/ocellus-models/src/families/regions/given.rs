//! Facts of models that take regions, and checks of regions.

use crate::error::ModelError;
use crate::facts::Facts;
use crate::visual_input::{Regions, VisualInput};

/// Facts of a model whose regions have `width` features.
pub(in crate::families) fn facts(family: &'static str, width: usize, max_positions: usize) -> Facts {
    Facts {
        family,
        image_token: None,
        video_token: None,
        merge: 1,
        patch_size: 1,
        temporal_patch_size: 1,
        patch_features: width,
        tokens_per_second: None,
        frames_apart: false,
        max_positions,
    }
}

/// The regions of every picture. Fails unless there are `texts` pictures, each with at least one region, features of `width`
/// values, as many boxes as features, and positive sides.
pub(in crate::families) fn regions(
    visual: &VisualInput,
    texts: usize,
    width: usize,
) -> Result<&[Regions], ModelError> {
    let regions = visual.regions()?;
    if regions.len() != texts {
        let expected = format!("a picture for each of {texts} texts");
        return Err(ModelError::input(
            "the input",
            expected,
            format!("{} pictures", regions.len()),
        ));
    }
    for (i, picture) in regions.iter().enumerate() {
        let wrong = |what: &str, expected: String, found: String| {
            Err(ModelError::input(
                format!("{what} of picture {i}"),
                expected,
                found,
            ))
        };
        let shape = picture.features.dims();
        if shape.len() != 2 || shape[0] == 0 || shape[1] != width {
            let expected = format!("the shape [regions, {width}] with at least one region");
            return wrong("`features`", expected, format!("the shape {shape:?}"));
        }
        if picture.boxes.len() != shape[0] {
            let expected = format!("a box for each of {} regions", shape[0]);
            return wrong("`boxes`", expected, format!("{} boxes", picture.boxes.len()));
        }
        let side = |s: f32| s.is_finite() && s > 0.0;
        if !side(picture.width) || !side(picture.height) {
            let found = format!("{} x {} px", picture.width, picture.height);
            return wrong("the size", "two positive lengths".to_owned(), found);
        }
        if let Some(bad) = picture.boxes.iter().find(|b| b.iter().any(|v| !v.is_finite())) {
            return wrong("`boxes`", "finite numbers".to_owned(), format!("{bad:?}"));
        }
    }
    Ok(regions)
}

/// Fails unless `hidden[i]` are indices of regions of picture `i`.
pub(in crate::families) fn check_hidden(hidden: &[&[usize]], regions: &[Regions]) -> Result<(), ModelError> {
    if hidden.len() != regions.len() {
        let expected = format!("a list for each of {} pictures", regions.len());
        return Err(ModelError::input(
            "the hidden regions",
            expected,
            format!("{} lists", hidden.len()),
        ));
    }
    for (i, (hidden, picture)) in hidden.iter().zip(regions).enumerate() {
        if let Some(region) = hidden.iter().find(|r| **r >= picture.boxes.len()) {
            let expected = format!("indices under {}", picture.boxes.len());
            return Err(ModelError::input(
                format!("the list of hidden regions of picture {i}"),
                expected,
                region,
            ));
        }
    }
    Ok(())
}
