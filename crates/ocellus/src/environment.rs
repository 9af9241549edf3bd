//! The only reader of environment variables.

use std::path::{Path, PathBuf};

use ocellus_hub::{Proxy, Source, Token};

use crate::error::Failure;

/// Restarts the program with one thread in the tensor library's pool, unless its size is set; for training.
///
/// That pool serves large elementwise operations and spins while it waits. Data-parallel workers, who are threads already, take
/// turns in it, so that a step takes several times as long. Its size can be set by this variable alone, and a process cannot
/// change its own variables safely. Where the program cannot be replaced, everything works, slower.
pub fn settle_threads() {
    const POOL: &str = "CANDLE_NUM_THREADS";
    #[cfg(unix)]
    if std::env::var_os(POOL).is_none()
        && let Ok(program) = std::env::current_exe()
    {
        use std::os::unix::process::CommandExt;
        // Returns only when it failed.
        let _ = std::process::Command::new(program)
            .args(std::env::args_os().skip(1))
            .env(POOL, "1")
            .exec();
    }
}

/// A seed that differs from run to run, for answers without `--seed`.
pub fn fresh_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    // The standard library seeds its hashers from the operating system.
    std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish()
        >> 12
}

/// The environment's settings, checked and with defaults.
#[derive(Debug)]
pub struct Environment {
    /// `OCELLUS_MODEL`: the model of commands without `--model`.
    pub model: Option<String>,
    /// `OCELLUS_HUB`: `huggingface` (default) or `modelscope`.
    pub hub: Source,
    /// `HF_HUB_CACHE`, else its older name `HUGGINGFACE_HUB_CACHE`, else `$HF_HOME/hub`, else `~/.cache/huggingface/hub`.
    pub cache_dir: PathBuf,
    /// `TRANSFORMERS_CACHE` and its older names: caches of the same layout, which are only read.
    pub other_caches: Vec<PathBuf>,
    /// `MODELSCOPE_CACHE`, and `~/.cache/modelscope`: caches of ModelScope's own client, which are only read.
    pub modelscope_caches: Vec<PathBuf>,
    /// `HF_ENDPOINT`, else the official address. ModelScope has only its official address.
    pub endpoint: String,
    /// `HF_TOKEN`, else the file `$HF_HOME/token`.
    pub token: Option<Token>,
    /// `HF_HUB_OFFLINE`.
    pub offline: bool,
    /// `HTTPS_PROXY`, `HTTP_PROXY` or `ALL_PROXY`, and `NO_PROXY`; also in lower case.
    pub proxy: Option<Proxy>,
    /// `OCELLUS_MEMORY`: what a model may take, in place of what the machine says it has.
    pub memory: Option<Allowance>,
    /// `OCELLUS_THREADS`.
    pub threads: Option<usize>,
    /// `OCELLUS_PIN`: the kernels' helper threads are pinned to a processor each.
    pub pin: bool,
    /// `OCELLUS_ISA`: the instruction set that kernels use, instead of the best.
    pub isa: Option<String>,
    /// `OCELLUS_LOG`.
    pub log: Option<log::LevelFilter>,
}

/// How much memory a model may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowance {
    /// Not checked.
    Any,
    Bytes(u64),
}

impl Allowance {
    /// `any`, or a number of bytes, which `kB`, `MB`, `GB` or `TB` multiplies by powers of 1000.
    fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("any") {
            return Some(Self::Any);
        }
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let factor = match text[digits.len()..].to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "k" | "kb" => 1_000,
            "m" | "mb" => 1_000_000,
            "g" | "gb" => 1_000_000_000u64,
            "t" | "tb" => 1_000_000_000_000,
            _ => return None,
        };
        let bytes = digits.trim().parse::<u64>().ok()?.checked_mul(factor)?;
        Some(Self::Bytes(bytes))
    }
}

impl Environment {
    /// Reads the process's environment.
    ///
    /// # Errors
    /// A variable with an invalid value; exit code 2.
    pub fn read() -> Result<Self, Failure> {
        Self::from(|name| std::env::var(name).ok(), std::env::home_dir())
    }

