//! Antialiased resize in fixed point, equal to that of Pillow 13 to the last bit, and for frames of videos to that of torchvision.
//!
//! The filter is Keys' cubic with a = -1/2 (R. Keys, *Cubic convolution interpolation for digital image
//! processing*, 1981), or the triangle of linear interpolation. When a picture shrinks, the filter is stretched by
//! the same factor, so that every source pixel counts. Rows are filtered first, then columns, or the other way round (see [`columns_first`]); each pass rounds
//! to 8 bits. Weights are integers with 22 fractional bits. References resize the frames of a video as torchvision does, which
//! filters rows first always and has weights of 16 bits (see [`Rounding`]).
//!
//! Both passes are the same sum, [`blend`]: some lanes of one place, times a weight, plus the same lanes of the
//! next place. For columns the lanes are neighbours in a row. For rows a band of rows is first turned on its side,
//! so that equal columns of different rows become neighbours. That keeps the inner loop free of shuffles and lets
//! the compiler use whatever vectors the processor has.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use crate::{Gray, Rgb};

/// Most fractional bits of a weight: 32 bits less 8 of the pixel, less 2 for the sign and the overshoot.
const WEIGHT_BITS: u32 = 32 - 8 - 2;
/// Columns per step of the vertical pass.
const LANES: usize = 32;
/// Lines of the result that go through both passes before the next ones do: what lies between the passes stays in a core's own
/// cache.
const STRIP: usize = 64;
/// Bytes of the result below which threads cost more than they bring.
const PARALLEL_BYTES: usize = 1 << 17;

/// Whose last bit a result has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rounding {
    /// Pillow 13: weights of 22 fractional bits, the pass that loses more lines first.
    Pillow,
    /// Torchvision on tensors of bytes: weights that fit 16 bits, rows always first.
    Torchvision,
}

/// How a pixel's weight falls with its distance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Falloff {
    Cubic,
    Linear,
}

impl Falloff {
    /// Distance from its centre at which the filter ends, in pixels of the larger picture.
    fn support(self) -> f64 {
        match self {
            Self::Cubic => 2.0,
            Self::Linear => 1.0,
        }
    }

    fn weight(self, distance: f64) -> f64 {
        match self {
            Self::Cubic => cubic(distance),
            Self::Linear => (1.0 - distance.abs()).max(0.0),
        }
    }
}

/// Resizes an RGB picture with the cubic filter. Both sides must be at least 1, before and after.
pub fn resize(image: &Rgb, width: u32, height: u32) -> Rgb {
    resize_by(image, Falloff::Cubic, width, height)
}

/// Resizes an RGB picture with a filter of choice. Both sides must be at least 1, before and after.
pub(crate) fn resize_by(image: &Rgb, falloff: Falloff, width: u32, height: u32) -> Rgb {
    let size = (image.width, image.height);
    // 8 rows of 3 channels: 24 lanes, in 32 bytes.
    Rgb {
        width,
        height,
        data: resample::<3, 8, 24, 32>(&image.data, (falloff, Rounding::Pillow), size, (width, height)),
    }
}

/// Resizes a frame of a video with the cubic filter, as torchvision resizes bytes. Both sides must be at least 1, before and after.
pub(crate) fn resize_frame(image: &Rgb, width: u32, height: u32) -> Rgb {
    let how = (Falloff::Cubic, Rounding::Torchvision);
    let size = (image.width, image.height);
    Rgb {
        width,
        height,
        data: resample::<3, 8, 24, 32>(&image.data, how, size, (width, height)),
    }
}

/// Resizes a grey picture with the cubic filter. Both sides must be at least 1, before and after.
pub fn resize_gray(image: &Gray, width: u32, height: u32) -> Gray {
    let size = (image.width, image.height);
    Gray {
        width,
        height,
        data: resample::<1, 16, 16, 16>(
            &image.data,
            (Falloff::Cubic, Rounding::Pillow),
            size,
            (width, height),
        ),
    }
}

