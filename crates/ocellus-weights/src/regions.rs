//! Regions that a detector found in a picture: feature vectors and boxes, from a file.
//!
//! A file is a `.npz` archive of numpy, packed or not, or a safetensors file. Both hold arrays of these names:
//!
//! | name | shape | meaning |
//! |---|---|---|
//! | `features` | `[n, d]` | a vector for every region |
//! | `boxes` | `[n, 4]` | x1, y1, x2, y2, px of the picture |
//! | `size` | `[2]` | width and height of the picture, px; or `width` and `height`, or `image_w` and `image_h`, one number each |
//! | `confidence` or `scores` | `[n]` | how sure the detector is; may be missing |

use std::io::Read;
use std::path::Path;

use crate::npy::{self, Array, Arrays, Fault};
use crate::{Dtype, Weights, WeightsError};

/// Bytes of one file of regions, and of each array in it.
pub const MAX_REGIONS_BYTES: u64 = 64 << 20;
/// Regions of one picture.
pub const MAX_REGIONS: usize = 4096;

/// How far outside the picture a corner may lie, px: room for rounding.
const SLACK_PX: f32 = 0.01;

const SIZES: [[&str; 2]; 2] = [["width", "height"], ["image_w", "image_h"]];
const SCORES: [&str; 2] = ["confidence", "scores"];
const NAMES: &[&str] = &[
    "features",
    "boxes",
    "size",
    "width",
    "height",
    "image_w",
    "image_h",
    "confidence",
    "scores",
];

/// The regions of one picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Regions {
    /// `[regions, features_width]`.
    pub features: Vec<f32>,
    /// Numbers of one feature vector.
    pub features_width: usize,
    /// x1, y1, x2, y2 of every region, px; `x1 <= x2` and `y1 <= y2`, inside the picture.
    pub boxes: Vec<[f32; 4]>,
    /// Width of the picture, px.
    pub image_width: f32,
    /// Height of the picture, px.
    pub image_height: f32,
    /// The detector's confidence in every region, where the file has it.
    pub scores: Option<Vec<f32>>,
}

/// Why a file of regions was refused. Messages name the file and, where there is one, the array.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegionsError {
    #[error("{file}: {source}")]
    Io { file: String, source: std::io::Error },

    #[error("{file} is too large: expected at most {allowed} bytes of regions")]
    TooLarge { file: String, allowed: u64 },

    #[error("{file} holds no regions: expected a .npz archive or a safetensors file, found {found}")]
    Format { file: String, found: String },

    #[error("{file} is damaged: {reason}")]
    Archive { file: String, reason: String },

    #[error("{file}, array `{array}`: {reason}")]
    Array {
        file: String,
        array: String,
        reason: String,
    },

    #[error("{file} lacks the array {expected}: found {found}")]
    Missing {
        file: String,
        expected: String,
        found: String,
    },

    #[error("{file}, array `{array}`: expected {expected}, found the shape {found:?}")]
    Shape {
        file: String,
        array: String,
        expected: String,
        found: Vec<usize>,
    },

    #[error("{file}: {features} feature vectors, but {found} {array}: expected one of each per region")]
    Count {
        file: String,
        array: String,
        features: usize,
        found: usize,
    },

    #[error("{file}: expected 1 to {allowed} regions, found {found}")]
    Regions {
        file: String,
        allowed: usize,
        found: usize,
    },

    #[error("{file}: the model takes feature vectors of {expected} numbers, found {found}")]
    Width {
        file: String,
        expected: usize,
        found: usize,
    },

    #[error("{file}, array `{array}`, region {region}: expected finite numbers, found {value}")]
    NotFinite {
        file: String,
        array: String,
        region: usize,
        value: f32,
    },

    #[error("{file}: expected a picture of at least 1 x 1 px, found {width} x {height} px")]
    Picture { file: String, width: f32, height: f32 },

    #[error(
        "{file}, region {region}: expected x1 <= x2 and y1 <= y2, found the box {found:?} \
         (boxes are x1, y1, x2, y2 in px)"
    )]
    Corners {
        file: String,
        region: usize,
        found: [f32; 4],
    },

    #[error(
        "{file}, region {region}: the box {found:?} lies outside the picture of {width} x {height} px \
         (boxes are x1, y1, x2, y2 in px)"
    )]
    Outside {
        file: String,
        region: usize,
        found: [f32; 4],
        width: f32,
        height: f32,
    },

    #[error(transparent)]
    Weights(#[from] WeightsError),
}

