//! Draws the lines and chunks found on pictures: `draw_layout OUT_DIR PICTURE...`
//!
//! Writes `OUT_DIR/<name>.overlay.png` and `OUT_DIR/<name>.strips.png`, and prints one JSON object per line found.

use std::path::Path;

use ocellus_media::{Limits, Rgb};
use ocellus_tasks::layout::{Page, find_lines, strips};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let out = arguments.next().expect("usage: draw_layout OUT_DIR PICTURE...");
    for path in arguments {
        let bytes = std::fs::read(&path).expect("the picture can be read");
        let page = ocellus_media::decode(&bytes, &Limits::default())
            .expect("the picture can be decoded")
            .image;
        let start = std::time::Instant::now();
        let layout = find_lines(&page);
        let found = start.elapsed();
        let cut = strips(&page, &layout);
        let name = Path::new(&path)
            .file_name()
            .expect("a file name")
            .to_string_lossy();
        eprintln!(
            "{name}: {}x{} {} lines {} strips, skew {:.2}, {} ms + {} ms",
            page.width,
            page.height,
            layout.lines.len(),
            cut.len(),
            layout.skew_degrees,
            found.as_millis(),
            (start.elapsed() - found).as_millis()
        );
        for (index, line) in layout.lines.iter().enumerate() {
            let chunks: Vec<String> = line
                .chunks
                .iter()
                .map(|chunk| {
                    format!(
                        "{{\"bbox\": {:?}, \"space\": {}}}",
                        chunk.bbox, chunk.joined_by_space
                    )
                })
                .collect();
            println!(
                "{{\"image\": \"{name}\", \"line\": {index}, \"bbox\": {:?}, \"em\": {:.1}, \"chunks\": [{}]}}",
                line.bbox,
                line.em_px,
                chunks.join(", ")
            );
        }
        let overlay = overlay(&page, &layout);
        let file = format!("{out}/{name}.overlay.png");
        image::save_buffer(
            file,
            &overlay.data,
            overlay.width,
            overlay.height,
            image::ColorType::Rgb8,
        )
        .expect("the overlay can be written");
        let width = 448 + 8;
        let mut sheet = vec![128u8; width * (cut.len() * 32).max(1)];
        for (index, strip) in cut.iter().enumerate() {
            for (y, row) in strip.data.chunks_exact(strip.width as usize).enumerate() {
                let at = (index * 32 + y + 2) * width + 4;
                sheet[at..at + row.len()].copy_from_slice(row);
            }
        }
        let height = (sheet.len() / width) as u32;
        image::save_buffer(
            format!("{out}/{name}.strips.png"),
            &sheet,
            width as u32,
            height,
            image::ColorType::L8,
        )
        .expect("the strips can be written");
    }
}

/// Lines in red (odd) and blue (even), chunks in green, the order as a line between starts.
fn overlay(page: &Rgb, layout: &Page) -> Rgb {
    let mut drawn = page.clone();
    for level in &mut drawn.data {
        *level = 128 + *level / 2;
    }
    for (index, line) in layout.lines.iter().enumerate() {
        for chunk in &line.chunks {
            let [x1, y1, x2, y2] = chunk.bbox;
            frame(&mut drawn, [x1, y1 + 2.0, x2, y2 - 2.0], [0, 170, 0]);
        }
        frame(
            &mut drawn,
            line.bbox,
            if index % 2 == 0 { [255, 0, 0] } else { [0, 0, 255] },
        );
        if let Some(next) = layout.lines.get(index + 1) {
            let (from, to) = ((line.bbox[0], line.bbox[1]), (next.bbox[0], next.bbox[1]));
            let steps = (to.0 - from.0).abs().max((to.1 - from.1).abs()).max(1.0) as i32;
            for step in 0..steps {
                let t = step as f32 / steps as f32;
                dot(
                    &mut drawn,
                    from.0 + t * (to.0 - from.0),
                    from.1 + t * (to.1 - from.1),
                    [255, 128, 0],
                );
            }
        }
    }
    drawn
}

fn dot(page: &mut Rgb, x: f32, y: f32, colour: [u8; 3]) {
    let x = (x as u32).min(page.width - 1);
    let y = (y as u32).min(page.height - 1);
    let at = (y as usize * page.width as usize + x as usize) * 3;
    page.data[at..at + 3].copy_from_slice(&colour);
}

fn frame(page: &mut Rgb, [x1, y1, x2, y2]: [f32; 4], colour: [u8; 3]) {
    for x in x1 as i32..=x2 as i32 {
        dot(page, x as f32, y1, colour);
        dot(page, x as f32, y2, colour);
    }
    for y in y1 as i32..=y2 as i32 {
        dot(page, x1, y as f32, colour);
        dot(page, x2, y as f32, colour);
    }
}
