//! Models as they circulate in GGUF: which files of a folder belong together, by their names.
//!
//! The language model is one file, or shards that are numbered `-00001-of-00003`. The vision tower is another file, whose name
//! has `mmproj` in it.

use std::path::{Path, PathBuf};

use crate::HubError;

/// What the name of a vision tower has in it.
const TOWER: &str = "mmproj";
/// Shards of one model that are looked for.
const MAX_SHARDS: usize = 1024;

/// The files of one model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GgufFiles {
    /// The language model, or its shards in order.
    pub language: Vec<PathBuf>,
    /// The vision tower.
    pub tower: PathBuf,
}

/// Whether a file is called one in GGUF.
pub(crate) fn is_gguf(path: &Path) -> bool {
    path.extension()
        .is_some_and(|end| end.eq_ignore_ascii_case("gguf"))
}

fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn is_tower(path: &Path) -> bool {
    name(path).to_ascii_lowercase().contains(TOWER)
}

/// The names of some paths, for a message.
fn names(paths: &[PathBuf]) -> String {
    const SHOWN: usize = 4;
    let mut names: Vec<String> = paths.iter().take(SHOWN).map(|path| name(path)).collect();
    if paths.len() > SHOWN {
        names.push(format!("{} more", paths.len() - SHOWN));
    }
    names.join(", ")
}

/// The GGUF files of a folder, sorted.
fn listed(folder: &Path) -> Result<Vec<PathBuf>, HubError> {
    let entries = std::fs::read_dir(folder).map_err(HubError::io("read the folder", folder))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| is_gguf(path) && path.is_file());
    paths.sort();
    Ok(paths)
}

/// The model in a folder; `None` when no GGUF file lies there.
pub(crate) fn in_folder(folder: &Path) -> Result<Option<GgufFiles>, HubError> {
    let files = listed(folder)?;
    if files.is_empty() {
        return Ok(None);
    }
    let models: Vec<PathBuf> = files.iter().filter(|path| !is_tower(path)).cloned().collect();
    let Some(first) = models.first() else {
        return Err(HubError::TowerAlone {
            path: files[0].clone(),
        });
    };
    let shards = shards(first)?;
    if models.iter().any(|path| !shards.contains(path)) {
        return Err(HubError::SeveralModels {
            path: folder.to_path_buf(),
            found: names(&models),
        });
    }
    with_tower(shards, &files).map(Some)
}

/// The model whose language model, or one of its shards, is `file`.
pub(crate) fn of_file(file: &Path) -> Result<GgufFiles, HubError> {
    if is_tower(file) {
        return Err(HubError::TowerAlone {
            path: file.to_path_buf(),
        });
    }
    let folder = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    with_tower(shards(file)?, &listed(folder)?)
}

fn with_tower(language: Vec<PathBuf>, files: &[PathBuf]) -> Result<GgufFiles, HubError> {
    let towers: Vec<PathBuf> = files.iter().filter(|path| is_tower(path)).cloned().collect();
    match &towers[..] {
        [tower] => Ok(GgufFiles {
            language,
            tower: tower.clone(),
        }),
        [] => Err(HubError::NoTower {
            path: language[0].clone(),
        }),
        _ => match of_one_tower(&towers) {
            Some(tower) => Ok(GgufFiles { language, tower }),
            None => Err(HubError::SeveralTowers {
                path: language[0].clone(),
                found: names(&towers),
            }),
        },
    }
}

/// Widths that a tower is published at, the one to take first.
const WIDTHS: &[&str] = &["f16", "bf16", "f32", "q8_0"];

/// Of files that hold one tower at several widths, by their names, the one to take.
fn of_one_tower(towers: &[PathBuf]) -> Option<PathBuf> {
    let rank = |path: &PathBuf| {
        let name = name(path).to_ascii_lowercase();
        // `bf16` has `f16` in it, and is looked for first.
        let width = ["bf16", "f16", "f32", "q8_0"]
            .into_iter()
            .find(|width| name.contains(width))?;
        let rank = WIDTHS.iter().position(|known| *known == width)?;
        Some((rank, name.replacen(width, "", 1), path.clone()))
    };
    let mut ranked: Vec<_> = towers.iter().map(rank).collect::<Option<_>>()?;
    ranked.sort();
    let (_, stem, first) = ranked.first()?.clone();
    ranked.iter().all(|(_, other, _)| *other == stem).then_some(first)
}

/// Of the files of a repository: those of the model that `file` is one shard of, and its tower.
pub(crate) fn of_repository<'n>(names: &[&'n str], file: &str) -> Vec<&'n str> {
    let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let shard = |name: &str| match numbered(file) {
        Some((stem, of)) => numbered(name) == Some((stem, of)),
        None => name == file,
    };
    let beside = |name: &str| name.rsplit_once('/').map_or("", |(folder, _)| folder) == folder;
    let mut wanted: Vec<&str> = names.iter().copied().filter(|name| shard(name)).collect();
    let towers: Vec<PathBuf> = names
        .iter()
        .map(PathBuf::from)
        .filter(|path| is_gguf(path) && is_tower(path) && beside(&path.to_string_lossy()))
        .collect();
    let tower = match &towers[..] {
        [only] => Some(only.clone()),
        _ => of_one_tower(&towers),
    };
    wanted.extend(
        names
            .iter()
            .copied()
            .filter(|name| tower.as_deref() == Some(Path::new(name))),
    );
    wanted
}