    fn from(get: impl Fn(&str) -> Option<String>, home: Option<PathBuf>) -> Result<Self, Failure> {
        // An empty variable means the same as none.
        let get = |name: &str| get(name).filter(|value| !value.trim().is_empty());
        let either = |name: &str| get(name).or_else(|| get(&name.to_ascii_lowercase()));
        let hub = match get("OCELLUS_HUB").as_deref() {
            None | Some("huggingface") => Source::HuggingFace,
            Some("modelscope") => Source::ModelScope,
            Some(other) => return Err(wrong("OCELLUS_HUB", other, "huggingface or modelscope")),
        };
        let threads = match get("OCELLUS_THREADS") {
            None => None,
            Some(text) => match text.trim().parse() {
                Ok(threads @ 1..=1024) => Some(threads),
                _ => return Err(wrong("OCELLUS_THREADS", &text, "a number from 1 to 1024")),
            },
        };
        let pin = match get("OCELLUS_PIN").as_deref().map(str::trim) {
            None | Some("0") => false,
            Some("1") => true,
            Some(other) => return Err(wrong("OCELLUS_PIN", other, "0 or 1")),
        };
        let memory = match get("OCELLUS_MEMORY") {
            None => None,
            Some(text) => {
                let read = Allowance::read(&text);
                Some(read.ok_or_else(|| wrong("OCELLUS_MEMORY", &text, "a size such as 12GB, or any"))?)
            }
        };
        let log = match get("OCELLUS_LOG") {
            None => None,
            Some(text) => Some(
                text.trim()
                    .parse()
                    .map_err(|_| wrong("OCELLUS_LOG", &text, "off, error, warn, info, debug or trace"))?,
            ),
        };
        // Without a home there is still a place that can be written.
        let caches = get("XDG_CACHE_HOME").map(PathBuf::from);
        let caches = caches.unwrap_or_else(|| home.unwrap_or_else(std::env::temp_dir).join(".cache"));
        let hf_home = get("HF_HOME").map_or_else(|| caches.join("huggingface"), PathBuf::from);
        let cache_dir = get("HF_HUB_CACHE").or_else(|| get("HUGGINGFACE_HUB_CACHE"));
        let cache_dir = cache_dir.map_or_else(|| hf_home.join("hub"), PathBuf::from);
        let older = [
            "TRANSFORMERS_CACHE",
            "PYTORCH_TRANSFORMERS_CACHE",
            "PYTORCH_PRETRAINED_BERT_CACHE",
        ];
        let other_caches = older.iter().filter_map(|name| get(name)).map(PathBuf::from);
        let modelscope_caches = get("MODELSCOPE_CACHE").map(PathBuf::from).into_iter();
        let endpoint = get("HF_ENDPOINT").filter(|_| hub == Source::HuggingFace);
        Ok(Self {
            model: get("OCELLUS_MODEL"),
            hub,
            cache_dir,
            other_caches: other_caches.collect(),
            modelscope_caches: modelscope_caches.chain([caches.join("modelscope")]).collect(),
            endpoint: endpoint.unwrap_or_else(|| hub.endpoint().into()),
            token: token(get("HF_TOKEN"), &hf_home)?,
            offline: get("HF_HUB_OFFLINE").is_some_and(|text| is_true(&text)),
            proxy: either("HTTPS_PROXY")
                .or_else(|| either("HTTP_PROXY"))
                .or_else(|| either("ALL_PROXY"))
                .map(|url| {
                    let bypass = either("NO_PROXY").unwrap_or_default();
                    let bypass = bypass.split(',').map(str::trim).filter(|host| !host.is_empty());
                    Proxy {
                        url,
                        bypass: bypass.map(str::to_owned).collect(),
                    }
                }),
            memory,
            threads,
            pin,
            isa: get("OCELLUS_ISA"),
            log,
        })
    }
}

fn is_true(text: &str) -> bool {
    matches!(
        text.trim().to_ascii_lowercase().as_str(),
        "1" | "on" | "yes" | "true"
    )
}

/// Bytes of a file that holds a token: far more than one has.
const TOKEN_BYTES: u64 = 1 << 16;

fn token(variable: Option<String>, hf_home: &Path) -> Result<Option<Token>, Failure> {
    match variable {
        Some(text) => match Token::new(&text) {
            Some(token) => Ok(Some(token)),
            // The value is a secret and is not repeated.
            None => Err(
                Failure::usage("HF_TOKEN holds characters that a token cannot have")
                    .hint("copy the token again; it starts with hf_"),
            ),
        },
        None => Ok(
            ocellus_base::files::read_text(&hf_home.join("token"), TOKEN_BYTES)
                .ok()
                .and_then(|text| Token::new(&text)),
        ),
    }
}