impl Regions {
    /// Reads a file for a model that takes feature vectors of `width` numbers.
    pub fn from_file(path: impl AsRef<Path>, width: usize) -> Result<Self, RegionsError> {
        let path = path.as_ref();
        let file = path.display().to_string();
        let io = |source| RegionsError::Io {
            file: file.clone(),
            source,
        };
        let mut bytes = Vec::new();
        let opened = ocellus_base::files::open(path).map_err(io)?;
        opened
            .take(MAX_REGIONS_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(io)?;
        Self::from_bytes(bytes, &file, width)
    }

    /// Reads the content of a file that messages call `file`.
    pub fn from_bytes(bytes: Vec<u8>, file: &str, width: usize) -> Result<Self, RegionsError> {
        if bytes.len() as u64 > MAX_REGIONS_BYTES {
            return Err(RegionsError::TooLarge {
                file: file.into(),
                allowed: MAX_REGIONS_BYTES,
            });
        }
        let arrays = arrays(bytes, file)?;
        Self::assemble(&Source { file, arrays }, width)
    }

    /// Number of regions.
    pub fn len(&self) -> usize {
        self.boxes.len()
    }

    /// Never true of regions that were read: a file without any is refused.
    pub fn is_empty(&self) -> bool {
        self.boxes.is_empty()
    }

    fn assemble(source: &Source, width: usize) -> Result<Self, RegionsError> {
        let file = || source.file.to_owned();
        let features = source.need("features")?;
        let &[count, found] = &features.shape[..] else {
            return Err(source.shape("features", "[regions, numbers]", &features.shape));
        };
        if found != width {
            return Err(RegionsError::Width {
                file: file(),
                expected: width,
                found,
            });
        }
        if !(1..=MAX_REGIONS).contains(&count) {
            return Err(RegionsError::Regions {
                file: file(),
                allowed: MAX_REGIONS,
                found: count,
            });
        }
        source.check_finite("features", features, width)?;

        let (image_width, image_height) = source.picture()?;
        let boxes = source.need("boxes")?;
        let &[found, 4] = &boxes.shape[..] else {
            return Err(source.shape("boxes", "[regions, 4]", &boxes.shape));
        };
        source.check_count("boxes", count, found)?;
        source.check_finite("boxes", boxes, 4)?;
        let boxes = boxes.values.as_chunks::<4>().0.to_vec();
        for (region, corners) in boxes.iter().enumerate() {
            source.check_box(region, *corners, (image_width, image_height))?;
        }

        let scores = SCORES
            .iter()
            .find_map(|name| Some((name, source.arrays.by_name.get(*name)?)));
        let scores = scores.map(|(name, array)| {
            let (&[found] | &[found, 1]) = &array.shape[..] else {
                return Err(source.shape(name, "[regions]", &array.shape));
            };
            source.check_count(name, count, found)?;
            source.check_finite(name, array, 1)?;
            Ok(array.values.clone())
        });
        Ok(Self {
            features: features.values.clone(),
            features_width: width,
            boxes,
            image_width,
            image_height,
            scores: scores.transpose()?,
        })
    }
}

/// The arrays of a file, by name.
struct Source<'a> {
    file: &'a str,
    arrays: Arrays,
}

