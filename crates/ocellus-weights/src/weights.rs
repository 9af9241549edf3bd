//! A checkpoint's tensors, from one file or many.

use crate::gguf::{self, Metadata};
use crate::header::{Entry, Header};
use crate::index::Index;
use crate::rebuilt::Made;
use crate::storage::Storage;
use crate::{LowRank, Result, View, WeightsError, torch};
use ocellus_base::limits;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

mod adapted;
mod blank;
mod joined;
mod matrices;
mod placed;

use placed::{Found, Placed};

/// Named tensors of one checkpoint. Cheap to open: tensor data is not read until a [`View`] is.
///
/// Mapped files must not be changed in place while they are open ([`Weights::intact`] tells where one was cut off); replacing them by
/// rename, as [`crate::write`] does, is safe.
pub struct Weights {
    /// What messages call the whole: a file, or the index of a sharded checkpoint.
    name: String,
    files: Vec<Arc<Storage>>,
    tensors: BTreeMap<String, Placed>,
    /// Tensors that are put together from those above, which have no names of their own then.
    made: BTreeMap<String, (Made, Vec<Placed>)>,
    /// Quantised matrices, whose tensors have no names of their own either.
    matrices: BTreeMap<String, Found>,
    metadata: BTreeMap<String, String>,
    gguf: Option<Arc<Metadata>>,
    /// Products that are added to matrices.
    added: BTreeMap<String, Arc<LowRank>>,
}

impl Weights {
    /// Opens the weights in the checkpoint folder `dir`. The first of these that is there:
    ///
    /// 1. `model.safetensors`, or the shards that `model.safetensors.index.json` lists
    /// 2. the shards that the only other `*.safetensors.index.json` lists
    /// 3. the shards `*-00001-of-0000N.safetensors`, whose own headers say what they hold
    /// 4. `consolidated.safetensors`, or the only other `*.safetensors`
    /// 5. `pytorch_model.bin`, or the shards that `pytorch_model.bin.index.json` lists
    /// 6. the shards that the only other `*.bin.index.json` lists, or the shards `*-00001-of-0000N.bin`
    /// 7. the only `*.bin`, `*.pt`, `*.pth`, `*.ckpt` or `*.th`, if there are no safetensors at all
    pub fn open(dir: &Path) -> Result<Weights> {
        let io = |source| WeightsError::Io {
            file: dir.to_path_buf(),
            source,
        };
        let mut names = Vec::new();
        for item in fs::read_dir(dir).map_err(io)? {
            names.extend(item.map_err(io)?.file_name().into_string());
        }
        names.sort();
        match choose(&names) {
            Some(Chosen::Index(name)) => Weights::from_index(dir.join(name)),
            Some(Chosen::File(name)) => Weights::from_file(dir.join(name)),
            Some(Chosen::Shards(shards)) => {
                if let Some(shard) = shards.iter().find(|shard| !names.contains(shard)) {
                    return Err(WeightsError::NoShard {
                        dir: dir.to_path_buf(),
                        shard: shard.clone(),
                        of: shards.len(),
                    });
                }
                let paths: Vec<_> = shards.iter().map(|shard| dir.join(shard)).collect();
                Weights::from_files(&paths)
            }
            None => Err(WeightsError::NoWeights {
                dir: dir.to_path_buf(),
                found: weight_like(&names),
            }),
        }
    }