fn resample<const CHANNELS: usize, const ROWS: usize, const BAND: usize, const PITCH: usize>(
    source: &[u8],
    (falloff, rounding): (Falloff, Rounding),
    from: (u32, u32),
    to: (u32, u32),
) -> Vec<u8> {
    assert!(
        to.0 > 0 && to.1 > 0,
        "cannot resize to {} x {} px: both sides must be at least 1",
        to.0,
        to.1
    );
    assert!(
        from.0 > 0 && from.1 > 0,
        "cannot resize from {} x {} px: the picture is empty",
        from.0,
        from.1
    );
    let expected = from.0 as usize * from.1 as usize * CHANNELS;
    assert_eq!(
        source.len(),
        expected,
        "the buffer must hold width x height x {CHANNELS} bytes"
    );

    let across = (from.0 != to.0).then(|| Windows::new(falloff, rounding, from.0, to.0));
    let down = (from.1 != to.1).then(|| Windows::new(falloff, rounding, from.1, to.1));
    let (from_stride, to_stride) = (from.0 as usize * CHANNELS, to.0 as usize * CHANNELS);
    let arch = Arch::new();
    let mut out = vec![0u8; to.1 as usize * to_stride];

    let part = |lines: &Range<usize>| &source[lines.start * from_stride..lines.end * from_stride];
    let strip = |(between, band): &mut (Vec<u8>, Band<PITCH>), (index, out): (usize, &mut [u8])| {
        let lines = index * STRIP..index * STRIP + out.len() / to_stride;
        let rows = |windows: &Windows, source: &[u8], out: &mut [u8], band: &mut Band<PITCH>| {
            filter_rows::<CHANNELS, ROWS, BAND, PITCH>(
                arch,
                windows,
                (source, from_stride),
                (out, to_stride),
                band,
            );
        };
        match (&across, &down) {
            (None, None) => out.copy_from_slice(part(&lines)),
            (Some(across), None) => rows(across, part(&lines), out, band),
            (None, Some(down)) => filter_columns(arch, down, lines, (source, 0), (out, to_stride)),
            (Some(across), Some(down)) if rounding == Rounding::Pillow && columns_first(from, to) => {
                between.resize(lines.len() * from_stride, 0);
                filter_columns(arch, down, lines, (source, 0), (between, from_stride));
                rows(across, between, out, band);
            }
            (Some(across), Some(down)) => {
                let needed = down.needed(lines.clone());
                between.resize(needed.len() * to_stride, 0);
                rows(across, part(&needed), between, band);
                filter_columns(arch, down, lines, (between, needed.start), (out, to_stride));
            }
        }
    };
    if out.len() >= PARALLEL_BYTES {
        let strips = out.par_chunks_mut(to_stride * STRIP).enumerate();
        strips.for_each_init(Default::default, strip);
    } else {
        let mut scratch = Default::default();
        let strips = out.chunks_mut(to_stride * STRIP).enumerate();
        strips.for_each(|nth| strip(&mut scratch, nth));
    }
    out
}

/// Whether the vertical pass comes first. It matters to the last bit, because each pass rounds and clips.
///
/// Pillow up to 12 filters rows first, always. Pillow 13 filters columns first where that loses clearly more lines
/// than filtering rows would lose columns; the factor 2 was found by trying, and holds in 6,000 random cases.
fn columns_first(from: (u32, u32), to: (u32, u32)) -> bool {
    let lost = |from: u32, to: u32| i64::from(from) - i64::from(to);
    to.1 < from.1 && lost(from.1, to.1) > 2 * lost(from.0, to.0)
}

/// Some rows on their way through the horizontal pass.
#[derive(Default)]
struct Band<const PITCH: usize> {
    /// Transposed: `[columns, rows, channels]`, each column padded to `PITCH`.
    sideways: Vec<[u8; PITCH]>,
    /// Filtered and upright again, a line after the other, with room behind each for the byte too many of its last pixel.
    upright: Vec<u8>,
}

