//! What scanners, cameras, screens and encoders do to a line. Every function keeps the size of the plane.
//!
//! `strength` runs from 0 (barely visible) to 1 (the worst that a person still reads without effort).

use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;
use ocellus_media::{Gray, resize_gray};

use crate::plane::Plane;
use crate::random::Rng;

pub(crate) type Degradation = fn(&mut Plane, &mut Rng, f32);

/// Each with how often it is drawn and the smallest em, in pixels, that survives it.
pub(crate) const ALL: &[(f32, f32, Degradation)] = &[
    (1.5, 9.0, blur),
    (1.2, 9.0, noise),
    (0.4, 12.0, specks),
    (1.6, 11.0, jpeg),
    (1.3, 14.0, resample),
    (0.8, 9.0, gamma),
    (0.8, 13.0, spread),
    (0.7, 18.0, threshold),
    (0.6, 9.0, paper),
    (0.5, 9.0, fade),
    (0.3, 12.0, smear),
];

/// Draws one to three degradations that letters of `em_px` survive.
pub(crate) fn degrade(plane: &mut Plane, rng: &mut Rng, em_px: f32, difficulty: f32) {
    let weights: Vec<f32> = ALL
        .iter()
        .map(|(weight, smallest, _)| if em_px >= *smallest { *weight } else { 0.0 })
        .collect();
    let room = ((em_px - 9.0) / 12.0).clamp(0.15, 1.0);
    for _ in 0..1 + rng.weighted(&[0.5, 0.35, 0.15]) {
        let strength = rng.unit() * room * (0.4 + 0.6 * difficulty);
        ALL[rng.weighted(&weights)].2(plane, rng, strength);
    }
}

/// Gaussian blur, as of optics out of focus.
pub(crate) fn blur(plane: &mut Plane, _: &mut Rng, strength: f32) {
    let sigma = 0.3 + 0.9 * strength;
    let side = (-0.5 / (sigma * sigma)).exp();
    let far = (-2.0 / (sigma * sigma)).exp();
    let sum = 1.0 + 2.0 * (side + far);
    convolve(
        plane,
        [far / sum, side / sum, 1.0 / sum, side / sum, far / sum],
        true,
        true,
    );
}

/// Blur along the line, as of a moving camera or of coloured sub-pixels.
fn smear(plane: &mut Plane, _: &mut Rng, strength: f32) {
    let side = 0.15 + 0.18 * strength;
    convolve(plane, [0.0, side, 1.0 - 2.0 * side, side, 0.0], true, false);
}

fn convolve(plane: &mut Plane, kernel: [f32; 5], across: bool, down: bool) {
    let (width, height) = (plane.width, plane.height);
    if across {
        let mut padded = vec![0.0; width + 4];
        for y in 0..height {
            let row = plane.row(y);
            padded[2..width + 2].copy_from_slice(row);
            padded[..2].fill(row[0]);
            padded[width + 2..].fill(row[width - 1]);
            for (x, pixel) in row.iter_mut().enumerate() {
                *pixel = (0..5).map(|k| kernel[k] * padded[x + k]).sum();
            }
        }
    }
    if down {
        let source = plane.data.clone();
        let row = |y: usize| &source[y.saturating_sub(2).min(height - 1) * width..][..width];
        for y in 0..height {
            let rows: [&[f32]; 5] = std::array::from_fn(|k| row(y + k));
            for (x, pixel) in plane.row(y).iter_mut().enumerate() {
                *pixel = (0..5).map(|k| kernel[k] * rows[k][x]).sum();
            }
        }
    }
}

/// Independent noise of a sensor.
pub(crate) fn noise(plane: &mut Plane, rng: &mut Rng, strength: f32) {
    let sigma = 0.01 + 0.06 * strength;
    for pixel in &mut plane.data {
        *pixel += sigma * rng.normal();
    }
}

/// Single dark or light pixels.
pub(crate) fn specks(plane: &mut Plane, rng: &mut Rng, strength: f32) {
    let count = (plane.data.len() as f32 * (0.0003 + 0.003 * strength)) as usize + 1;
    for _ in 0..count {
        let at = rng.below(plane.data.len());
        plane.data[at] = if rng.chance(0.5) { 0.0 } else { 1.0 };
    }
}

/// A trip through a JPEG file.
pub(crate) fn jpeg(plane: &mut Plane, rng: &mut Rng, strength: f32) {
    let quality = (92.0 - 62.0 * strength - rng.between(0.0, 6.0)) as u8;
    let gray = plane.to_gray();
    let mut file = Vec::new();
    let encoded = JpegEncoder::new_with_quality(&mut file, quality).encode(
        &gray.data,
        gray.width,
        gray.height,
        ExtendedColorType::L8,
    );
    // Neither step can fail on a picture of this size; if one does, the picture stays as it is.
    if encoded.is_ok()
        && let Ok(decoded) = image::load_from_memory_with_format(&file, image::ImageFormat::Jpeg)
    {
        plane.replace(decoded.to_luma8().as_raw());
    }
}

