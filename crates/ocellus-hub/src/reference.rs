//! What a user may write to name a model.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::HubError;
use crate::gguf::is_gguf;
use crate::selection::is_safe_name;

/// The one model whose bytes are inside the program.
pub const BUILT_IN: &str = "nano";

/// A model as named by the user, not yet looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// The built-in model: `nano`.
    BuiltIn,
    /// `org/name` or `org/name@revision` on a hub.
    Repository {
        id: RepositoryId,
        revision: Option<Revision>,
    },
    /// One `.gguf` file of a repository that holds several: `org/name/file.gguf`, with `@revision` behind the name.
    RepositoryFile {
        id: RepositoryId,
        revision: Option<Revision>,
        file: String,
    },
    /// A folder on this machine.
    Folder(PathBuf),
    /// A `.gguf` file on this machine.
    Gguf(PathBuf),
}

impl Reference {
    /// Reads a name. The first that fits wins: `nano`; a path ending in `.gguf`, which is a file of a repository where there is no
    /// such file on this machine and its first two parts are `org/name`; a text that can only be a path
    /// (absolute, or starting with `./`, `../` or `~`); an existing folder; `org/name` with or without `@revision`.
    ///
    /// # Errors
    /// [`HubError::BadReference`] with the reason when nothing fits.
    pub fn parse(text: &str) -> Result<Self, HubError> {
        let bad = |reason: &str| HubError::BadReference {
            text: text.into(),
            reason: reason.into(),
        };
        if text.is_empty() || text.contains('\0') {
            return Err(bad("expected `nano`, org/name, a folder or a .gguf file"));
        }
        if text == BUILT_IN {
            return Ok(Self::BuiltIn);
        }
        let path = Path::new(text);
        if is_gguf(path) {
            let there = path.is_file() || path.parent().is_some_and(|p| p != Path::new("") && p.is_dir());
            return Ok(match Self::of_repository(text).filter(|_| !there) {
                Some(file) => file,
                None => Self::Gguf(path.into()),
            });
        }
        if text.starts_with('~') {
            return Err(bad(
                "`~` was not expanded by the shell, write the folder's full path",
            ));
        }
        let only_a_path = path.is_absolute()
            || text.contains('\\')
            || [".", ".."].contains(&text)
            || ["./", "../"].iter().any(|start| text.starts_with(start));
        if only_a_path || path.is_dir() {
            return Ok(Self::Folder(path.into()));
        }
        let (id, revision) = match text.split_once('@') {
            Some((id, revision)) => (
                id,
                Some(Revision::parse(revision).map_err(|reason| bad(&reason))?),
            ),
            None => (text, None),
        };
        let id = RepositoryId::parse(id).map_err(|reason| bad(&reason))?;
        Ok(Self::Repository { id, revision })
    }

    /// `org/name/file` or `org/name@revision/file`.
    fn of_repository(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '/');
        let (organisation, name, file) = (parts.next()?, parts.next()?, parts.next()?);
        let (name, revision) = match name.split_once('@') {
            Some((name, revision)) => (name, Some(Revision::parse(revision).ok()?)),
            None => (name, None),
        };
        let id = RepositoryId::parse(&format!("{organisation}/{name}")).ok()?;
        is_safe_name(file).then(|| Self::RepositoryFile {
            id,
            revision,
            file: file.to_owned(),
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => f.write_str(BUILT_IN),
            Self::Repository { id, revision: None } => write!(f, "{id}"),
            Self::Repository {
                id,
                revision: Some(revision),
            } => write!(f, "{id}@{revision}"),
            Self::RepositoryFile {
                id,
                revision: None,
                file,
            } => write!(f, "{id}/{file}"),
            Self::RepositoryFile {
                id,
                revision: Some(revision),
                file,
            } => write!(f, "{id}@{revision}/{file}"),
            Self::Folder(path) | Self::Gguf(path) => write!(f, "{}", path.display()),
        }
    }
}

/// `org/name`, checked: it can stand in a URL and in a folder name as it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepositoryId {
    organisation: String,
    name: String,
}

impl RepositoryId {
    /// # Errors
    /// A sentence that says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some((organisation, name)) = text.split_once('/') else {
            return Err(
                "it is not `nano`, not an existing folder, and a hub name has the form org/name".into(),
            );
        };
        for part in [organisation, name] {
            let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
            if part.is_empty() || part.len() > 96 || !part.chars().all(allowed) {
                return Err(
                    "a hub name has the form org/name, each 1 to 96 letters, digits, `.`, `_` or `-`".into(),
                );
            }
            // `--` separates the two parts in the cache's folder names; the others would climb or hide.
            if part.contains("--")
                || part.contains("..")
                || part.starts_with(['.', '-'])
                || part.ends_with(['.', '-'])
            {
                return Err(
                    "the parts of org/name must not contain `--` or `..`, nor begin or end with `.` or `-`"
                        .into(),
                );
            }
        }
        Ok(Self {
            organisation: organisation.into(),
            name: name.into(),
        })
    }

    /// The folder name of the cache: `models--org--name`.
    pub(crate) fn folder(&self) -> String {
        format!("models--{}--{}", self.organisation, self.name)
    }

    /// The id of a cache folder, or nothing when the folder is something else.
    pub(crate) fn from_folder(folder: &str) -> Option<Self> {
        let (organisation, name) = folder.strip_prefix("models--")?.split_once("--")?;
        Self::parse(&format!("{organisation}/{name}")).ok()
    }
}

impl fmt::Display for RepositoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.organisation, self.name)
    }
}

/// A branch, tag or commit, checked: it can stand in a path below `refs/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision(String);

impl Revision {
    /// # Errors
    /// A sentence that says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, String> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | '+');
        let parts_are_safe = text
            .split('/')
            .all(|part| !part.is_empty() && !part.starts_with(['.', '-']) && !part.ends_with('.'));
        if text.len() <= 200 && text.chars().all(allowed) && parts_are_safe && !text.contains("..") {
            Ok(Self(text.into()))
        } else {
            Err(format!("the revision `{text}` is not a branch, tag or commit"))
        }
    }

    /// The text as given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this names one commit for ever: 40 lower-case hexadecimal digits.
    pub fn is_commit(&self) -> bool {
        is_hex(&self.0, 40)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether `text` is exactly `digits` lower-case hexadecimal digits: what may become a file name of the cache.
pub(crate) fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}