    /// Maps one file: safetensors, GGUF or a torch checkpoint, by its contents.
    ///
    /// Of a torch checkpoint, the tensors of its state dict are read: the dictionary at the top, or the one that a trainer
    /// put under `state_dict`, `model` or `module`; what else was saved (an optimizer's state) is left out. A tensor whose
    /// rows are not contiguous in the file is copied into memory; all copies together stay below the file's size.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Weights> {
        let path = path.as_ref();
        Weights::from_storage(Storage::map(path)?, &path.display().to_string())
    }

    /// Maps every shard of `index` (a `*.safetensors.index.json` or `*.bin.index.json`); shards are looked up beside it.
    ///
    /// A tensor that a shard holds but the index does not mention is kept, unless two shards hold it.
    pub fn from_index(index: impl AsRef<Path>) -> Result<Weights> {
        let path = index.as_ref();
        let name = path.display().to_string();
        let dir = path.parent().unwrap_or(Path::new(""));
        let mut weights = Weights::empty(&name);
        let mut unlisted = BTreeMap::<String, Placed>::new();
        for (shard, listed) in Index::read(path)?.shards {
            let shard_path = dir.join(&shard);
            if !shard_path.exists() {
                return Err(WeightsError::ShardMissing {
                    index: name,
                    shard,
                    tensors: listed.len(),
                });
            }
            let storage = Storage::map(&shard_path)?;
            let shard_name = shard_path.display().to_string();
            let mut held = weights.add(storage, &shard_name)?;
            for tensor in listed {
                let Some(placed) = held.remove(&tensor) else {
                    return Err(WeightsError::NotInShard {
                        index: name,
                        shard,
                        tensor,
                    });
                };
                weights.tensors.insert(tensor, placed);
            }
            for (tensor, placed) in held {
                if unlisted.contains_key(&tensor) {
                    return Err(WeightsError::Duplicate {
                        file: shard_name,
                        tensor,
                    });
                }
                unlisted.insert(tensor, placed);
            }
        }
        for (tensor, placed) in unlisted {
            weights.tensors.entry(tensor).or_insert(placed);
        }
        Ok(weights)
    }

    /// Weights compiled into the program.
    pub fn from_static(bytes: &'static [u8]) -> Result<Weights> {
        Weights::from_storage(Storage::Static(bytes), "the built-in weights")
    }

    /// Weights in memory; messages call them `name`.
    pub fn from_bytes(bytes: Vec<u8>, name: &str) -> Result<Weights> {
        Weights::from_storage(Storage::Owned(bytes), name)
    }

    fn from_storage(storage: Storage, name: &str) -> Result<Weights> {
        let mut weights = Weights::empty(name);
        weights.tensors = weights.add(storage, name)?;
        Ok(weights)
    }

    fn empty(name: &str) -> Weights {
        Weights {
            name: name.to_string(),
            files: Vec::new(),
            tensors: BTreeMap::new(),
            made: BTreeMap::new(),
            matrices: BTreeMap::new(),
            metadata: BTreeMap::new(),
            gguf: None,
            added: BTreeMap::new(),
        }
    }

    /// Takes in one more file, which messages call `name`, and says what it holds.
    fn add(&mut self, storage: Storage, name: &str) -> Result<BTreeMap<String, Placed>> {
        let file = self.files.len();
        let storage = Arc::new(storage);
        if storage.bytes().starts_with(gguf::MAGIC) {
            let table = gguf::parse(storage.bytes(), name)?;
            self.files.push(storage.clone());
            self.gguf.get_or_insert_with(|| {
                let file = name.to_string();
                Arc::new(Metadata {
                    file,
                    storage,
                    values: table.values,
                })
            });
            let placed = |(name, entry)| (name, Placed { file, entry });
            return Ok(table.tensors.into_iter().map(placed).collect());
        }
        if torch::is_torch(storage.bytes(), name) {
            let read = torch::read(storage.bytes(), name)?;
            self.files.push(storage);
            self.files
                .extend(read.copies.into_iter().map(|copy| Arc::new(Storage::Owned(copy))));
            let place = |copy: Option<usize>| copy.map_or(file, |copy| file + 1 + copy);
            let placed = |(name, (copy, entry))| {
                let file = place(copy);
                (name, Placed { file, entry })
            };
            return Ok(read.placed.into_iter().map(placed).collect());
        }
        let header = Header::parse(storage.bytes(), name)?;
        self.files.push(storage);
        self.metadata.extend(header.metadata);
        let placed = |(name, entry)| (name, Placed { file, entry });
        Ok(header.tensors.into_iter().map(placed).collect())
    }

    /// Tensor names: those of stored tensors in alphabetical order, then those of tensors that were put together, then those of
    /// quantised matrices.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let stored = self.tensors.keys().chain(self.made.keys());
        stored.chain(self.matrices.keys()).map(String::as_str)
    }

    /// Number of tensors.
    pub fn len(&self) -> usize {
        self.tensors.len() + self.made.len() + self.matrices.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name) || self.made.contains_key(name) || self.matrices.contains_key(name)
    }

    /// The shape of the tensor `name`, without reading it.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        let stored = self.tensors.get(name).map(|placed| &placed.entry.shape[..]);
        let made = || self.made.get(name).map(|(made, _)| &made.shape[..]);
        let matrix = || self.matrices.get(name).map(|found| &found.shape[..]);
        stored.or_else(made).or_else(matrix)
    }

    /// The tensor called `name`: borrowed, or put together from borrowed ones; of a quantised matrix what its codes stand for, in f32.
    pub fn view(&self, name: &str) -> Result<View<'_>> {
        let view = self.own(name)?;
        match self.low_rank(name) {
            Some(product) => product.added(view),
            None => Ok(view),
        }
    }

    fn own(&self, name: &str) -> Result<View<'_>> {
        if let Some((name, placed)) = self.tensors.get_key_value(name) {
            return Ok(self.stored(name, placed));
        }
        if let Some((name, _)) = self.matrices.get_key_value(name)
            && let Some(view) = self.dequantised(name)?
        {
            return Ok(view);
        }
        let Some((name, (made, parts))) = self.made.get_key_value(name) else {
            return Err(self.missing(name));
        };
        let parts: Vec<View<'_>> = parts.iter().map(|part| self.stored(name, part)).collect();
        Ok(View {
            name,
            dtype: made.dtype,
            shape: made.shape.clone(),
            bytes: made.assembly.make(made.dtype, &parts)?,
        })
    }

    /// The bytes of the tensor `name` as one file stores them; nothing of a tensor that is put together.
    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        let placed = self.tensors.get(name)?;
        Some(&self.files[placed.file].bytes()[placed.entry.range.clone()])
    }

    /// Fails where a mapped file was cut off since it was opened and something of what is missing has been read: as zeros, so that
    /// whatever was computed with them is to be thrown away.
    pub fn intact(&self) -> Result<()> {
        self.files.iter().try_for_each(|file| file.intact())
    }

    /// Says that the bytes of the tensor `name` were taken over and need not stay in memory. They can still be read.
    pub fn release(&self, name: &str) {
        let parts = self.matrices.get(name).into_iter().flat_map(Found::placed);
        for placed in self.tensors.get(name).into_iter().chain(parts) {
            self.files[placed.file].release(placed.entry.range.clone());
        }
    }

    fn stored<'a>(&'a self, name: &'a str, placed: &Placed) -> View<'a> {
        let Entry { dtype, shape, range } = &placed.entry;
        View {
            name,
            dtype: *dtype,
            shape: shape.clone(),
            bytes: Cow::Borrowed(&self.files[placed.file].bytes()[range.clone()]),
        }
    }

    fn missing(&self, name: &str) -> WeightsError {
        WeightsError::Missing {
            file: self.name.clone(),
            tensor: name.to_string(),
            nearest: self.nearest(name),
        }
    }

    /// Bytes of all tensors together, as they are stored (headers not counted).
    pub fn total_bytes(&self) -> u64 {
        let parts = self.made.values().flat_map(|(_, parts)| parts);
        let parts = parts.chain(self.matrices.values().flat_map(Found::placed));
        self.tensors
            .values()
            .chain(parts)
            .map(|t| t.entry.range.len() as u64)
            .sum()
    }

    /// The typed metadata of GGUF files: of several, the first one's.
    pub fn gguf(&self) -> Option<&Arc<Metadata>> {
        self.gguf.as_ref()
    }

    /// The free text of the files' `__metadata__`; of shards, all together (a later shard's value wins).
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// The name of the file (or index, or what the caller gave) that messages use.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A name with the same last two parts, to make a wrong prefix visible in the message.
    fn nearest(&self, wanted: &str) -> Option<String> {
        let tail = |name: &str| {
            name.rsplitn(3, '.')
                .take(2)
                .map(str::to_string)
                .collect::<Vec<_>>()
        };
        let wanted = tail(wanted);
        self.names().find(|name| tail(name) == wanted).map(str::to_string)
    }
}

