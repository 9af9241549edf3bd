//! Boxes on a copy of the page.

use ocellus_media::Rgb;

/// Draws the outlines of `boxes`, `[x1, y1, x2, y2]` in pixels; what lies outside the page is left out.
pub fn boxes(page: &Rgb, boxes: &[[f32; 4]], colour: [u8; 3]) -> Rgb {
    let mut drawn = page.clone();
    // As thick on a large scan as on a small one once both are shown on a screen.
    let thick = (page.width.max(page.height) / 1000).max(1) as i64;
    for bbox in boxes {
        let [x1, y1, x2, y2] = bbox.map(|side| side.round() as i64);
        for edge in [
            [x1, y1, x2, y1 + thick],
            [x1, y2 - thick, x2, y2],
            [x1, y1, x1 + thick, y2],
            [x2 - thick, y1, x2, y2],
        ] {
            fill(&mut drawn, edge, colour);
        }
    }
    drawn
}

fn fill(page: &mut Rgb, [x1, y1, x2, y2]: [i64; 4], colour: [u8; 3]) {
    let (width, height) = (i64::from(page.width), i64::from(page.height));
    for y in y1.clamp(0, height)..y2.clamp(0, height) {
        for x in x1.clamp(0, width)..x2.clamp(0, width) {
            let at = (y * width + x) as usize * 3;
            page.data[at..at + 3].copy_from_slice(&colour);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outlines_are_drawn_and_the_inside_is_not() {
        let page = Rgb::filled(20, 10, [255, 255, 255]);
        let drawn = boxes(
            &page,
            &[[2.0, 2.0, 12.0, 8.0], [-5.0, 5.0, 90.0, 50.0]],
            [255, 0, 0],
        );
        assert_eq!(drawn.pixel(2, 2), [255, 0, 0]);
        assert_eq!(drawn.pixel(11, 7), [255, 0, 0]);
        assert_eq!(drawn.pixel(12, 8), [255, 255, 255]);
        assert_eq!(drawn.pixel(5, 4), [255, 255, 255]);
        assert_eq!(drawn.pixel(19, 5), [255, 0, 0]);
    }
}
