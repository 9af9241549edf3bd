//! Where the time from picture files to patches goes: `RAYON_NUM_THREADS=1 intake_speed FILE...` prints milliseconds, the best of
//! fifteen, in the columns of `tools/peers/intake_transformers.py`.

use std::time::Instant;

use ocellus_media::{Limits, Recipe, decode, patchify_exact, resize, smart_resize};

const RUNS: usize = 15;

fn main() {
    let recipe = Recipe::default();
    println!("program,file,decode_ms,resize_ms,patches_ms,whole_ms");
    for path in std::env::args().skip(1) {
        let bytes = std::fs::read(&path).expect("a file");
        let mut best = [f64::INFINITY; 4];
        for _ in 0..RUNS {
            let started = Instant::now();
            let picture = decode(&bytes, &Limits::default()).expect("a picture").image;
            let decoded = started.elapsed();
            let (height, width) = smart_resize(
                picture.height,
                picture.width,
                recipe.factor(),
                recipe.min_pixels,
                recipe.max_pixels,
            )
            .expect("a size");
            let fits = (width, height) == (picture.width, picture.height);
            let picture = if fits {
                picture
            } else {
                resize(&picture, width, height)
            };
            let resized = started.elapsed();
            let patches = patchify_exact(&picture, &recipe).expect("patches");
            let whole = started.elapsed();
            std::hint::black_box(patches);
            for (best, this) in best
                .iter_mut()
                .zip([decoded, resized - decoded, whole - resized, whole])
            {
                *best = best.min(this.as_secs_f64() * 1e3);
            }
        }
        let [decode, resize, patches, whole] = best;
        println!("ocellus,{path},{decode:.2},{resize:.2},{patches:.2},{whole:.2}");
    }
}