fn wrong(name: &str, found: &str, expected: &str) -> Failure {
    Failure::usage(format!(
        "the environment variable {name} is `{found}`, expected {expected}"
    ))
    .hint(format!("unset {name}, or give it one of these values"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Environment, Failure> {
        let get = |name: &str| {
            variables
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, value)| (*value).to_owned())
        };
        Environment::from(get, Some("/home/me".into()))
    }

    #[test]
    fn cache_folders() {
        let cases: [(&[(&str, &str)], &str); 5] = [
            (&[], "/home/me/.cache/huggingface/hub"),
            (&[("XDG_CACHE_HOME", "/c")], "/c/huggingface/hub"),
            (&[("HF_HOME", "/h"), ("XDG_CACHE_HOME", "/c")], "/h/hub"),
            (&[("HF_HOME", "/h"), ("HF_HUB_CACHE", "/x")], "/x"),
            (&[("HF_HOME", " ")], "/home/me/.cache/huggingface/hub"),
        ];
        for (variables, expected) in cases {
            assert_eq!(
                read(variables).unwrap().cache_dir,
                Path::new(expected),
                "{variables:?}"
            );
        }
    }

    #[test]
    fn caches_of_other_programs() {
        let found = read(&[
            ("HUGGINGFACE_HUB_CACHE", "/older"),
            ("TRANSFORMERS_CACHE", "/t"),
            ("MODELSCOPE_CACHE", "/ms"),
        ])
        .unwrap();
        assert_eq!(found.cache_dir, Path::new("/older"));
        assert_eq!(found.other_caches, [Path::new("/t")]);
        let expected = ["/ms", "/home/me/.cache/modelscope"].map(Path::new);
        assert_eq!(found.modelscope_caches, expected);
        let found = read(&[("HUGGINGFACE_HUB_CACHE", "/older"), ("HF_HUB_CACHE", "/x")]).unwrap();
        assert_eq!(found.cache_dir, Path::new("/x"));
        assert!(found.other_caches.is_empty());
    }

    #[test]
    fn values_are_checked() {
        for (name, value, good) in [
            ("OCELLUS_HUB", "modelscope", true),
            ("OCELLUS_HUB", "elsewhere", false),
            ("OCELLUS_THREADS", "4", true),
            ("OCELLUS_THREADS", "0", false),
            ("OCELLUS_THREADS", "-1", false),
            ("OCELLUS_THREADS", "many", false),
            ("OCELLUS_PIN", "1", true),
            ("OCELLUS_PIN", "0", true),
            ("OCELLUS_PIN", "", true),
            ("OCELLUS_PIN", "2-3", false),
            ("OCELLUS_LOG", "debug", true),
            ("OCELLUS_LOG", "loud", false),
            ("HF_TOKEN", "hf_x", true),
            ("HF_TOKEN", "hf x", false),
        ] {
            match read(&[(name, value)]) {
                Ok(_) => assert!(good, "{name}={value}"),
                Err(failure) => assert!(!good && failure.code() == 2, "{name}={value}"),
            }
        }
    }

    #[test]
    fn the_endpoint_variable_is_for_its_own_hub() {
        let both = [
            ("HF_ENDPOINT", "https://mirror.example"),
            ("OCELLUS_HUB", "modelscope"),
        ];
        assert_eq!(read(&both[..1]).unwrap().endpoint, "https://mirror.example");
        assert_eq!(read(&both).unwrap().endpoint, "https://modelscope.cn");
        assert_eq!(read(&[]).unwrap().endpoint, "https://huggingface.co");
    }

    #[test]
    fn memory_is_a_size_or_any() {
        let memory = |text: &str| read(&[("OCELLUS_MEMORY", text)]).map(|e| e.memory);
        for (text, expected) in [
            ("any", Allowance::Any),
            ("4096", Allowance::Bytes(4096)),
            ("12GB", Allowance::Bytes(12_000_000_000)),
            ("500 mb", Allowance::Bytes(500_000_000)),
        ] {
            assert_eq!(memory(text).unwrap(), Some(expected), "{text}");
        }
        assert_eq!(memory("").unwrap(), None);
        for text in ["much", "-1", "1.5GB", "9999999999999TB", "GB", "3 GiB"] {
            assert_eq!(memory(text).unwrap_err().code(), 2, "{text}");
        }
    }

    #[test]
    fn switches_and_proxies() {
        for (value, expected) in [
            ("1", true),
            ("TRUE", true),
            ("yes", true),
            ("0", false),
            ("false", false),
            ("", false),
        ] {
            assert_eq!(
                read(&[("HF_HUB_OFFLINE", value)]).unwrap().offline,
                expected,
                "{value}"
            );
        }
        let proxy = read(&[("https_proxy", "http://p:1"), ("NO_PROXY", "a, .b,")])
            .unwrap()
            .proxy
            .unwrap();
        assert_eq!(
            proxy,
            Proxy {
                url: "http://p:1".into(),
                bypass: vec!["a".into(), ".b".into()]
            }
        );
    }
}
