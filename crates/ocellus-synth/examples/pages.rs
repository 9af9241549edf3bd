//! Writes N drawn pages as PNGs; with `boxes`, the true lines are framed.
//!
//!     pages FONTS CORPUS OUT_FOLDER COUNT SEED DIFFICULTY CHARACTERS.txt [boxes]

use std::path::{Path, PathBuf};

use ocellus_synth::{Corpus, Fonts, Synth};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [fonts, corpus, out, count, seed, difficulty, characters, rest @ ..] = &args[..] else {
        return Err(
            "usage: pages FONTS CORPUS OUT_FOLDER COUNT SEED DIFFICULTY CHARACTERS.txt [boxes]".into(),
        );
    };
    let mut characters: Vec<char> = std::fs::read_to_string(characters)?.chars().collect();
    characters.sort_unstable();
    characters.dedup();
    let fonts = Fonts::load(&[PathBuf::from(fonts)], &characters)?;
    let corpus = Corpus::load(&[PathBuf::from(corpus)], &characters)?;
    let synth = Synth::new(fonts, corpus, characters, seed.parse()?);
    std::fs::create_dir_all(out)?;
    for index in 0..count.parse::<u64>()? {
        let started = std::time::Instant::now();
        let page = synth.page(index, difficulty.parse()?);
        let spent = started.elapsed();
        let (width, height) = (page.image.width, page.image.height);
        let mut picture =
            image::GrayImage::from_raw(width, height, page.image.data).ok_or("a page without its pixels")?;
        println!(
            "{index} {} {width}x{height} {} lines, turned {}, {spent:?}",
            page.kind.name(),
            page.lines.len(),
            page.turned
        );
        if rest.iter().any(|a| a == "boxes") {
            for line in &page.lines {
                let quad = line.quad();
                for (i, from) in quad.iter().enumerate() {
                    let to = quad[(i + 1) % 4];
                    let steps = (to[0] - from[0]).abs().max((to[1] - from[1]).abs()) as u32 + 1;
                    for k in 0..=steps {
                        let t = k as f32 / steps as f32;
                        let (x, y) = (from[0] + (to[0] - from[0]) * t, from[1] + (to[1] - from[1]) * t);
                        if x >= 0.0 && y >= 0.0 && (x as u32) < width && (y as u32) < height {
                            picture.put_pixel(x as u32, y as u32, image::Luma([110]));
                        }
                    }
                }
            }
        }
        picture.save(Path::new(out).join(format!("{index:03}-{}.png", page.kind.name())))?;
    }
    Ok(())
}
