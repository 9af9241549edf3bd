//! Font faces: which files hold usable ones, what each of them draws, and how often each is chosen.

use std::ops::Range;
use std::path::{Path, PathBuf};

use skrifa::{FontRef, MetadataProvider, string::StringId};

use crate::corpus::Script;
use crate::face::Face;
use crate::random::Rng;
use crate::{SynthError, families};

/// The usable faces of some folders.
#[derive(Debug)]
pub struct Fonts {
    faces: Vec<Face>,
    families: Vec<Family>,
    /// How often each family is chosen, how often when a fixed pitch is wanted, and how often for Chinese.
    weights: Vec<f32>,
    mono_weights: Vec<f32>,
    han_weights: Vec<f32>,
}

/// Faces that share a family's name.
#[derive(Debug)]
struct Family {
    faces: Range<usize>,
    /// How often each face of the family is chosen.
    weights: Vec<f32>,
}

/// The kind of face that a run of text needs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Want {
    /// Any face.
    Any,
    /// Fixed pitch.
    Mono,
    /// A face that draws Chinese.
    Han,
    /// The bold, italic or regular sibling in this face's family.
    Sibling(usize),
}

impl Fonts {
    /// Reads every TTF, OTF and TTC file below `dirs` and keeps the faces that draw all of printable ASCII with
    /// lower-case letters of their own, and those that draw Chinese, as far as `charset` (sorted) asks for it. Faces are sorted by family, style and content, whatever the file system says.
    ///
    /// # Errors
    /// A folder or file that cannot be read, and folders without a usable face. A damaged font file is skipped.
    pub fn load(dirs: &[PathBuf], charset: &[char]) -> Result<Self, SynthError> {
        let mut files = Vec::new();
        for dir in dirs {
            find(dir, &mut files)?;
        }
        let mut faces = Vec::new();
        for path in &files {
            let bytes =
                ocellus_base::files::read(path, ocellus_base::limits::FONT_BYTES).map_err(|source| {
                    SynthError::Read {
                        path: path.clone(),
                        source,
                    }
                })?;
            let hash = fnv(&bytes);
            let bytes = std::sync::Arc::new(bytes);
            for index in 0..collection_size(&bytes) {
                let Ok(font) = FontRef::from_index(&bytes, index) else {
                    continue;
                };
                let (family, style) = names(&font);
                if families::is_refused(&family, &style) {
                    continue;
                }
                faces.extend(Face::new(bytes.clone(), index, family, style, hash, charset));
            }
        }
        if faces.is_empty() {
            return Err(SynthError::NoFaces { files: files.len() });
        }
        let key = |face: &Face| {
            (
                !families::is_common(&face.family),
                face.family.clone(),
                face.style.clone(),
                face.hash,
                face.index,
            )
        };
        faces.sort_by_cached_key(key);
        faces.dedup_by(|a, b| (a.hash, a.index) == (b.hash, b.index));
        let mut families: Vec<Family> = Vec::new();
        for (i, face) in faces.iter().enumerate() {
            match families.last_mut() {
                Some(last) if faces[last.faces.start].family == face.family => last.faces.end = i + 1,
                _ => families.push(Family {
                    faces: i..i + 1,
                    weights: Vec::new(),
                }),
            }
        }
        for family in &mut families {
            family.weights = families::face_weights(&faces[family.faces.clone()]);
        }
        let names: Vec<&str> = families
            .iter()
            .map(|f| faces[f.faces.start].family.as_str())
            .collect();
        let draws = |family: &Family, script| {
            let faces = &faces[family.faces.clone()];
            if faces.iter().any(|face| face.draws(script)) {
                1.0
            } else {
                0.0
            }
        };
        let weights = families::weights(&names);
        let weights: Vec<f32> = families
            .iter()
            .zip(weights)
            .map(|(f, w)| w * draws(f, Script::Latin))
            .collect();
        let han_weights = families
            .iter()
            .zip(&names)
            .map(|(f, name)| draws(f, Script::Han) * families::han_weight(name))
            .collect();
        let mono = |family: &Family| faces[family.faces.clone()].iter().any(|face| face.mono);
        let mono_weights = families
            .iter()
            .zip(&weights)
            .map(|(f, w)| if mono(f) { *w } else { 0.0 })
            .collect();
        Ok(Self {
            faces,
            families,
            weights,
            mono_weights,
            han_weights,
        })
    }

