//! How fast picture files become patches, on one core.

use std::io::Cursor;

use image::codecs::{jpeg::JpegEncoder, png::PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use ocellus_base::clock::Clock;
use ocellus_media::Rgb;
use ocellus_session::{PixelBounds, Session};

use crate::error::BenchError;
use crate::median::median;

/// Quality of the JPEG file that is read.
const JPEG_QUALITY: u8 = 90;

/// Pixels of the file a second, in millions: decoding, resizing, normalising and cutting into patches.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Intake {
    pub png_mpx_s: f64,
    pub jpeg_mpx_s: f64,
}

/// Writes the picture as files in memory and reads each `runs` times on one thread.
pub fn intake(
    session: &Session,
    picture: &Rgb,
    bounds: PixelBounds,
    runs: usize,
    clock: &dyn Clock,
) -> Result<Intake, BenchError> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .map_err(BenchError::Thread)?;
    let rate = |file: Vec<u8>| -> Result<f64, BenchError> {
        let mut seconds = Vec::with_capacity(runs);
        for _ in 0..runs {
            let started = clock.now_ns();
            pool.install(|| session.picture(&file, bounds))?;
            seconds.push((clock.now_ns() - started) as f64 / 1e9);
        }
        Ok(f64::from(picture.width) * f64::from(picture.height) / 1e6 / median(seconds))
    };
    Ok(Intake {
        png_mpx_s: rate(png(picture)?)?,
        jpeg_mpx_s: rate(jpeg(picture)?)?,
    })
}

fn png(picture: &Rgb) -> Result<Vec<u8>, BenchError> {
    let mut file = Vec::new();
    write(PngEncoder::new(&mut file), picture)?;
    Ok(file)
}

fn jpeg(picture: &Rgb) -> Result<Vec<u8>, BenchError> {
    let mut file = Cursor::new(Vec::new());
    write(JpegEncoder::new_with_quality(&mut file, JPEG_QUALITY), picture)?;
    Ok(file.into_inner())
}

fn write(encoder: impl ImageEncoder, picture: &Rgb) -> Result<(), BenchError> {
    encoder.write_image(
        &picture.data,
        picture.width,
        picture.height,
        ExtendedColorType::Rgb8,
    )?;
    Ok(())
}