impl std::fmt::Debug for Weights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Weights({}: {} tensors, {} files, {} bytes)",
            self.name,
            self.len(),
            self.files.len(),
            self.total_bytes()
        )
    }
}

/// The file or index of a folder to open, of its sorted `names`; the order is that of [`Weights::open`].
fn choose(names: &[String]) -> Option<Chosen<'_>> {
    let shards = |ending: &str| series(names, ending).map(Chosen::Shards);
    let one = |name| match str::ends_with(name, ".index.json") {
        true => Chosen::Index(name),
        false => Chosen::File(name),
    };
    let named = |wanted: &[&str]| -> Option<&str> {
        let mut found = wanted
            .iter()
            .filter_map(|wanted| names.iter().find(|name| name == wanted));
        found.next().map(String::as_str)
    };
    let only = |endings: &[&str]| {
        let mut found = names
            .iter()
            .filter(|name| endings.iter().any(|end| name.ends_with(end)));
        found
            .next()
            .filter(|_| found.next().is_none())
            .map(String::as_str)
    };
    let first = named(&["model.safetensors", "model.safetensors.index.json"])
        .or_else(|| only(&[".safetensors.index.json"]))
        .map(one)
        .or_else(|| shards(".safetensors"));
    let first = first.or_else(|| {
        named(&["consolidated.safetensors"])
            .or_else(|| only(&[".safetensors"]))
            .or_else(|| named(&["pytorch_model.bin", "pytorch_model.bin.index.json"]))
            .or_else(|| only(&[".bin.index.json"]))
            .map(one)
    });
    let last = || {
        // Beside several safetensors, a lone `.bin` is more likely a trainer's state than the weights.
        only(torch::ENDINGS)
            .filter(|_| !names.iter().any(|name| name.ends_with(".safetensors")))
            .map(one)
    };
    first.or_else(|| shards(".bin")).or_else(last)
}

