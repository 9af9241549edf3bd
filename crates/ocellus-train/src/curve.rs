//! The history of a run as a picture: loss and character error rate over steps, both on logarithmic axes.

use image::{Rgb, RgbImage};
use std::path::Path;

use crate::TrainError;

const WIDTH: u32 = 960;
const HEIGHT: u32 = 480;
const MARGIN: u32 = 24;
const LOSS: Rgb<u8> = Rgb([40, 90, 200]);
const ERRORS: Rgb<u8> = Rgb([210, 60, 40]);
const GRID: Rgb<u8> = Rgb([220, 220, 220]);

/// Draws `history.jsonl` as a PNG: loss blue, error rate red, grid lines at powers of ten (1 at the heavy one).
pub fn draw(history: &Path, picture: &Path) -> Result<(), TrainError> {
    let text =
        ocellus_base::files::read_text(history, ocellus_base::limits::JSON_BYTES).map_err(|source| {
            TrainError::Io {
                path: history.into(),
                source,
            }
        })?;
    let series = |key: &str| -> Vec<(f64, f64)> {
        text.lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .filter_map(|v| Some((v["step"].as_f64()?, v[key].as_f64()?)))
            .filter(|(_, y)| *y > 0.0)
            .collect()
    };
    let image = plot(&[(LOSS, series("loss")), (ERRORS, series("character_error_rate"))]);
    let mut png = std::io::Cursor::new(Vec::new());
    let failed = |message: String| TrainError::Checkpoint {
        path: picture.into(),
        message,
    };
    image
        .write_to(&mut png, image::ImageFormat::Png)
        .map_err(|e| failed(e.to_string()))?;
    std::fs::write(picture, png.into_inner()).map_err(|source| TrainError::Io {
        path: picture.into(),
        source,
    })
}

/// Points of a line, step and value, and its colour.
type Series = (Rgb<u8>, Vec<(f64, f64)>);

fn plot(series: &[Series]) -> RgbImage {
    let mut image = RgbImage::from_pixel(WIDTH, HEIGHT, Rgb([255; 3]));
    let all = || series.iter().flat_map(|s| &s.1);
    let last = all().map(|p| p.0).fold(1.0, f64::max);
    let low = all().map(|p| p.1.log10()).fold(-1.0, f64::min).floor();
    let high = all().map(|p| p.1.log10()).fold(1.0, f64::max).ceil();
    let x = |step: f64| f64::from(MARGIN) + step / last * f64::from(WIDTH - 2 * MARGIN);
    let y = |log: f64| f64::from(MARGIN) + (high - log) / (high - low) * f64::from(HEIGHT - 2 * MARGIN);
    for decade in low as i64..=high as i64 {
        let heavy = if decade == 0 { Rgb([140; 3]) } else { GRID };
        line(
            &mut image,
            (x(0.0), y(decade as f64)),
            (x(last), y(decade as f64)),
            heavy,
        );
    }
    for (colour, points) in series {
        for pair in points.windows(2) {
            let place = |p: (f64, f64)| (x(p.0), y(p.1.log10()));
            line(&mut image, place(pair[0]), place(pair[1]), *colour);
        }
    }
    image
}

fn line(image: &mut RgbImage, from: (f64, f64), to: (f64, f64), colour: Rgb<u8>) {
    let steps = (to.0 - from.0).abs().max((to.1 - from.1).abs()).ceil().max(1.0);
    for i in 0..=steps as u32 {
        let t = f64::from(i) / steps;
        let (x, y) = (from.0 + (to.0 - from.0) * t, from.1 + (to.1 - from.1) * t);
        if x >= 0.0 && y >= 0.0 && (x as u32) < WIDTH && (y as u32) < HEIGHT {
            image.put_pixel(x as u32, y as u32, colour);
        }
    }
}
