//! Any bytes as a picture: a picture within the bounds, or an error of one line.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ocellus_media::{Limits, Recipe, decode, patchify};

fuzz_target!(init: ocellus_fuzz::pass_contained(), |bytes: &[u8]| {
    let limits = Limits { picture_px: 1 << 16, side_px: 1 << 10, decode_bytes: 1 << 22, ..Limits::default() };
    match decode(bytes, &limits) {
        Ok(picture) => {
            let (width, height) = picture.oriented;
            assert!(width.max(height) <= limits.side_px);
            assert_eq!(picture.image.data.len(), width as usize * height as usize * 3);
            let recipe = Recipe { max_pixels: 56 * 56, ..Recipe::default() };
            let patches = patchify(&picture.image, &recipe).expect("a decoded picture can be cut");
            assert_eq!(patches.values.len(), patches.grid.patches() * patches.features);
        }
        Err(error) => assert!(!error.to_string().contains('\n')),
    }
});
