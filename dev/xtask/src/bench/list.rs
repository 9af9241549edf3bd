//! Which programs take part: a JSON file, and the placeholders in its commands.
//!
//! ```json
//! { "about": "random numbers in the shape of …",
//!   "ours":  [ { "weights": "q8", "bits": 8, "model": "{peers}/models/3b", "arguments": ["--quant", "q8"] } ],
//!   "peers": [ { "name": "other", "weights": "int8", "bits": 8, "command": ["{peers}/other/bin/other", "{tokens}"],
//!                "environment": {"OMP_NUM_THREADS": "{threads}"}, "files": ["{peers}/models/other"] } ] }
//! ```
//!
//! `bits` groups what is compared first of all: weights of about the same width. `files` are read before the
//! program starts, folders with everything in them, so that nobody waits for the disk.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::options::Options;

/// The name of our side.
pub const OURS: &str = "ocellus";

/// One program with one kind of weights.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Side {
    pub name: String,
    /// What the program calls its weights' format.
    pub weights: String,
    /// About how many bits a weight has.
    pub bits: u32,
    /// The program and its arguments, placeholders unfilled.
    pub command: Vec<String>,
    pub environment: BTreeMap<String, String>,
    pub files: Vec<String>,
}

impl Side {
    pub fn is_ours(&self) -> bool {
        self.name == OURS
    }

    pub fn label(&self) -> String {
        format!("{} {}", self.name, self.weights)
    }

    fn is_meant_by(&self, word: &str) -> bool {
        match word.split_once(':') {
            Some((name, weights)) => self.name == name && self.weights == weights,
            None => self.name == word,
        }
    }
}

/// Those that take part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// What everybody's weights are, for the page.
    pub about: String,
    pub sides: Vec<Side>,
}

impl List {
    /// The list that the options name, or the one in the folder of peers, or the project's own.
    pub fn read(root: &Path, options: &Options) -> Result<Self, String> {
        let there = options.peers_dir.join("peers.json");
        let path = match &options.list {
            Some(path) => path.clone(),
            None if there.is_file() => there,
            None => root.join("tools/peers/peers.json"),
        };
        fs::read_to_string(&path)
            .map_err(|e| e.to_string())
            .and_then(|text| Self::parse(&text))
            .and_then(|list| list.only(&options.only))
            .map_err(|message| format!("{}: {message}", path.display()))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text).map_err(|e| format!("not JSON: {e}"))?;
        let ours = entries(&value, "ours")?.iter().map(our_side);
        let peers = entries(&value, "peers")?.iter().map(peer_side);
        let sides = ours.chain(peers).collect::<Result<Vec<Side>, String>>()?;
        for (place, side) in sides.iter().enumerate() {
            if sides[..place].iter().any(|s| s.label() == side.label()) {
                return Err(format!("`{}` stands there twice", side.label()));
            }
        }
        Ok(Self {
            about: word(&value, "about")?,
            sides,
        })
    }

    /// Those that `words` name; all when there are no words.
    fn only(mut self, words: &[String]) -> Result<Self, String> {
        if let Some(word) = words
            .iter()
            .find(|word| !self.sides.iter().any(|s| s.is_meant_by(word)))
        {
            let known: Vec<String> = self
                .sides
                .iter()
                .map(|s| format!("{}:{}", s.name, s.weights))
                .collect();
            return Err(format!("--only: no `{word}`, only {}", known.join(", ")));
        }
        self.sides
            .retain(|side| words.is_empty() || words.iter().any(|word| side.is_meant_by(word)));
        Ok(self)
    }
}

fn entries<'a>(value: &'a Value, field: &str) -> Result<&'a [Value], String> {
    value[field]
        .as_array()
        .map(Vec::as_slice)
        .ok_or_else(|| format!("`{field}` is no list"))
}

