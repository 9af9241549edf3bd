//! From a name to a folder: look here first, then ask the hub.

use std::collections::HashSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use ocellus_base::limits::JSON_BYTES;

use crate::adapter::{self, Adapter};
use crate::cache::Repository;
use crate::disk::{Disk, RealDisk};
use crate::download::{Downloader, refusal};
use crate::gguf::{self, GgufFiles};
use crate::hashed;
use crate::http::{self, Client, Failure};
use crate::listing::{self, Listing, RemoteFile};
use crate::lock::Lock;
use crate::{BUILT_IN, Cached, HubConfig, HubError, Progress, Reference, RepositoryId, Revision, Source};
use crate::{inventory, modelscope, selection};

/// Room left free beside the files themselves.
const SPARE_BYTES: u64 = 64 << 20;

/// A model that was found and can be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// As the user named it.
    pub name: String,
    pub location: Location,
    /// The commit, when it came from a hub.
    pub commit: Option<String>,
    /// The folder of the adapter that changes its weights.
    pub adapter: Option<PathBuf>,
}

impl Checkpoint {
    /// The model inside the program.
    pub fn built_in() -> Self {
        Self {
            name: BUILT_IN.to_owned(),
            location: Location::BuiltIn,
            commit: None,
            adapter: None,
        }
    }

    /// A folder with `config.json` (or `params.json`), weights, tokenizer; with an adapter, if one lies beside them.
    pub fn folder(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self {
            name: path.display().to_string(),
            adapter: adapter::beside(&path),
            location: Location::Folder(path),
            commit: None,
        }
    }
}

/// Where a checkpoint's bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// Inside the program.
    BuiltIn,
    /// A folder with `config.json` (or `params.json`), weights, tokenizer.
    Folder(PathBuf),
    /// A language model and a vision tower in GGUF.
    Gguf(GgufFiles),
}

/// Finds and fetches checkpoints.
pub struct Hub {
    config: HubConfig,
    /// The only host that is sent the token.
    pub(crate) token_origin: String,
    pub(crate) disk: Box<dyn Disk>,
}

impl Hub {
    /// Nothing is requested yet, and what is wrong with the addresses matters to requests only.
    pub fn new(config: HubConfig) -> Self {
        Self {
            config,
            token_origin: crate::config::TOKEN_ORIGIN.into(),
            disk: Box::new(RealDisk),
        }
    }

    /// Whether the addresses of the hub and of the proxy can be used; asks nobody.
    ///
    /// # Errors
    /// [`HubError::BadEndpoint`] and [`HubError::BadProxy`].
    pub fn check(&self) -> Result<(), HubError> {
        self.remote().map(drop)
    }

    fn remote(&self) -> Result<Remote, HubError> {
        let endpoint = self.config.endpoint.trim().trim_end_matches('/').to_owned();
        let bad = |reason: String| HubError::BadEndpoint {
            url: http::shown(&endpoint),
            reason,
        };
        let uri = http::check(&endpoint).map_err(bad)?;
        if uri.query().is_some() || endpoint.contains('#') {
            return Err(bad("expected https://host, without a query".into()));
        }
        Ok(Remote {
            client: Client::new(&self.config, &self.token_origin)?,
            host: uri.authority().map_or_else(String::new, |a| a.to_string()),
            endpoint,
        })
    }

    /// The folder that this hub's repositories are below.
    pub fn cache_dir(&self) -> PathBuf {
        match self.config.source {
            Source::HuggingFace => self.config.cache_dir.clone(),
            Source::ModelScope => self.config.cache_dir.join("modelscope"),
        }
    }

    /// Finds a checkpoint, downloading it when the cache does not hold all of it. A complete one in the cache is used
    /// without asking the network whether the branch has moved; [`Hub::pull`] asks.
    ///
    /// # Errors
    /// Any [`HubError`]; the cache then shows either nothing new or only complete, checked files.
    pub fn resolve(&self, reference: &Reference, progress: &dyn Progress) -> Result<Checkpoint, HubError> {
        self.adapted(self.find(reference, progress)?, progress)
    }