/// Smaller and back: a screenshot of a scaled picture.
fn resample(plane: &mut Plane, _: &mut Rng, strength: f32) {
    let factor = 0.92 - 0.38 * strength;
    let gray = plane.to_gray();
    let small = |side: u32| ((side as f32 * factor) as u32).max(2);
    let less: Gray = resize_gray(&gray, small(gray.width), small(gray.height));
    plane.replace(&resize_gray(&less, gray.width, gray.height).data);
}

fn gamma(plane: &mut Plane, rng: &mut Rng, strength: f32) {
    let exponent = (1.0 + 0.7 * strength).powf(if rng.chance(0.5) { 1.0 } else { -1.0 });
    for pixel in &mut plane.data {
        *pixel = pixel.clamp(0.0, 1.0).powf(exponent);
    }
}

/// Ink that runs, or is worn away: the mean of a pixel and the darkest or lightest of its neighbours.
pub(crate) fn spread(plane: &mut Plane, rng: &mut Rng, strength: f32) {
    let darker = rng.chance(0.6);
    let part = if darker {
        0.2 + 0.5 * strength
    } else {
        0.1 + 0.3 * strength
    };
    let (width, height) = (plane.width, plane.height);
    let source = plane.data.clone();
    let choose = |a: f32, b: f32| if darker { a.min(b) } else { a.max(b) };
    for y in 0..height {
        let (up, down) = (y.saturating_sub(1) * width, (y + 1).min(height - 1) * width);
        for x in 0..width {
            let (left, right) = (
                y * width + x.saturating_sub(1),
                y * width + (x + 1).min(width - 1),
            );
            let extreme = choose(
                choose(source[left], source[right]),
                choose(source[up + x], source[down + x]),
            );
            let pixel = &mut plane.data[y * width + x];
            *pixel += (choose(extreme, *pixel) - *pixel) * part;
        }
    }
}

/// Black and white only, as from a fax or a copier.
pub(crate) fn threshold(plane: &mut Plane, rng: &mut Rng, strength: f32) {
    let (low, high) = plane
        .data
        .iter()
        .fold((f32::MAX, f32::MIN), |(l, h), &v| (l.min(v), h.max(v)));
    let at = low + (high - low) * (0.5 + 0.16 * strength * rng.between(-1.0, 1.0));
    for pixel in &mut plane.data {
        *pixel = if *pixel < at { low } else { high };
    }
}

/// Paper that is not even: slow changes and grain.
pub(crate) fn paper(plane: &mut Plane, rng: &mut Rng, strength: f32) {
    let amplitude = 0.02 + 0.08 * strength;
    let cell = rng.int(5, 24);
    let columns = plane.width / cell + 2;
    let knots: Vec<f32> = (0..columns * (plane.height / cell + 2))
        .map(|_| amplitude * rng.normal())
        .collect();
    for y in 0..plane.height {
        let (j, v) = (y / cell, (y % cell) as f32 / cell as f32);
        for (x, pixel) in plane.row(y).iter_mut().enumerate() {
            let (i, u) = (x / cell, (x % cell) as f32 / cell as f32);
            let at = |i: usize, j: usize| knots[j * columns + i];
            let top = at(i, j) + (at(i + 1, j) - at(i, j)) * u;
            let bottom = at(i, j + 1) + (at(i + 1, j + 1) - at(i, j + 1)) * u;
            *pixel += top + (bottom - top) * v;
        }
    }
}

/// Less contrast.
pub(crate) fn fade(plane: &mut Plane, rng: &mut Rng, strength: f32) {
    let keep = 1.0 - 0.55 * strength;
    let towards = rng.between(0.3, 1.0);
    for pixel in &mut plane.data {
        *pixel = towards + (*pixel - towards) * keep;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_degradation_keeps_the_size_and_stays_readable() {
        for (i, (_, _, degradation)) in ALL.iter().enumerate() {
            for (width, height) in [(60, 24), (7, 11), (9, 9)] {
                for strength in [0.0, 1.0] {
                    let mut rng = Rng::stream(3, i as u64);
                    let mut plane = Plane::filled(width, height, 1.0);
                    // A bar of ink in the middle.
                    plane.rectangle(2.0, 3.0, width as f32 - 2.0, height as f32 - 3.0, 0.0);
                    degradation(&mut plane, &mut rng, strength);
                    assert_eq!(
                        (plane.width, plane.height, plane.data.len()),
                        (width, height, width * height),
                        "{i}"
                    );
                    assert!(plane.data.iter().all(|v| v.is_finite()), "degradation {i}");
                    let (ink, ground) = (plane.data[height / 2 * width + width / 2], plane.data[0]);
                    assert!(
                        ground - ink > 0.25,
                        "degradation {i} at {strength}: ink {ink}, ground {ground}"
                    );
                }
            }
        }
    }
}
