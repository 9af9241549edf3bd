//! Kinds of TIFF page that the general decoder refuses: fax codings, palettes, YCbCr, grey with further samples, grey of
//! two or four bits, and JPEG data of the old style.

use image::metadata::Orientation;
use image::{DynamicImage, GrayAlphaImage, GrayImage, ImageBuffer, ImageFormat, LumaA, RgbImage};
use tiff::ColorType;
use tiff::decoder::{Decoder, DecodingResult};
use tiff::tags::{ExtraSamples, Tag};

use crate::fax::{self, Coding};
use crate::tiff_pages::View;

const FAX_OPTIONS: Tag = Tag::Unknown(292);
const JPEG_START: Tag = Tag::Unknown(513);
const JPEG_LENGTH: Tag = Tag::Unknown(514);

/// Why a page cannot be read.
pub(crate) enum Refusal {
    Unsupported(String),
    TooMuchMemory(String),
    Damaged(String),
}

impl From<tiff::TiffError> for Refusal {
    fn from(error: tiff::TiffError) -> Self {
        match error {
            tiff::TiffError::UnsupportedError(what) => Self::Unsupported(what.to_string()),
            tiff::TiffError::LimitsExceeded => Self::TooMuchMemory("a larger buffer".into()),
            other => Self::Damaged(other.to_string()),
        }
    }
}

enum Kind {
    Fax(Coding),
    /// A whole JPEG file at an offset.
    Jpeg,
    Palette,
    YCbCr,
    /// Grey of one sample and two or four bits.
    Grey,
    /// Grey of several samples, the second of which may be alpha.
    GreyAndMore,
}

/// A page of one of these kinds, its pixels not yet decoded.
pub(crate) struct TiffPage<'a> {
    bytes: &'a [u8],
    directory: u64,
    decoder: Decoder<View<'a>>,
    kind: Kind,
    /// Width and height, px.
    pub(crate) size: (u32, u32),
    pub(crate) orientation: Orientation,
}

impl<'a> TiffPage<'a> {
    /// The page at `directory`; `None` if it is of a kind for the general decoder, or damaged.
    pub(crate) fn of(bytes: &'a [u8], directory: u64) -> Option<Self> {
        let mut decoder = Decoder::new(View::of_page(bytes, directory)?).ok()?;
        let mut short = |tag, default: u16| decoder.find_tag_unsigned(tag).ok().flatten().unwrap_or(default);
        let (photometric, samples) = (
            short(Tag::PhotometricInterpretation, 0),
            short(Tag::SamplesPerPixel, 1),
        );
        let orientation = short(Tag::Orientation, 1).min(255) as u8;
        let mixed = short(FAX_OPTIONS, 0) & 1 == 1;
        let reversed = short(Tag::FillOrder, 1) == 2;
        let compression = short(Tag::Compression, 1);
        let bits = decoder
            .find_tag_unsigned_vec::<u16>(Tag::BitsPerSample)
            .ok()
            .flatten();
        let bits = bits.and_then(|bits| bits.first().copied()).unwrap_or(1);
        let kind = match (compression, photometric) {
            (2, _) => Kind::Fax(Coding::Huffman),
            (3, _) if mixed => Kind::Fax(Coding::Group3Mixed),
            (3, _) => Kind::Fax(Coding::Group3),
            (4, _) if reversed => Kind::Fax(Coding::Group4),
            (6, _) if decoder.find_tag(JPEG_START).ok().flatten().is_some() => Kind::Jpeg,
            (6, _) => return None,
            (_, 3) => Kind::Palette,
            (_, 6) => Kind::YCbCr,
            (_, 0 | 1) if samples > 1 => Kind::GreyAndMore,
            (_, 0 | 1) if bits == 2 || bits == 4 => Kind::Grey,
            _ => return None,
        };
        let size = decoder.dimensions().ok()?;
        Some(Self {
            bytes,
            directory,
            decoder,
            kind,
            size,
            orientation: Orientation::from_exif(orientation).unwrap_or(Orientation::NoTransforms),
        })
    }