    /// A checkpoint with its adapter, if it has one: an adapter alone gets its base.
    fn adapted(&self, found: Checkpoint, progress: &dyn Progress) -> Result<Checkpoint, HubError> {
        let folder = match &found.location {
            Location::Folder(folder) => Some(folder.clone()),
            Location::Gguf(files) => files.language[0].parent().map(Path::to_owned),
            Location::BuiltIn => None,
        };
        let adapter = folder.and_then(|folder| Some((adapter::in_folder(&folder)?, folder)));
        let Some((kind, folder)) = adapter else {
            return match &self.config.base {
                None => Ok(found),
                Some(base) => Err(HubError::NotAnAdapter {
                    name: found.name,
                    base: base.to_string(),
                }),
            };
        };
        adapter::weights(&folder)?;
        let base = match (kind, &self.config.base) {
            (_, Some(base)) => self.find(base, progress)?,
            (Adapter::Alone, None) => self.find(&adapter::base(&folder)?, progress)?,
            (Adapter::Beside, None) => {
                return Ok(Checkpoint {
                    adapter: Some(folder),
                    ..found
                });
            }
        };
        let own = match &base.location {
            Location::Folder(own) if *own != folder => adapter::in_folder(own),
            _ => None,
        };
        if own.is_some() {
            return Err(HubError::TwoAdapters {
                adapter: folder,
                base: base.name,
            });
        }
        Ok(Checkpoint {
            name: found.name,
            location: base.location,
            commit: found.commit,
            adapter: Some(folder),
        })
    }

    fn find(&self, reference: &Reference, progress: &dyn Progress) -> Result<Checkpoint, HubError> {
        let (id, revision, file) = match self.local(reference)? {
            Found::Here(checkpoint) => return Ok(checkpoint),
            Found::OnHub(id, revision, file) => (id, revision, file),
        };
        if let Some(file) = file {
            return match self.cached_file(reference, id, &revision, file) {
                Some(checkpoint) => Ok(checkpoint),
                None if self.config.offline => Err(HubError::Offline {
                    what: reference.to_string(),
                    missing: vec![file.to_owned()],
                }),
                None => self.download(reference, id, &revision, Some(file), progress),
            };
        }
        let repository = Repository::new(&self.cache_dir(), id);
        let cached = repository
            .commit(&revision)
            .map(|commit| (repository.snapshot(&commit), commit));
        let absent = match &cached {
            Some((folder, _)) if folder.is_dir() => selection::missing(folder),
            _ => vec!["all files".into()],
        };
        match cached {
            Some((folder, commit)) if absent.is_empty() => Ok(Checkpoint {
                name: reference.to_string(),
                location: Location::Folder(folder),
                commit: Some(commit),
                adapter: None,
            }),
            _ => match self.elsewhere(reference, id, &revision)? {
                Some(checkpoint) => Ok(checkpoint),
                None if self.config.offline => Err(HubError::Offline {
                    what: reference.to_string(),
                    missing: absent,
                }),
                None => self.download(reference, id, &revision, None, progress),
            },
        }
    }

    /// A complete checkpoint in a cache of another program.
    fn elsewhere(
        &self,
        reference: &Reference,
        id: &RepositoryId,
        revision: &Revision,
    ) -> Result<Option<Checkpoint>, HubError> {
        let in_layout = self.config.other_caches.iter().filter_map(|cache| {
            let repository = Repository::new(cache, id);
            let commit = repository.commit(revision)?;
            Some((repository.snapshot(&commit), Some(commit)))
        });
        // Folders of the other client say no revision.
        let named = matches!(reference, Reference::Repository { revision: None, .. });
        let caches = self.config.modelscope_caches.iter().filter(|_| named);
        let by_name = caches
            .flat_map(|cache| modelscope::folders(cache, id))
            .map(|folder| (folder, None));
        let complete = |(folder, _): &(PathBuf, _)| folder.is_dir() && selection::missing(folder).is_empty();
        let found = match in_layout.chain(by_name).find(complete) {
            Some(found) => Some(found),
            None => self
                .by_address(id, revision)?
                .map(|folder| (folder, None))
                .filter(complete),
        };
        Ok(found.map(|(folder, commit)| Checkpoint {
            name: reference.to_string(),
            location: Location::Folder(folder),
            commit,
            adapter: None,
        }))
    }