    /// The faces, common families first, then by family, style and content.
    pub fn faces(&self) -> &[Face] {
        &self.faces
    }

    /// The upright bold sibling of a face; the face itself where it has none.
    pub(crate) fn bolder(&self, face: usize) -> usize {
        let family = self.families.iter().find(|family| family.faces.contains(&face));
        let mut siblings = family.map_or(face..face, |f| f.faces.clone());
        siblings.find(|i| self.faces[*i].group() == 1).unwrap_or(face)
    }

    /// Chooses a face that has every character of `text`: a family first, then a face of it. `None` if none of a few
    /// tries fits.
    pub(crate) fn choose(&self, text: &str, want: Want, rng: &mut Rng) -> Option<usize> {
        let covers = |face: &Face| text.chars().all(|c| face.covers(c));
        if want == Want::Han {
            // Few faces have a rare character: those that do are found, not guessed.
            let fitting = |family: &Family| self.faces[family.faces.clone()].iter().any(covers);
            let weights: Vec<f32> = self
                .families
                .iter()
                .zip(&self.han_weights)
                .map(|(family, weight)| {
                    if *weight > 0.0 && fitting(family) {
                        *weight
                    } else {
                        0.0
                    }
                })
                .collect();
            if weights.iter().all(|w| *w == 0.0) {
                return None;
            }
            let family = &self.families[rng.weighted(&weights)];
            let faces = &self.faces[family.faces.clone()];
            let weights: Vec<f32> = faces
                .iter()
                .zip(&family.weights)
                .map(|(face, weight)| if covers(face) { *weight } else { 0.0 })
                .collect();
            return Some(family.faces.start + rng.weighted(&weights));
        }
        let fits = |face: &Face| (want != Want::Mono || face.mono) && covers(face);
        let weights = if want == Want::Mono {
            &self.mono_weights
        } else {
            &self.weights
        };
        for _ in 0..16 {
            let family = match want {
                Want::Sibling(face) => self.families.iter().find(|family| family.faces.contains(&face))?,
                Want::Any | Want::Mono | Want::Han => &self.families[rng.weighted(weights)],
            };
            let chosen = family.faces.start + rng.weighted(&family.weights);
            if fits(&self.faces[chosen]) {
                return Some(chosen);
            }
        }
        None
    }
}

/// Font files below `dir`, in order.
fn find(dir: &Path, files: &mut Vec<PathBuf>) -> Result<(), SynthError> {
    let read = |source| SynthError::Read {
        path: dir.to_owned(),
        source,
    };
    let mut entries = std::fs::read_dir(dir)
        .map_err(read)?
        .map(|e| e.map(|e| e.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(read)?;
    entries.sort();
    for path in entries {
        let extension = path
            .extension()
            .and_then(|e| e.to_str())
            .unwrap_or_default()
            .to_ascii_lowercase();
        if path.is_dir() {
            find(&path, files)?;
        } else if matches!(extension.as_str(), "ttf" | "otf" | "ttc" | "otc") {
            files.push(path);
        }
    }
    Ok(())
}

/// Typographic family and style where the face names them, else the plain ones.
fn names(font: &FontRef) -> (String, String) {
    let name = |ids: [StringId; 2]| {
        let found = ids
            .into_iter()
            .find_map(|id| font.localized_strings(id).english_or_first());
        found.map(|s| s.chars().collect::<String>()).unwrap_or_default()
    };
    (
        name([StringId::TYPOGRAPHIC_FAMILY_NAME, StringId::FAMILY_NAME]),
        name([StringId::TYPOGRAPHIC_SUBFAMILY_NAME, StringId::SUBFAMILY_NAME]),
    )
}

/// Number of faces in a file (OpenType, *Font collections*).
fn collection_size(bytes: &[u8]) -> u32 {
    match (bytes.get(..4), bytes.get(8..12)) {
        (Some(b"ttcf"), Some(&[a, b, c, d])) => u32::from_be_bytes([a, b, c, d]).min(64),
        _ => 1,
    }
}

/// FNV-1a over words of 8 bytes: names a file's content for sorting.
fn fnv(bytes: &[u8]) -> u64 {
    let step = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
    bytes.chunks(8).fold(0xcbf2_9ce4_8422_2325, |hash, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        step(hash, u64::from_le_bytes(word))
    })
}