/// The horizontal pass over whole lines, given with the bytes that one takes.
fn filter_rows<const CHANNELS: usize, const ROWS: usize, const BAND: usize, const PITCH: usize>(
    arch: Arch,
    windows: &Windows,
    (source, from_stride): (&[u8], usize),
    (out, to_stride): (&mut [u8], usize),
    Band { sideways, upright }: &mut Band<PITCH>,
) {
    const { assert!(BAND == CHANNELS * ROWS && BAND + CHANNELS / 2 <= PITCH) };
    let pitch = to_stride + 1;
    sideways.resize(from_stride / CHANNELS, [0; PITCH]);
    upright.resize(pitch * ROWS, 0);
    let bands = source
        .chunks(from_stride * ROWS)
        .zip(out.chunks_mut(to_stride * ROWS));
    for (source, out) in bands {
        // A band of fewer rows repeats its last.
        let last = source.len() / from_stride - 1;
        turn::<CHANNELS, ROWS, PITCH>(
            std::array::from_fn(|row| &source[row.min(last) * from_stride..][..from_stride]),
            sideways,
        );
        arch.dispatch(Wide(
            #[inline(always)]
            || {
                let mut lines = upright.chunks_exact_mut(pitch);
                let mut lines: [_; ROWS] = std::array::from_fn(|_| lines.next().expect("ROWS lines"));
                let mut levels = [0u8; PITCH];
                for x in 0..to_stride / CHANNELS {
                    let (first, weights) = windows.at(x);
                    let places = sideways[first..].as_flattened();
                    levels[..BAND].copy_from_slice(&blend::<BAND>(places, PITCH, weights, windows.bits));
                    for (row, line) in lines.iter_mut().enumerate() {
                        move_pixel::<CHANNELS>(&mut line[x * CHANNELS..], &levels[row * CHANNELS..]);
                    }
                }
            },
        ));
        for (out, line) in out.chunks_exact_mut(to_stride).zip(upright.chunks_exact(pitch)) {
            out.copy_from_slice(&line[..to_stride]);
        }
    }
}

/// Writes the pixels of each column beside each other. Column by column, since the places of a whole line are more than fit the
/// nearest cache.
#[inline(always)]
fn turn<const CHANNELS: usize, const ROWS: usize, const PITCH: usize>(
    lines: [&[u8]; ROWS],
    columns: &mut [[u8; PITCH]],
) {
    for (x, column) in columns.iter_mut().enumerate() {
        for (row, line) in lines.iter().enumerate() {
            move_pixel::<CHANNELS>(&mut column[row * CHANNELS..], &line[x * CHANNELS..]);
        }
    }
}

/// Copies the first pixel. Three bytes go as four where there is room: that is one move instead of two, and the
/// byte too many is overwritten by the pixel that comes next, or lies in padding.
#[inline(always)]
fn move_pixel<const CHANNELS: usize>(to: &mut [u8], from: &[u8]) {
    if CHANNELS == 3
        && let (Some(to), Some(from)) = (to.first_chunk_mut::<4>(), from.first_chunk::<4>())
    {
        *to = *from;
    } else {
        to[..CHANNELS].copy_from_slice(&from[..CHANNELS]);
    }
}

/// The vertical pass for some lines of the result, from the lines of a picture from `above` on, all of `stride` bytes.
fn filter_columns(
    arch: Arch,
    windows: &Windows,
    lines: Range<usize>,
    (source, above): (&[u8], usize),
    (out, stride): (&mut [u8], usize),
) {
    for (y, line) in lines.zip(out.chunks_exact_mut(stride)) {
        let (first, weights) = windows.at(y);
        let source = &source[(first - above) * stride..];
        arch.dispatch(Wide(
            #[inline(always)]
            || {
                let mut columns = line.chunks_exact_mut(LANES);
                let mut at = 0;
                for chunk in &mut columns {
                    chunk.copy_from_slice(&blend::<LANES>(&source[at..], stride, weights, windows.bits));
                    at += LANES;
                }
                for level in columns.into_remainder() {
                    [*level] = blend::<1>(&source[at..], stride, weights, windows.bits);
                    at += 1;
                }
            },
        ));
    }
}

/// Work that is compiled once per set of vector instructions. (A bare closure would do, but the call through
/// `FnOnce` is not always inlined, and what is not inlined is compiled for the oldest processor.)
struct Wide<F>(F);

