//! Writes a PNG with N samples below each other and their texts beside it in a .txt.
//!
//!     contact_sheet FONTS CORPUS OUT.png [COUNT] [SEED] [MAX_CELLS] [DIFFICULTY] [CHARACTERS.txt] [pages]
//!
//! With `pages` the samples are cut from drawn pages.

use std::path::PathBuf;

use ocellus_synth::{Corpus, Curriculum, Fonts, Synth, charset};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [fonts, corpus, out, ..] = &args[..] else {
        return Err(
            "usage: contact_sheet FONTS CORPUS OUT.png [COUNT] [SEED] [MAX_CELLS] [DIFFICULTY]".into(),
        );
    };
    let number = |i: usize, default: f64| args.get(i).map_or(Ok(default), |a| a.parse::<f64>());
    let (count, seed, cells) = (
        number(3, 40.0)? as u64,
        number(4, 1.0)? as u64,
        number(5, 16.0)? as usize,
    );
    let curriculum = Curriculum {
        min_chars: 1,
        max_chars: 3 * cells,
        max_cells: cells,
        difficulty: number(6, 1.0)? as f32,
    };
    let started = std::time::Instant::now();
    let mut characters = match args.get(7) {
        Some(path) => std::fs::read_to_string(path)?.chars().collect(),
        None => charset::latin(),
    };
    characters.sort_unstable();
    let fonts = Fonts::load(&[PathBuf::from(fonts)], &characters)?;
    let corpus = Corpus::load(&[PathBuf::from(corpus)], &characters)?;
    println!(
        "{} faces, {} lines, loaded in {:?}",
        fonts.faces().len(),
        corpus.lines(),
        started.elapsed()
    );
    let synth = Synth::new(fonts, corpus, characters, seed);

    let started = std::time::Instant::now();
    let samples: Vec<_> = if args.get(8).is_some_and(|a| a == "pages") {
        let cut = (0..).flat_map(|i| synth.cut(i, &curriculum).into_iter().take(6));
        cut.take(count as usize).collect()
    } else {
        (0..count).map(|i| synth.sample(i, &curriculum)).collect()
    };
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{count} samples in {seconds:.2} s: {:.0} per second",
        count as f64 / seconds
    );

    let (width, pitch) = (cells as u32 * 28, 32);
    let mut sheet = image::GrayImage::from_pixel(
        2 * width + 16,
        pitch * (count as u32).div_ceil(2),
        image::Luma([200]),
    );
    let mut texts = String::new();
    for (i, sample) in (0u32..).zip(&samples) {
        let strip =
            image::GrayImage::from_raw(sample.image.width, sample.image.height, sample.image.data.clone());
        let strip = strip.ok_or("a sample's size does not match its data")?;
        image::imageops::replace(
            &mut sheet,
            &strip,
            i64::from(i % 2 * (width + 16)),
            i64::from(i / 2 * pitch),
        );
        texts += &format!("{i}\t{}\n", sample.text);
    }
    sheet.save(out)?;
    std::fs::write(PathBuf::from(out).with_extension("txt"), texts)?;
    Ok(())
}