    /// The files that a cache holds by their addresses, as a folder of links.
    fn by_address(&self, id: &RepositoryId, revision: &Revision) -> Result<Option<PathBuf>, HubError> {
        let caches = self.config.other_caches.iter();
        let found = caches.map(|cache| hashed::files(cache, id, revision.as_str()));
        let Some(files) = found
            .max_by_key(|files| files.len())
            .filter(|files| !files.is_empty())
        else {
            return Ok(None);
        };
        let revision = revision.as_str().replace('/', "--");
        let folder = self.cache_dir().join("links").join(id.folder()).join(revision);
        hashed::linked(&files, &folder)?;
        Ok(Some(folder))
    }

    /// A file of a repository with its tower, where a cache holds both.
    fn cached_file(
        &self,
        reference: &Reference,
        id: &RepositoryId,
        revision: &Revision,
        file: &str,
    ) -> Option<Checkpoint> {
        let own = self.cache_dir();
        let caches = std::iter::once(&own).chain(&self.config.other_caches);
        let found = |cache: &PathBuf| {
            let repository = Repository::new(cache, id);
            let commit = repository.commit(revision)?;
            let path = repository.snapshot(&commit).join(file);
            let files = gguf::of_file(&path).ok().filter(|_| path.is_file())?;
            Some((files, commit))
        };
        let (files, commit) = caches.filter_map(found).next()?;
        Some(Checkpoint {
            name: reference.to_string(),
            location: Location::Gguf(files),
            commit: Some(commit),
            adapter: None,
        })
    }

    /// Like [`Hub::resolve`], but asks the hub for the revision's current commit and fetches what is new.
    ///
    /// # Errors
    /// As [`Hub::resolve`].
    pub fn pull(&self, reference: &Reference, progress: &dyn Progress) -> Result<Checkpoint, HubError> {
        if self.config.offline {
            return self.resolve(reference, progress);
        }
        let found = match self.local(reference)? {
            Found::Here(checkpoint) => checkpoint,
            Found::OnHub(id, revision, file) => self.download(reference, id, &revision, file, progress)?,
        };
        self.adapted(found, progress)
    }

    /// What this hub's cache holds.
    ///
    /// # Errors
    /// [`HubError::Io`].
    pub fn list(&self) -> Result<Vec<Cached>, HubError> {
        inventory::list(&self.cache_dir(), self.config.source)
    }

    /// Removes a repository, or one revision of it, from the cache; returns the bytes freed.
    ///
    /// # Errors
    /// [`HubError::NotCached`], [`HubError::Io`].
    pub fn remove(&self, id: &RepositoryId, revision: Option<&Revision>) -> Result<u64, HubError> {
        inventory::remove(&self.cache_dir(), id, revision)
    }

    /// Whether the endpoint answers at all: an error only when there is no answer.
    ///
    /// # Errors
    /// [`HubError::Unreachable`], [`HubError::BadRedirect`], and as [`Hub::check`].
    pub fn ping(&self) -> Result<(), HubError> {
        let remote = self.remote()?;
        match remote.client.get(&remote.endpoint, 0) {
            Ok(_) | Err(Failure::Status { .. }) => Ok(()),
            Err(failure) => Err(refusal(failure, "a first contact", &remote.host)),
        }
    }

