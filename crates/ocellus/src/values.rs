//! Values that arguments may take, and how they are read.

use std::str::FromStr;

use clap::ValueEnum;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

pub use ocellus_session::{Activations, Device, Dtype, KvCache, Quant};

/// `cpu`, `cuda`, `cuda:N` or `metal`.
pub fn device(text: &str) -> Result<Device, String> {
    match text {
        "cpu" => Ok(Device::Cpu),
        "metal" => Ok(Device::Metal),
        "cuda" => Ok(Device::Cuda(0)),
        _ => match text.strip_prefix("cuda:").map(str::parse) {
            Some(Ok(index)) => Ok(Device::Cuda(index)),
            _ => Err("expected cpu, cuda:N or metal".into()),
        },
    }
}

pub fn dtype() -> impl TypedValueParser<Value = Dtype> {
    choice(&[
        ("f32", "", Dtype::F32),
        ("bf16", "", Dtype::Bf16),
        ("f16", "", Dtype::F16),
    ])
}

pub fn quant() -> impl TypedValueParser<Value = Quant> {
    choice(&[
        ("q8", "8.1 bits a weight", Quant::Q8),
        ("q6", "6.5 bits a weight", Quant::Q6),
        ("q4", "4.5 bits a weight", Quant::Q4),
        ("bf16", "As --dtype bf16", Quant::Bf16),
        ("f32", "As --dtype f32", Quant::F32),
    ])
}

pub fn activations() -> impl TypedValueParser<Value = Activations> {
    choice(&[
        ("int8", "Integers of 8 bits", Activations::Int8),
        ("bf16", "", Activations::Bf16),
        ("f32", "", Activations::F32),
    ])
}

pub fn kv_cache() -> impl TypedValueParser<Value = KvCache> {
    choice(&[
        ("full", "As products read them: f32 or bf16", KvCache::Full),
        ("q8", "8.5 bits a value", KvCache::Q8),
    ])
}

/// One of some names, each with its help and what it stands for.
fn choice<T: Copy + Send + Sync + 'static>(
    choices: &'static [(&'static str, &'static str, T)],
) -> impl TypedValueParser<Value = T> {
    let possible = choices.iter().map(|(name, help, _)| match help.is_empty() {
        true => PossibleValue::new(name),
        false => PossibleValue::new(name).help(help),
    });
    PossibleValuesParser::new(possible).try_map(|text| {
        let found = choices.iter().find(|(name, ..)| *name == text);
        found.map(|(.., value)| *value).ok_or("no such value")
    })
}

/// Plain text for people or JSON for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    #[default]
    Text,
    Json,
}

/// What `ocr` writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum OcrFormat {
    /// The lines, one a row; pages are parted by a form feed, inputs by their names
    #[default]
    Text,
    /// One object with all pages: lines with boxes and confidence
    Json,
    /// The same, an object a line for each page
    Jsonl,
    /// Markdown: headings and paragraphs
    Md,
    /// A page of HTML with a section for each page
    Html,
    /// HTML with boxes of lines and words, as other programs for reading pages write it
    Hocr,
}

/// Width and height in pixels, as in `1280x720`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageSize {
    pub width_px: u32,
    pub height_px: u32,
}

impl FromStr for ImageSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let side = |text: &str| {
            text.parse()
                .ok()
                .filter(|side| (1..=ocellus_base::limits::SIDE_PX).contains(side))
        };
        let sides = text
            .split_once('x')
            .and_then(|(width, height)| Some((side(width)?, side(height)?)));
        let (width_px, height_px) = sides.ok_or("expected WIDTHxHEIGHT in pixels, as in 1280x720")?;
        Ok(Self { width_px, height_px })
    }
}

/// A whole number of at least 1.
pub fn at_least_one<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| "expected a whole number of at least 1".to_owned())
}

/// 0 or more.
pub fn not_negative(text: &str) -> Result<f32, String> {
    number(text, |value| value >= 0.0, "a number of at least 0")
}

/// More than 0.
pub fn positive(text: &str) -> Result<f32, String> {
    number(text, |value| value > 0.0, "a number above 0")
}

/// More than 0, at most 1.
pub fn share(text: &str) -> Result<f32, String> {
    number(
        text,
        |value| value > 0.0 && value <= 1.0,
        "a number above 0, at most 1",
    )
}

/// From 0 to 1.
pub fn probability(text: &str) -> Result<f32, String> {
    number(text, |value| (0.0..=1.0).contains(&value), "a number from 0 to 1")
}

fn number(text: &str, good: impl Fn(f32) -> bool, expected: &str) -> Result<f32, String> {
    let value = text
        .parse::<f32>()
        .ok()
        .filter(|value| value.is_finite() && good(*value));
    value.ok_or_else(|| format!("expected {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices() {
        for (text, expected) in [
            ("cpu", Some(Device::Cpu)),
            ("metal", Some(Device::Metal)),
            ("cuda", Some(Device::Cuda(0))),
            ("cuda:3", Some(Device::Cuda(3))),
            ("cuda:-1", None),
            ("cuda:", None),
            ("gpu", None),
            ("", None),
        ] {
            assert_eq!(device(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn numbers_are_bounded_and_finite() {
        type Read = fn(&str) -> Result<f32, String>;
        let cases: [(Read, &[&str], &[&str]); 4] = [
            (
                not_negative,
                &["0", "0.7", "1e3"],
                &["-0.1", "nan", "inf", "", "x"],
            ),
            (positive, &["0.1", "1.1"], &["0", "-1", "NaN"]),
            (share, &["1", "0.9"], &["0", "1.1", "nan"]),
            (probability, &["0", "1", "0.05"], &["-0.1", "1.1", "nan"]),
        ];
        for (read, good, bad) in cases {
            assert!(good.iter().all(|text| read(text).is_ok()), "{good:?}");
            assert!(bad.iter().all(|text| read(text).is_err()), "{bad:?}");
        }
    }

    #[test]
    fn image_sizes() {
        assert_eq!(
            "640x480".parse(),
            Ok(ImageSize {
                width_px: 640,
                height_px: 480
            })
        );
        for bad in ["640", "0x1", "1x0", "-1x5", "99999x1", "1x2x3", ""] {
            assert!(bad.parse::<ImageSize>().is_err(), "{bad}");
        }
    }
}
