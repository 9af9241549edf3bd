//! Any bytes as a file of several pages or frames: each page is a picture within the bounds of the size that its header states, or
//! it is refused in one line.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ocellus_media::{Limits, decode_page, dimensions, frames, pages};

fuzz_target!(init: ocellus_fuzz::pass_contained(), |bytes: &[u8]| {
    let limits = Limits { picture_px: 1 << 16, side_px: 1 << 10, decode_bytes: 1 << 22, ..Limits::default() };
    let _ = frames(bytes, &limits);
    let size = dimensions(bytes, &limits);
    let Ok(count) = pages(bytes, &limits) else { return };
    for page in 0..count.min(8) {
        match decode_page(bytes, page, &limits) {
            Ok(picture) => {
                let (width, height) = picture.oriented;
                assert_eq!(picture.image.data.len(), width as usize * height as usize * 3);
                if page == 0 {
                    assert_eq!(size.as_ref().ok(), Some(&picture.oriented));
                }
            }
            Err(error) => assert!(!error.to_string().contains('\n'), "{error}"),
        }
    }
});