    fn local<'r>(&self, reference: &'r Reference) -> Result<Found<'r>, HubError> {
        let location = match reference {
            Reference::BuiltIn => Location::BuiltIn,
            Reference::Gguf(path) if path.is_file() => Location::Gguf(gguf::of_file(path)?),
            Reference::Gguf(path) => {
                return Err(HubError::Missing {
                    path: path.clone(),
                    kind: "file",
                });
            }
            Reference::Folder(path) if !path.is_dir() => {
                return Err(HubError::Missing {
                    path: path.clone(),
                    kind: "folder",
                });
            }
            Reference::Folder(path) if path.join("snapshots").is_dir() => {
                let Some((folder, commit)) = Repository::usual(path) else {
                    return Err(HubError::NotACheckpoint {
                        path: path.clone(),
                        expected: "`refs/main`, or a single snapshot, in this folder of a cache",
                    });
                };
                let location = match Self::gguf(&folder)? {
                    Some(files) => Location::Gguf(files),
                    None => Location::Folder(folder),
                };
                return Ok(Found::Here(Checkpoint {
                    name: reference.to_string(),
                    location,
                    commit: Some(commit),
                    adapter: None,
                }));
            }
            Reference::Folder(path) => {
                if let Some(files) = Self::gguf(path)? {
                    return Ok(Found::Here(Checkpoint {
                        name: reference.to_string(),
                        location: Location::Gguf(files),
                        commit: None,
                        adapter: None,
                    }));
                }
                let alone = adapter::in_folder(path) == Some(Adapter::Alone);
                if !alone && !selection::CONFIGS.iter().any(|name| path.join(name).is_file()) {
                    let found = adapter::below(path);
                    if !found.is_empty() {
                        return Err(HubError::AdaptersBelow {
                            path: path.clone(),
                            found: found.join(", "),
                        });
                    }
                    let expected = "config.json (or params.json) in it";
                    return Err(HubError::NotACheckpoint {
                        path: path.clone(),
                        expected,
                    });
                }
                Location::Folder(path.clone())
            }
            Reference::Repository { id, revision } | Reference::RepositoryFile { id, revision, .. } => {
                let default = || Revision::parse(self.config.source.default_revision());
                let revision = match revision {
                    Some(revision) => revision.clone(),
                    None => default().map_err(|reason| HubError::BadReference {
                        text: reference.to_string(),
                        reason,
                    })?,
                };
                let file = match reference {
                    Reference::RepositoryFile { file, .. } => Some(file.as_str()),
                    _ => None,
                };
                return Ok(Found::OnHub(id, revision, file));
            }
        };
        Ok(Found::Here(Checkpoint {
            name: reference.to_string(),
            location,
            commit: None,
            adapter: None,
        }))
    }

    /// The model in GGUF of a folder that holds no checkpoint in another format.
    fn gguf(folder: &Path) -> Result<Option<GgufFiles>, HubError> {
        let entries = std::fs::read_dir(folder).map_err(HubError::io("read the folder", folder))?;
        let names: Vec<String> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        match selection::weights(&names).is_empty() {
            true => gguf::in_folder(folder),
            false => Ok(None),
        }
    }

    fn download(
        &self,
        reference: &Reference,
        id: &RepositoryId,
        revision: &Revision,
        only: Option<&str>,
        progress: &dyn Progress,
    ) -> Result<Checkpoint, HubError> {
        let remote = self.remote()?;
        let listing = self.listing(&remote, id, revision, progress)?;
        let names: Vec<&str> = listing.files.iter().map(|file| file.name.as_str()).collect();
        let wanted: HashSet<&str> = match only {
            Some(file) if !names.contains(&file) => {
                return Err(HubError::NotFound {
                    what: format!("{file} in {id} at {revision}"),
                    host: remote.host.clone(),
                });
            }
            Some(file) => gguf::of_repository(&names, file).into_iter().collect(),
            None => selection::wanted(&names).into_iter().collect(),
        };
        let wanted: HashSet<&str> = wanted.into_iter().collect();
        let adapter = names.contains(&selection::ADAPTER);
        if only.is_none() && !adapter && selection::weights(&names).is_empty() {
            return Err(HubError::NoWeights {
                repository: id.to_string(),
                found: selection::weight_like(&names),
            });
        }
        let mut files: Vec<&RemoteFile> = listing
            .files
            .iter()
            .filter(|file| wanted.contains(file.name.as_str()))
            .collect();
        // What says whether the model can be used comes before what is large.
        let is_config = |file: &RemoteFile| selection::CONFIGS.contains(&file.name.as_str());
        files.sort_by_key(|file| !is_config(file));
        for file in &files {
            let (found, allowed) = (file.size_bytes, selection::most_bytes(&file.name));
            if found > allowed {
                return Err(HubError::BadListing {
                    repository: id.to_string(),
                    host: remote.host.clone(),
                    reason: format!(
                        "{} has {found} bytes, more than the {allowed} that are accepted",
                        file.name
                    ),
                });
            }
        }
        let repository = Repository::new(&self.cache_dir(), id);
        let blobs = repository.blobs();
        std::fs::create_dir_all(&blobs).map_err(HubError::io("create the folder", &blobs))?;
        self.check_room(&blobs, &files)?;
        let downloader = Downloader {
            client: &remote.client,
            disk: &*self.disk,
            retry_delays: &self.config.retry_delays,
            host: &remote.host,
            progress,
        };
        for file in &files {
            let hex = file.checksum.hex();
            let blob = blobs.join(hex);
            if !has_size(&blob, file.size_bytes) {
                let lock = repository.locks.join(format!("{hex}.lock"));
                let _lock = Lock::take(&lock, self.config.lock_wait, progress)?;
                // Another process may have finished it while this one waited.
                if !has_size(&blob, file.size_bytes) {
                    let (source, endpoint) = (&self.config.source, &remote.endpoint);
                    let (revision, commit) = (revision.as_str(), &listing.commit);
                    let url = listing::file_url(*source, endpoint, id, revision, commit, &file.name);
                    downloader.fetch(&url, file, &blob)?;
                }
            }
            if is_config(file) {
                let bytes =
                    ocellus_base::files::read(&blob, JSON_BYTES).map_err(HubError::io("read", &blob))?;
                progress
                    .accept(&file.name, &bytes)
                    .map_err(|reason| HubError::Unsuitable {
                        repository: id.to_string(),
                        reason,
                    })?;
            }
            repository.link(&listing.commit, &file.name, hex)?;
        }
        repository.remember(revision, &listing.commit)?;
        let folder = repository.snapshot(&listing.commit);
        let location = match only {
            Some(file) => Location::Gguf(gguf::of_file(&folder.join(file))?),
            None => Location::Folder(folder),
        };
        Ok(Checkpoint {
            name: reference.to_string(),
            location,
            commit: Some(listing.commit),
            adapter: None,
        })
    }

    fn listing(
        &self,
        remote: &Remote,
        id: &RepositoryId,
        revision: &Revision,
        progress: &dyn Progress,
    ) -> Result<Listing, HubError> {
        let url = listing::list_url(self.config.source, &remote.endpoint, id, revision.as_str());
        let what = format!("{id} at {revision}");
        let mut attempt = 0;
        loop {
            let reason = match remote.client.get(&url, 0) {
                Ok(answer) => {
                    let mut bytes = Vec::new();
                    match answer.into_reader().take(JSON_BYTES + 1).read_to_end(&mut bytes) {
                        Ok(_) => return listing::parse(self.config.source, &remote.host, id, &bytes),
                        Err(error) => format!("the connection broke off ({error})"),
                    }
                }
                Err(Failure::Transient(reason)) => reason,
                Err(failure) => return Err(refusal(failure, &what, &remote.host)),
            };
            let host = remote.host.clone();
            if progress.cancelled() {
                return Err(HubError::Cancelled);
            }
            let Some(delay) = self.config.retry_delays.get(attempt) else {
                return Err(HubError::Unreachable {
                    what,
                    host,
                    reason,
                    attempts: attempt + 1,
                });
            };
            attempt += 1;
            progress.note(&format!("{host}: {reason}; trying again"));
            std::thread::sleep(*delay);
        }
    }

    fn check_room(&self, blobs: &Path, files: &[&RemoteFile]) -> Result<(), HubError> {
        let length = |path: &Path| std::fs::metadata(path).map_or(0, |m| m.len());
        let needed_bytes: u64 = files
            .iter()
            .map(|file| {
                let blob = blobs.join(file.checksum.hex());
                let done = length(&blob).max(length(&blob.with_extension("incomplete")));
                file.size_bytes.saturating_sub(done)
            })
            .fold(0, u64::saturating_add);
        // Where free space is unknown, writing will show it.
        let Ok(available_bytes) = self.disk.available_bytes(blobs) else {
            return Ok(());
        };
        if needed_bytes > 0 && needed_bytes.saturating_add(SPARE_BYTES) > available_bytes {
            return Err(HubError::NoSpace {
                path: blobs.into(),
                needed_bytes,
                spare_bytes: SPARE_BYTES,
                available_bytes,
            });
        }
        Ok(())
    }
}

/// The other side of a connection.
struct Remote {
    client: Client,
    /// Without a slash at its end.
    endpoint: String,
    host: String,
}

/// A reference after looking at this machine only.
enum Found<'r> {
    Here(Checkpoint),
    /// With the file that is meant, where it is one of a repository.
    OnHub(&'r RepositoryId, Revision, Option<&'r str>),
}

/// Blobs get their name after their checksum was right, so the size is enough to see that one is there.
fn has_size(blob: &Path, size_bytes: u64) -> bool {
    std::fs::metadata(blob).is_ok_and(|m| m.is_file() && m.len() == size_bytes)
}