/// All shards of the model that `file` is one of; a file without a number is the whole model.
fn shards(file: &Path) -> Result<Vec<PathBuf>, HubError> {
    let own = name(file);
    let Some((stem, of)) = numbered(&own) else {
        return Ok(vec![file.to_path_buf()]);
    };
    let all: Vec<PathBuf> = (1..=of)
        .map(|number| file.with_file_name(format!("{stem}-{number:05}-of-{of:05}.gguf")))
        .collect();
    match all.iter().find(|path| !path.is_file()) {
        Some(missing) => Err(HubError::Missing {
            path: missing.clone(),
            kind: "shard",
        }),
        None => Ok(all),
    }
}

/// `stem-00002-of-00003.gguf` → `stem` and 3.
fn numbered(name: &str) -> Option<(&str, usize)> {
    let (rest, of) = name.strip_suffix(".gguf")?.rsplit_once("-of-")?;
    let (stem, number) = rest.rsplit_once('-')?;
    let count = |text: &str| text.parse::<usize>().ok().filter(|_| text.len() == 5);
    let (number, of) = (count(number)?, count(of)?);
    (1..=of.min(MAX_SHARDS))
        .contains(&number)
        .then_some((stem, of))
        .filter(|_| of <= MAX_SHARDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The file names of a folder, what is asked for in it, and what is found or said.
    type Row = (
        &'static [&'static str],
        &'static str,
        Result<&'static str, &'static str>,
    );

    #[test]
    fn files_that_belong_together() {
        let table: &[Row] = &[
            (&["m.gguf", "mmproj.gguf"], "", Ok("m.gguf + mmproj.gguf")),
            (
                &["m.gguf", "m-mmproj-f16.GGUF"],
                "",
                Ok("m.gguf + m-mmproj-f16.GGUF"),
            ),
            (
                &["a-00002-of-00002.gguf", "a-00001-of-00002.gguf", "MMPROJ-a.gguf"],
                "",
                Ok("a-00001-of-00002.gguf a-00002-of-00002.gguf + MMPROJ-a.gguf"),
            ),
            (
                &[
                    "a-00002-of-00002.gguf",
                    "a-00001-of-00002.gguf",
                    "b.gguf",
                    "mmproj.gguf",
                ],
                "a-00002-of-00002.gguf",
                Ok("a-00001-of-00002.gguf a-00002-of-00002.gguf + mmproj.gguf"),
            ),
            (
                &["a.gguf", "b.gguf", "mmproj.gguf"],
                "b.gguf",
                Ok("b.gguf + mmproj.gguf"),
            ),
            (
                &["a.gguf", "b.gguf", "mmproj.gguf"],
                "",
                Err("several models: a.gguf, b.gguf"),
            ),
            (&["a.gguf"], "", Err("a.gguf: its vision tower is missing")),
            (&["a.gguf"], "a.gguf", Err("a.gguf: its vision tower is missing")),
            (
                &["a.gguf", "mmproj-1.gguf", "mmproj-2.gguf"],
                "",
                Err("several vision towers: mmproj-1.gguf, mmproj-2.gguf"),
            ),
            (&["mmproj.gguf"], "", Err("mmproj.gguf: a vision tower alone")),
            (
                &["a.gguf", "mmproj.gguf"],
                "mmproj.gguf",
                Err("a vision tower alone"),
            ),
            (
                &["a-00001-of-00002.gguf", "mmproj.gguf"],
                "",
                Err("a-00002-of-00002.gguf: no such shard"),
            ),
            (
                &["a-00001-of-99999.gguf", "mmproj.gguf"],
                "",
                Ok("a-00001-of-99999.gguf + mmproj.gguf"),
            ),
            (&["readme.md"], "", Ok("nothing")),
        ];
        for (there, asked, expected) in table {
            let folder = tempfile::tempdir().unwrap();
            for file in *there {
                std::fs::write(folder.path().join(file), "").unwrap();
            }
            let found = match *asked {
                "" => in_folder(folder.path()),
                file => of_file(&folder.path().join(file)).map(Some),
            };
            let told = found.map(|found| match found {
                None => "nothing".to_owned(),
                Some(GgufFiles { language, tower }) => {
                    let language: Vec<String> = language.iter().map(|path| name(path)).collect();
                    format!("{} + {}", language.join(" "), name(&tower))
                }
            });
            match (&told, expected) {
                (Ok(told), Ok(expected)) => assert_eq!(told, expected),
                (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{error}"),
                _ => panic!("{there:?}, {asked}: {told:?}"),
            }
        }
    }
}
