//! `model.safetensors.index.json` or `pytorch_model.bin.index.json`: which shard holds which tensor.

use crate::{Result, WeightsError};
use ocellus_base::limits;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use std::collections::BTreeMap;
use std::path::{Component, Path};
use std::{fmt, fs};

/// Longest index file that is accepted.
pub const MAX_INDEX_BYTES: u64 = limits::JSON_BYTES;
/// Largest number of different shards.
pub const MAX_SHARDS: usize = limits::SHARDS;

/// Tensor names, grouped by the shard that the index gives for them.
#[derive(Debug)]
pub(crate) struct Index {
    pub shards: BTreeMap<String, Vec<String>>,
}

impl Index {
    pub(crate) fn read(path: &Path) -> Result<Index> {
        let io = |source| WeightsError::Io {
            file: path.to_path_buf(),
            source,
        };
        let size = fs::metadata(path).map_err(io)?.len();
        if size > MAX_INDEX_BYTES {
            return Err(damaged(
                path,
                format!("{size} bytes are more than the {MAX_INDEX_BYTES} that are accepted"),
            ));
        }
        Index::parse(
            &ocellus_base::files::read(path, MAX_INDEX_BYTES).map_err(io)?,
            path,
        )
    }

    fn parse(bytes: &[u8], path: &Path) -> Result<Index> {
        if bytes.starts_with(b"version https://git-lfs") {
            return Err(WeightsError::LfsPointer {
                file: path.display().to_string(),
            });
        }
        let file: IndexFile = serde_json::from_slice(bytes).map_err(|e| damaged(path, e.to_string()))?;
        let mut shards = BTreeMap::<String, Vec<String>>::new();
        for (tensor, shard) in file.weight_map.0 {
            if !is_plain(&shard) {
                return Err(WeightsError::ShardOutside {
                    index: path.display().to_string(),
                    shard,
                });
            }
            shards.entry(shard).or_default().push(tensor);
            if shards.len() > MAX_SHARDS {
                return Err(damaged(path, format!("more than {MAX_SHARDS} shards")));
            }
        }
        if shards.is_empty() {
            return Err(damaged(path, "`weight_map` is empty".to_string()));
        }
        Ok(Index { shards })
    }
}

fn damaged(path: &Path, reason: String) -> WeightsError {
    WeightsError::Index {
        index: path.display().to_string(),
        reason,
    }
}

/// A name that stays inside the folder on every operating system: no root, drive, `..`, backslash, colon or NUL.
fn is_plain(shard: &str) -> bool {
    !shard.is_empty()
        && !shard.contains(['\\', ':', '\0'])
        && Path::new(shard)
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
}

#[derive(serde::Deserialize)]
struct IndexFile {
    weight_map: WeightMap,
}

/// Pairs in file order; a tensor that is placed twice is an error.
struct WeightMap(Vec<(String, String)>);

impl<'de> Deserialize<'de> for WeightMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct PairVisitor;
        impl<'de> Visitor<'de> for PairVisitor {
            type Value = WeightMap;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object from tensor names to shard names")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<WeightMap, A::Error> {
                let mut pairs = Vec::<(String, String)>::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                match crate::header::first_duplicate(pairs.iter().map(|p| p.0.as_str())) {
                    Some(tensor) => Err(A::Error::custom(format!("tensor `{tensor}` is placed twice"))),
                    None => Ok(WeightMap(pairs)),
                }
            }
        }
        deserializer.deserialize_map(PairVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shard_names_stay_inside() {
        for (name, plain) in [
            ("model-00001-of-00002.safetensors", true),
            ("sub/model.safetensors", true),
            ("../x.safetensors", false),
            ("a/../../x", false),
            ("/etc/passwd", false),
            ("C:\\x", false),
            ("C:x", false),
            ("..\\x", false),
            ("", false),
            (".", false),
            ("a\0b", false),
        ] {
            assert_eq!(is_plain(name), plain, "{name:?}");
        }
    }
}