/// The shards of the only model in a folder that has several of `name-00001-of-0000N` with this ending: their names, whether they
/// are there or not.
fn series(names: &[String], ending: &str) -> Option<Vec<String>> {
    let of = |name: &String| {
        let (stem, count) = name.strip_suffix(ending)?.rsplit_once("-of-")?;
        let (stem, number) = stem.rsplit_once('-')?;
        let width = number.len();
        let count: usize = count
            .parse()
            .ok()
            .filter(|count| (2..=limits::SHARDS).contains(count))?;
        number.parse::<usize>().ok()?;
        Some((stem.to_owned(), count, width))
    };
    let mut all: Vec<_> = names.iter().filter_map(of).collect();
    all.dedup();
    let [(stem, count, width)] = &all[..] else {
        return None;
    };
    let name = |at| format!("{stem}-{at:0width$}-of-{count:0width$}{ending}");
    Some((1..=*count).map(name).collect())
}

/// What a folder's weights are read from.
enum Chosen<'n> {
    File(&'n str),
    Index(&'n str),
    /// All of a model's shards, without an index.
    Shards(Vec<String>),
}

/// The files of a folder that look like weights of another format, for the message that ours are absent.
fn weight_like(names: &[String]) -> String {
    const ENDINGS: &[&str] = &[
        ".safetensors",
        ".bin",
        ".pt",
        ".pth",
        ".ckpt",
        ".gguf",
        ".h5",
        ".msgpack",
        ".onnx",
    ];
    let found: Vec<&str> = names
        .iter()
        .filter(|n| ENDINGS.iter().any(|end| n.ends_with(end)))
        .map(String::as_str)
        .take(5)
        .collect();
    if found.is_empty() {
        "no weight files at all".to_string()
    } else {
        found.join(", ")
    }
}