impl<F: FnMut()> WithSimd for Wide<F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _: S) {
        (self.0)();
    }
}

/// The weighted sum of `N` lanes over places `stride` bytes apart, one per weight, rounded and clipped to 8 bits.
#[inline(always)]
fn blend<const N: usize>(source: &[u8], stride: usize, weights: &[i32], bits: u32) -> [u8; N] {
    // Cannot overflow: a weight is below 2^bits * 1.2, a level below 2^8, the weights of a place sum to 2^bits, and bits is at
    // most 22. Half of a level is added, so that the shift rounds.
    let mut sums = [1 << (bits - 1); N];
    for (place, &weight) in weights.iter().enumerate() {
        let levels = &source[place * stride..][..N];
        for lane in 0..N {
            sums[lane] += i32::from(levels[lane]) * weight;
        }
    }
    let mut out = [0u8; N];
    for lane in 0..N {
        out[lane] = (sums[lane] >> bits).clamp(0, 255) as u8;
    }
    out
}

/// For every output position: the first source position it draws from, and the weights from there on.
struct Windows {
    /// (first source position, number of weights)
    spans: Vec<(usize, usize)>,
    /// `taps` weights per output position; those after the span are unused.
    weights: Vec<i32>,
    taps: usize,
    /// Fractional bits of the weights.
    bits: u32,
}

impl Windows {
    fn new(falloff: Falloff, rounding: Rounding, from: u32, to: u32) -> Self {
        let scale = f64::from(from) / f64::from(to);
        let stretch = scale.max(1.0);
        let support = falloff.support() * stretch;
        let taps = support.ceil() as usize * 2 + 1;
        let mut spans = Vec::with_capacity(to as usize);
        let mut exact = vec![0.0; to as usize * taps];
        for (place, exact) in exact.chunks_exact_mut(taps).enumerate() {
            let centre = (place as f64 + 0.5) * scale;
            // Casts cut towards zero, as the reference does.
            let first = (centre - support + 0.5).max(0.0) as usize;
            let end = ((centre + support + 0.5) as usize).min(from as usize);
            let count = end - first;
            let inverse = 1.0 / stretch;
            let mut total = 0.0;
            for (tap, weight) in exact[..count].iter_mut().enumerate() {
                *weight = falloff.weight(((tap + first) as f64 - centre + 0.5) * inverse);
                total += *weight;
            }
            if total != 0.0 {
                exact[..count].iter_mut().for_each(|weight| *weight /= total);
            }
            spans.push((first, count));
        }
        let bits = match rounding {
            Rounding::Pillow => WEIGHT_BITS,
            Rounding::Torchvision => bits_of_words(&exact),
        };
        let fixed = |exact: &f64| {
            let half = if *exact < 0.0 { -0.5 } else { 0.5 };
            (half + exact * f64::from(1u32 << bits)) as i32
        };
        Self {
            spans,
            weights: exact.iter().map(fixed).collect(),
            taps,
            bits,
        }
    }

    /// The source positions that these outputs draw from. Windows move in one direction only.
    fn needed(&self, places: Range<usize>) -> Range<usize> {
        let (first, _) = self.spans[places.start];
        let (last, count) = self.spans[places.end - 1];
        first..last + count
    }

    #[inline(always)]
    fn at(&self, place: usize) -> (usize, &[i32]) {
        let (first, count) = self.spans[place];
        (first, &self.weights[place * self.taps..][..count])
    }
}

/// The fractional bits with which the largest of these weights just fits 16 bits with a sign.
fn bits_of_words(weights: &[f64]) -> u32 {
    let largest = weights
        .iter()
        .fold(0.0f64, |largest, weight| largest.max(*weight));
    let fits = |bits: &u32| 0.5 + largest * f64::from(1u32 << (bits + 1)) < f64::from(1 << 15);
    (0..WEIGHT_BITS).find(|bits| !fits(bits)).unwrap_or(WEIGHT_BITS)
}

/// Keys' cubic at distance `x`, with a = -1/2.
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests;