fn our_side(entry: &Value) -> Result<Side, String> {
    let model = word(entry, "model")?;
    let fixed = [
        "{ocellus}",
        "bench",
        &model,
        "--image-size",
        "{image}",
        "--tokens",
    ];
    let more = [
        "{tokens}",
        "--threads",
        "{threads}",
        "--runs",
        "1",
        "--no-ceilings",
        "--json",
    ];
    let mut command: Vec<String> = fixed.iter().chain(&more).map(|&w| w.to_owned()).collect();
    command.extend(words(entry, "arguments")?);
    Ok(Side {
        name: OURS.into(),
        command,
        files: vec![model],
        ..side(entry)?
    })
}

fn peer_side(entry: &Value) -> Result<Side, String> {
    let side = Side {
        name: plain(entry, "name")?,
        command: words(entry, "command")?,
        files: words(entry, "files")?,
        ..side(entry)?
    };
    if side.is_ours() || side.command.is_empty() {
        return Err(format!(
            "`{}`: a peer has a name of its own and a command",
            side.label()
        ));
    }
    Ok(side)
}

/// What both kinds of entries have.
fn side(entry: &Value) -> Result<Side, String> {
    let bits = entry["bits"].as_u64().and_then(|bits| u32::try_from(bits).ok());
    let environment = entry["environment"].as_object().into_iter().flatten();
    let setting = |(name, value): (&String, &Value)| match value.as_str() {
        Some(value) => Ok((name.clone(), value.to_owned())),
        None => Err(format!("`environment`: {name} is no string in {entry}")),
    };
    Ok(Side {
        weights: plain(entry, "weights")?,
        bits: bits.ok_or_else(|| format!("`bits` is no number in {entry}"))?,
        environment: environment.map(setting).collect::<Result<_, _>>()?,
        ..Side::default()
    })
}

fn word(entry: &Value, field: &str) -> Result<String, String> {
    let text = entry[field].as_str().map(str::to_owned);
    text.ok_or_else(|| format!("`{field}` is no string in {entry}"))
}

/// A word that can stand in a row and in a table as it is.
fn plain(entry: &Value, field: &str) -> Result<String, String> {
    let text = word(entry, field)?;
    let fine = |char: char| char.is_ascii_alphanumeric() || "._-+ ".contains(char);
    match !text.is_empty() && text.chars().all(fine) {
        true => Ok(text),
        false => Err(format!(
            "`{field}`: expected letters, digits and ._-+, found `{text}`"
        )),
    }
}

/// A list of strings; none when the field is missing.
fn words(entry: &Value, field: &str) -> Result<Vec<String>, String> {
    let wrong = || format!("`{field}` is no list of strings in {entry}");
    match &entry[field] {
        Value::Null => Ok(Vec::new()),
        Value::Array(items) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong))
            .collect(),
        _ => Err(wrong()),
    }
}

/// What the placeholders of commands stand for.
pub struct Places(Vec<(&'static str, String)>);

impl Places {
    pub fn new(root: &Path, ocellus: &Path, options: &Options) -> Self {
        Self(vec![
            ("{repo}", root.display().to_string()),
            ("{ocellus}", ocellus.display().to_string()),
            ("{peers}", options.peers_dir.display().to_string()),
            ("{image}", options.image.clone()),
            ("{tokens}", options.tokens.to_string()),
            ("{threads}", options.threads.to_string()),
        ])
    }

    fn fill(&self, text: &str) -> String {
        self.0
            .iter()
            .fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    }

    pub fn command(&self, side: &Side) -> Vec<String> {
        side.command.iter().map(|word| self.fill(word)).collect()
    }

    pub fn environment(&self, side: &Side) -> Vec<(String, String)> {
        let settings = side.environment.iter();
        settings
            .map(|(name, value)| (name.clone(), self.fill(value)))
            .collect()
    }

    pub fn files(&self, side: &Side) -> Vec<PathBuf> {
        side.files.iter().map(|file| self.fill(file).into()).collect()
    }
}

#[cfg(test)]
mod tests;