    /// The pixels as stored. No buffer is larger than `most` bytes.
    pub(crate) fn decode(mut self, most: u64) -> Result<DynamicImage, Refusal> {
        let pixels = u64::from(self.size.0) * u64::from(self.size.1);
        // Samples of 16 bits, and what they become.
        let needed = pixels
            * if matches!(self.kind, Kind::GreyAndMore) {
                8
            } else {
                4
            };
        if needed > most {
            return Err(Refusal::TooMuchMemory(format!("{needed} bytes")));
        }
        let limits = || {
            let mut limits = tiff::decoder::Limits::default();
            limits.decoding_buffer_size = usize::try_from(most).unwrap_or(usize::MAX);
            limits.intermediate_buffer_size = limits.decoding_buffer_size;
            limits.ifd_value_size = limits.decoding_buffer_size;
            limits
        };
        self.decoder = self.decoder.with_limits(limits());
        match self.kind {
            Kind::Fax(coding) => self.fax(coding),
            Kind::Jpeg => self.jpeg(most),
            Kind::Palette => {
                let colours = self.decoder.get_tag_u16_vec(Tag::ColorMap)?;
                // The indices are read as if they were levels.
                const BLACK_IS_ZERO: u16 = 1;
                let view = View::of_page(self.bytes, self.directory);
                let view = view.ok_or_else(|| damaged("no directory"))?;
                let view = view.with_short(Tag::PhotometricInterpretation.to_u16(), BLACK_IS_ZERO);
                let mut decoder = Decoder::new(view)?.with_limits(limits());
                let indices = unpacked(&mut decoder, self.size)?;
                paint(&indices, &colours, self.size)
            }
            Kind::YCbCr => match (self.decoder.colortype()?, self.decoder.read_image()?) {
                (ColorType::YCbCr(8), DecodingResult::U8(levels)) if !self.is_planar() => {
                    let levels = levels.as_chunks::<3>().0.iter().flat_map(rgb_of_ycbcr).collect();
                    rgb(self.size, levels)
                }
                (found, _) => Err(Refusal::Unsupported(format!("{found:?}"))),
            },
            Kind::Grey => {
                let bits = self.decoder.colortype()?.bit_depth();
                let top = (1u16 << bits) - 1;
                let levels = unpacked(&mut self.decoder, self.size)?;
                let levels = levels
                    .iter()
                    .map(|&level| (u16::from(level) * 255 / top) as u8)
                    .collect();
                GrayImage::from_raw(self.size.0, self.size.1, levels)
                    .map(DynamicImage::ImageLuma8)
                    .ok_or_else(|| damaged("rows are missing"))
            }
            Kind::GreyAndMore => self.grey_and_more(),
        }
    }

    fn is_planar(&mut self) -> bool {
        let planes = self.decoder.find_tag_unsigned::<u16>(Tag::PlanarConfiguration);
        planes.ok().flatten() == Some(2)
    }

    fn fax(&mut self, coding: Coding) -> Result<DynamicImage, Refusal> {
        let (width, height) = self.size;
        let row_px = u16::try_from(width).map_err(|_| damaged("the rows are too long"))?;
        let starts = self.decoder.get_tag_u64_vec(Tag::StripOffsets)?;
        let lengths = self.decoder.get_tag_u64_vec(Tag::StripByteCounts)?;
        let rows = self.decoder.find_tag_unsigned::<u32>(Tag::RowsPerStrip)?;
        let rows = rows.unwrap_or(height).clamp(1, height);
        let white_is_zero = self.decoder.get_tag_u32(Tag::PhotometricInterpretation)? == 0;
        let reversed = self.decoder.find_tag_unsigned::<u16>(Tag::FillOrder)? == Some(2);
        let mut levels = Vec::with_capacity(width as usize * height as usize);
        let mut left = height;
        for (start, length) in starts.into_iter().zip(lengths) {
            let end = start.saturating_add(length).min(self.bytes.len() as u64) as usize;
            let data = self.bytes.get(start as usize..end);
            let data = data.ok_or_else(|| damaged("a strip lies outside the file"))?;
            let turned: Vec<u8>;
            let data = if reversed {
                turned = data.iter().map(|byte| byte.reverse_bits()).collect();
                &turned
            } else {
                data
            };
            let level = |is_black: bool| if is_black == white_is_zero { 0 } else { 255 };
            let here = rows.min(left);
            fax::decode(data, coding, row_px, here, |row| levels.extend(row.map(level)))
                .ok_or_else(|| damaged("fax rows are missing or make no sense"))?;
            left -= here;
        }
        GrayImage::from_raw(width, height, levels)
            .map(DynamicImage::ImageLuma8)
            .ok_or_else(|| damaged("strips are missing"))
    }

    fn jpeg(&mut self, most: u64) -> Result<DynamicImage, Refusal> {
        let start = self.decoder.get_tag_u64(JPEG_START)? as usize;
        let length = self.decoder.find_tag_unsigned::<u64>(JPEG_LENGTH)?;
        let rest = self.bytes.get(start..).unwrap_or_default();
        let length = length.map_or(rest.len(), |length| rest.len().min(length as usize));
        let mut reader =
            image::ImageReader::with_format(std::io::Cursor::new(&rest[..length]), ImageFormat::Jpeg);
        let mut bounds = image::Limits::default();
        (bounds.max_image_width, bounds.max_image_height) = (Some(self.size.0), Some(self.size.1));
        bounds.max_alloc = Some(most);
        reader.limits(bounds);
        reader.decode().map_err(|error| damaged(&error.to_string()))
    }

