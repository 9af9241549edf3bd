//! Everything that is decided outside: which hub, which folder, how long to wait.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::Reference;

/// The only place a token is for.
pub(crate) const TOKEN_ORIGIN: &str = "https://huggingface.co";

/// Which hub's interface an endpoint has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    HuggingFace,
    ModelScope,
}

impl Source {
    /// The official address.
    pub fn endpoint(self) -> &'static str {
        match self {
            Self::HuggingFace => TOKEN_ORIGIN,
            Self::ModelScope => "https://modelscope.cn",
        }
    }

    /// The branch that a name without a revision means.
    pub(crate) fn default_revision(self) -> &'static str {
        match self {
            Self::HuggingFace => "main",
            Self::ModelScope => "master",
        }
    }
}

/// A hub's access token. Its `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Nothing when the text, trimmed, is empty or could not stand in a header.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic())).then(|| Self(text.into()))
    }

    pub(crate) fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

/// A proxy server and the hosts that are reached without it.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// `http://host:port`, with `user:password@` before the host if needed.
    pub url: String,
    /// Host names, `.suffix` or `*`.
    pub bypass: Vec<String>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The address may hold a password.
        f.debug_struct("Proxy")
            .field("url", &"***")
            .field("bypass", &self.bypass)
            .finish()
    }
}

/// How long each kind of wait may last. None of them bounds a transfer that makes progress.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Name look-up and connection, including TLS.
    pub connect: Duration,
    /// From the request to the first line of the answer.
    pub response: Duration,
    /// Between two blocks of a body.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            response: Duration::from_secs(30),
            idle: Duration::from_secs(30),
        }
    }
}

/// Everything a [`Hub`](crate::Hub) depends on.
#[derive(Debug, Clone)]
pub struct HubConfig {
    pub source: Source,
    /// `https://host[:port][/path]`: the official address or a mirror.
    pub endpoint: String,
    /// The cache of Hugging Face files; ModelScope's is its subfolder `modelscope`.
    pub cache_dir: PathBuf,
    /// Further folders in the cache's layout. They are only read.
    pub other_caches: Vec<PathBuf>,
    /// Caches of ModelScope's own client. They are only read.
    pub modelscope_caches: Vec<PathBuf>,
    /// The base of an adapter, in place of the one that it names.
    pub base: Option<Reference>,
    /// Sent to the official Hugging Face host over https only.
    pub token: Option<Token>,
    /// Never touch the network.
    pub offline: bool,
    pub proxy: Option<Proxy>,
    pub timeouts: Timeouts,
    /// Pauses before the second, third, … attempt. Their number bounds the attempts that bring nothing new.
    pub retry_delays: Vec<Duration>,
    /// How long to wait for another process that downloads the same file.
    pub lock_wait: Duration,
    pub user_agent: String,
}

impl HubConfig {
    /// The official endpoint of a source, no token, no proxy, five attempts over eight seconds.
    pub fn new(source: Source, cache_dir: PathBuf) -> Self {
        Self {
            source,
            endpoint: source.endpoint().into(),
            cache_dir,
            other_caches: Vec::new(),
            modelscope_caches: Vec::new(),
            base: None,
            token: None,
            offline: false,
            proxy: None,
            timeouts: Timeouts::default(),
            retry_delays: [500, 1000, 2000, 4000].map(Duration::from_millis).to_vec(),
            lock_wait: Duration::from_secs(3600),
            user_agent: concat!("ocellus/", env!("CARGO_PKG_VERSION")).into(),
        }
    }
}