impl Source<'_> {
    fn need(&self, name: &str) -> Result<&Array, RegionsError> {
        self.arrays
            .by_name
            .get(name)
            .ok_or_else(|| self.missing(&format!("`{name}`")))
    }

    fn missing(&self, expected: &str) -> RegionsError {
        RegionsError::Missing {
            file: self.file.into(),
            expected: expected.into(),
            found: listed(&self.arrays.names),
        }
    }

    /// Width and height of the picture, px.
    fn picture(&self) -> Result<(f32, f32), RegionsError> {
        let pair = SIZES
            .iter()
            .find(|pair| pair.iter().any(|name| self.arrays.by_name.contains_key(*name)));
        let (width, height) = match (self.arrays.by_name.get("size"), pair) {
            (Some(size), _) => match size.values[..] {
                [width, height] => (width, height),
                _ => return Err(self.shape("size", "width and height", &size.shape)),
            },
            (None, Some(pair)) => (self.number(pair[0])?, self.number(pair[1])?),
            (None, None) => {
                return Err(self.missing("`size` (or `width` and `height`, or `image_w` and `image_h`)"));
            }
        };
        let possible = |side: f32| side.is_finite() && side >= 1.0;
        if possible(width) && possible(height) {
            return Ok((width, height));
        }
        Err(RegionsError::Picture {
            file: self.file.into(),
            width,
            height,
        })
    }

    fn number(&self, name: &str) -> Result<f32, RegionsError> {
        let array = self.need(name)?;
        match array.values[..] {
            [value] => Ok(value),
            _ => Err(self.shape(name, "one number", &array.shape)),
        }
    }

    fn shape(&self, array: &str, expected: &str, found: &[usize]) -> RegionsError {
        RegionsError::Shape {
            file: self.file.into(),
            array: array.into(),
            expected: expected.into(),
            found: found.to_vec(),
        }
    }

    fn check_count(&self, array: &str, features: usize, found: usize) -> Result<(), RegionsError> {
        if found == features {
            return Ok(());
        }
        Err(RegionsError::Count {
            file: self.file.into(),
            array: array.into(),
            features,
            found,
        })
    }

    /// That all numbers are finite, `width` of them per region.
    fn check_finite(&self, array: &str, numbers: &Array, width: usize) -> Result<(), RegionsError> {
        match numbers.values.iter().position(|value| !value.is_finite()) {
            None => Ok(()),
            Some(at) => Err(RegionsError::NotFinite {
                file: self.file.into(),
                array: array.into(),
                region: at / width.max(1),
                value: numbers.values[at],
            }),
        }
    }

    fn check_box(&self, region: usize, found: [f32; 4], size: (f32, f32)) -> Result<(), RegionsError> {
        let ([x1, y1, x2, y2], (width, height)) = (found, size);
        if x1 > x2 || y1 > y2 {
            return Err(RegionsError::Corners {
                file: self.file.into(),
                region,
                found,
            });
        }
        let inside = x1 >= -SLACK_PX && y1 >= -SLACK_PX && x2 <= width + SLACK_PX && y2 <= height + SLACK_PX;
        if inside {
            return Ok(());
        }
        Err(RegionsError::Outside {
            file: self.file.into(),
            region,
            found,
            width,
            height,
        })
    }
}

/// The arrays of a file that are of use, and the names of all.
fn arrays(bytes: Vec<u8>, file: &str) -> Result<Arrays, RegionsError> {
    let name = || file.to_owned();
    if bytes.starts_with(npy::ZIP_MAGIC) {
        let Fault { array, reason } = match npy::read_archive(&bytes, NAMES, MAX_REGIONS_BYTES) {
            Ok(arrays) => return Ok(arrays),
            Err(fault) => fault,
        };
        let file = name();
        return Err(match array {
            Some(array) => RegionsError::Array { file, array, reason },
            None => RegionsError::Archive { file, reason },
        });
    }
    if bytes.starts_with(npy::NPY_MAGIC) {
        return Err(RegionsError::Format {
            file: name(),
            found: "a single numpy array".into(),
        });
    }
    let weights = match Weights::from_bytes(bytes, file) {
        Err(WeightsError::NotSafetensors { reason, .. }) => {
            return Err(RegionsError::Format {
                file: name(),
                found: format!("neither ({reason})"),
            });
        }
        // The first bytes of any other file, read as the length of a header, say something absurd.
        Err(WeightsError::HeaderTooLarge { .. }) => {
            return Err(RegionsError::Format {
                file: name(),
                found: "neither".into(),
            });
        }
        other => other?,
    };
    let mut arrays = Arrays::default();
    for name in NAMES.iter().filter(|name| weights.contains(name)) {
        let view = weights.view(name)?;
        let values = match view.dtype {
            Dtype::F32 | Dtype::F16 | Dtype::Bf16 => view.to_f32()?,
            Dtype::F64 => view
                .bytes
                .as_chunks()
                .0
                .iter()
                .map(|b| f64::from_le_bytes(*b) as f32)
                .collect(),
            _ => view.to_i64()?.into_iter().map(|value| value as f32).collect(),
        };
        let shape = view.shape;
        arrays.by_name.insert((*name).to_owned(), Array { shape, values });
    }
    arrays.names = weights.names().map(str::to_owned).collect();
    Ok(arrays)
}

/// Some of the names, for a message.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 8;
    if names.is_empty() {
        return "no arrays".into();
    }
    let shown: Vec<String> = names
        .iter()
        .take(SHOWN)
        .map(|n| format!("`{}`", n.escape_debug()))
        .collect();
    let more = if names.len() > SHOWN { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}