    fn grey_and_more(&mut self) -> Result<DynamicImage, Refusal> {
        let unknown = |found| Refusal::Unsupported(format!("{found:?}"));
        let found = self.decoder.colortype()?;
        let ColorType::Multiband { num_samples, .. } = found else {
            return Err(unknown(found));
        };
        if self.is_planar() {
            return Err(unknown(found));
        }
        let extra = self.decoder.find_tag_unsigned_vec::<u16>(Tag::ExtraSamples)?;
        let extra = extra.and_then(|extra| ExtraSamples::from_u16(*extra.first()?));
        let has_alpha = matches!(
            extra,
            Some(ExtraSamples::AssociatedAlpha | ExtraSamples::UnassociatedAlpha)
        );
        let samples = usize::from(num_samples);
        let picture = match self.decoder.read_image()? {
            DecodingResult::U8(levels) => {
                let pixels = levels.chunks_exact(samples);
                let pixels = pixels.flat_map(|pixel| [pixel[0], if has_alpha { pixel[1] } else { u8::MAX }]);
                GrayAlphaImage::from_raw(self.size.0, self.size.1, pixels.collect())
                    .map(DynamicImage::ImageLumaA8)
            }
            DecodingResult::U16(levels) => {
                let pixels = levels.chunks_exact(samples);
                let pixels = pixels.flat_map(|pixel| [pixel[0], if has_alpha { pixel[1] } else { u16::MAX }]);
                ImageBuffer::<LumaA<u16>, _>::from_raw(self.size.0, self.size.1, pixels.collect())
                    .map(DynamicImage::ImageLumaA16)
            }
            _ => return Err(unknown(found)),
        };
        picture.ok_or_else(|| damaged("rows are missing"))
    }
}

fn damaged(what: &str) -> Refusal {
    Refusal::Damaged(what.to_owned())
}

fn rgb((width, height): (u32, u32), levels: Vec<u8>) -> Result<DynamicImage, Refusal> {
    RgbImage::from_raw(width, height, levels)
        .map(DynamicImage::ImageRgb8)
        .ok_or_else(|| damaged("rows are missing"))
}

/// Samples of up to eight bits, one a byte; a row begins at a byte.
fn unpacked(decoder: &mut Decoder<View>, (width, height): (u32, u32)) -> Result<Vec<u8>, Refusal> {
    let found = decoder.colortype()?;
    let bits = usize::from(found.bit_depth());
    let DecodingResult::U8(packed) = decoder.read_image()? else {
        return Err(Refusal::Unsupported(format!("{found:?}")));
    };
    if bits == 8 {
        return Ok(packed);
    }
    let mask = (1u8 << bits) - 1;
    let row_bytes = (width as usize * bits).div_ceil(8);
    let sample = |row: &[u8], x: usize| row[x * bits / 8] >> (8 - bits - x * bits % 8) & mask;
    let rows = packed.chunks_exact(row_bytes).take(height as usize);
    Ok(rows
        .flat_map(|row| (0..width as usize).map(move |x| sample(row, x)))
        .collect())
}

/// The colours of indices. A palette has all its reds, then all its greens, then all its blues, of 16 bits each; some
/// writers use eight of them.
fn paint(indices: &[u8], colours: &[u16], size: (u32, u32)) -> Result<DynamicImage, Refusal> {
    let count = colours.len() / 3;
    let shift = if colours.iter().all(|&level| level <= 255) {
        0
    } else {
        8
    };
    let level = |index: &u8, channel: usize| {
        let index = usize::from(*index);
        let level = (index < count).then(|| colours[channel * count + index]);
        level.map_or(0, |level| (level >> shift) as u8)
    };
    rgb(
        size,
        indices
            .iter()
            .flat_map(|index| [0, 1, 2].map(|channel| level(index, channel)))
            .collect(),
    )
}

/// As JFIF defines it: ITU-R BT.601, full range.
fn rgb_of_ycbcr(&[y, cb, cr]: &[u8; 3]) -> [u8; 3] {
    let (y, cb, cr) = (f32::from(y), f32::from(cb) - 128.0, f32::from(cr) - 128.0);
    [
        y + 1.402 * cr,
        y - 0.344_136 * cb - 0.714_136 * cr,
        y + 1.772 * cb,
    ]
    .map(|level| (level + 0.5) as u8)
}
