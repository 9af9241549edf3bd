//! What does not work, and what is left behind then: nothing in snapshots, a part to resume.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use super::server::{Reply, Request, Server};
use super::setting::*;
use crate::disk::{Disk, RealDisk};
use crate::lock::Lock;
use crate::{HubError, Progress, Silent};

/// Pulls and returns the error; checks that no snapshot and no reference came of it.
fn fails(setting: &Setting, progress: &dyn crate::Progress) -> HubError {
    let error = setting.hub().resolve(&reference(ID), progress).unwrap_err();
    assert!(!setting.snapshot().join("model.safetensors").exists());
    assert!(!setting.repository().join("refs/main").exists());
    error
}

#[test]
fn answers_that_stay_the_same_are_not_tried_again() {
    let cases = [
        (401, "refused access to org/model at main (HTTP 401)"),
        (403, "refused access to org/model at main (HTTP 403)"),
        (404, "has no org/model at main"),
        (410, "has no org/model at main"),
        (418, "answered HTTP 418 to the request for org/model at main"),
    ];
    for (status, text) in cases {
        let server = server(move |_, _| Some(Reply::status(status)));
        let error = fails(&Setting::new(&server.url()), &Silent);
        assert!(error.to_string().contains(text), "{error}");
        assert_eq!(server.requests().len(), 1, "{status}");
    }
}

#[test]
fn a_server_that_stays_down_is_given_up() {
    let server = server(|_, _| Some(Reply::status(500)));
    let error = fails(&Setting::new(&server.url()), &Silent);
    assert!(
        matches!(&error, HubError::Unreachable { reason, attempts: 3, .. } if reason == "HTTP 500"),
        "{error}"
    );
    assert_eq!(server.requests().len(), 3);
    // No process listens on a port that was just released.
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let error = fails(&Setting::new(&format!("http://{closed}")), &Silent);
    assert!(
        matches!(error, HubError::Unreachable { attempts: 3, .. }),
        "{error}"
    );
}

#[test]
fn a_model_that_cannot_be_used_is_refused_before_its_weights() {
    struct Refuses;
    impl Progress for Refuses {
        fn accept(&self, file: &str, bytes: &[u8]) -> Result<(), String> {
            assert_eq!(file, "config.json");
            Err(format!("no {}", String::from_utf8_lossy(bytes)))
        }
    }
    let server = server(|_, _| None);
    let error = fails(&Setting::new(&server.url()), &Refuses);
    assert!(
        matches!(&error, HubError::Unsuitable { reason, .. } if reason.contains("tiny")),
        "{error}"
    );
    let asked: Vec<String> = server.requests().into_iter().map(|r| r.target).collect();
    assert_eq!(asked.len(), 2, "the list and the configuration: {asked:?}");
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    let server = server(|_, _| {
        Some(Reply {
            silent: true,
            ..Reply::status(200)
        })
    });
    let mut setting = Setting::new(&server.url());
    setting.config.timeouts.response = Duration::from_millis(50);
    setting.config.retry_delays.clear();
    let error = fails(&setting, &Silent);
    assert!(
        matches!(&error, HubError::Unreachable { reason, .. } if reason == "no answer in time"),
        "{error}"
    );
}

#[test]
fn a_wrong_checksum_discards_the_file() {
    let server = server(|_, r| {
        r.target.ends_with("/model.safetensors").then(|| {
            let mut bytes = weights();
            bytes[123_456] ^= 1;
            Reply::file(r, &bytes)
        })
    });
    let setting = Setting::new(&server.url());
    let error = fails(&setting, &Silent);
    assert!(
        matches!(&error, HubError::Checksum { file, .. } if file == "model.safetensors"),
        "{error}"
    );
    assert!(!setting.incomplete().exists());
}

#[test]
fn a_file_that_is_longer_than_listed_is_not_written_to_its_end() {
    let server = server(|_, r| {
        r.target
            .ends_with("/model.safetensors")
            .then(|| Reply::body(vec![1; 3 * weights().len()]))
    });
    let setting = Setting::new(&server.url());
    let error = fails(&setting, &Silent);
    assert!(matches!(error, HubError::Checksum { .. }), "{error}");
    assert!(fs::metadata(setting.incomplete()).unwrap().len() <= weights().len() as u64);
}

#[test]
fn a_file_that_always_breaks_off_without_a_byte_is_given_up() {
    let server = server(|_, r| {
        r.target.ends_with("/model.safetensors").then(|| {
            let from = r.from().unwrap_or(0);
            Reply::file(r, &weights()).cut(if from == 0 { 1000 } else { 0 })
        })
    });
    let setting = Setting::new(&server.url());
    let error = fails(&setting, &Silent);
    assert!(
        matches!(error, HubError::Unreachable { attempts: 3, .. }),
        "{error}"
    );
    assert_eq!(
        fs::read(setting.incomplete()).unwrap(),
        weights()[..1000],
        "kept for the next time"
    );
}

/// What is fetched again after the part was started anew is no progress, however many bytes come each time.
#[test]
fn a_file_that_never_becomes_as_long_as_listed_is_given_up() {
    type Change = fn(usize, &Request) -> Option<Reply>;
    let is_weights = |r: &Request| r.target.ends_with("/model.safetensors");
    let shorter: Change = |_, r| {
        let bytes = weights();
        r.target
            .ends_with("/model.safetensors")
            .then(|| Reply::file(r, &bytes[..bytes.len() - 5]))
    };
    let elsewhere: Change = |_, r| {
        r.target.ends_with("/model.safetensors").then(|| {
            let mut reply = Reply::file(r, &weights());
            reply
                .headers
                .iter_mut()
                .for_each(|(_, range)| *range = "bytes 7-9/10".into());
            reply.cut(300_000)
        })
    };
    let no_range: Change = |_, r| {
        r.target.ends_with("/model.safetensors").then(|| {
            let mut reply = Reply::file(r, &weights());
            reply.headers.clear();
            reply.cut(300_000)
        })
    };
    for change in [shorter, elsewhere, no_range] {
        let server = server(change);
        let error = fails(&Setting::new(&server.url()), &Silent);
        assert!(
            matches!(error, HubError::Unreachable { attempts: 3, .. }),
            "{error}"
        );
        let asked = server.requests().iter().filter(|r| is_weights(r)).count();
        assert!(asked <= 8, "{asked} requests");
    }
}

/// Names are looked up, not searched for: a list of a hundred thousand ends at once.
#[test]
fn a_list_of_many_shards_is_chosen_from_in_time_that_grows_with_it() {
    let mut names: Vec<String> = (0..100_000)
        .map(|i| format!("model-{i:06}-of-100000.safetensors"))
        .collect();
    names.push("model.safetensors.index.json".into());
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(crate::selection::wanted(&names).len(), names.len());
}

#[test]
fn a_download_that_starts_over_again_and_again_is_given_up() {
    let longer = listing(&files()).replace("\"size\":700000", "\"size\":700005");
    // (what the list says, status of a continuation, its Content-Range)
    let cases = [
        (longer.clone(), 416, None),
        (longer.clone(), 206, None),
        (longer.clone(), 206, Some("bytes 0-4/700005")),
        (longer, 206, Some("nonsense")),
        // A connection that always breaks at the same byte.
        (listing(&files()), 206, None),
    ];
    for (list, status, range) in cases {
        let text = format!("{status} {range:?}");
        let server = server(move |_, r| {
            if !r.target.ends_with("/model.safetensors") {
                return r.target.starts_with("/api/").then(|| Reply::body(list.clone()));
            }
            Some(match r.from() {
                None if list.contains("700005") => Reply::body(weights()),
                None => Reply::body(weights()).cut(1000),
                Some(_) => Reply {
                    status,
                    headers: range
                        .map(|range| ("Content-Range".to_owned(), range.to_owned()))
                        .into_iter()
                        .collect(),
                    ..Reply::body(weights())
                },
            })
        });
        let error = fails(&Setting::new(&server.url()), &Silent);
        assert!(
            matches!(error, HubError::Unreachable { attempts: 3, .. }),
            "{text}: {error}"
        );
        assert!(server.requests().len() < 8, "{text}");
    }
}

#[test]
fn files_that_are_larger_than_their_purpose_are_refused_before_they_are_fetched() {
    let size = files()[0].1.len();
    let huge = listing(&files()).replacen(
        &format!("\"size\":{size}"),
        &format!("\"size\":{}", 1u64 << 40),
        1,
    );
    assert_ne!(huge, listing(&files()));
    let server = server(move |_, r| r.target.starts_with("/api/").then(|| Reply::body(huge.clone())));
    let error = fails(&Setting::new(&server.url()), &Silent);
    assert!(
        error.to_string().contains("1099511627776 bytes, more than the"),
        "{error}"
    );
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn lists_without_end_are_refused() {
    let sibling = format!(
        "{{\"rfilename\":\"a\",\"size\":1,\"blobId\":\"{}\"}},",
        git_sha1(b"x")
    );
    let many = listing(&files()).replace(
        "\"siblings\":[",
        &format!("\"siblings\":[{}", sibling.repeat(100_000)),
    );
    let long = vec![b' '; (64 << 20) + 1];
    for (body, text) in [
        (many.into_bytes(), "at most 100000"),
        (long, "longer than 67108864 bytes"),
    ] {
        let server = server(move |_, _| Some(Reply::body(body.clone())));
        let error = fails(&Setting::new(&server.url()), &Silent);
        assert!(error.to_string().contains(text), "{text}: {error}");
    }
}

#[cfg(unix)]
#[test]
fn links_that_were_put_where_files_are_made_are_not_followed() {
    let server = server(|_, _| None);
    let setting = Setting::new(&server.url());
    let victim = setting.config.cache_dir.with_file_name("victim");
    fs::write(&victim, "kept").unwrap();
    setting.left_over(b"");
    fs::remove_file(setting.incomplete()).unwrap();
    std::os::unix::fs::symlink(&victim, setting.incomplete()).unwrap();
    setting.hub().pull(&reference(ID), &Silent).unwrap();
    assert_eq!(fs::read(&victim).unwrap(), b"kept");
    assert_eq!(
        fs::read(setting.snapshot().join("model.safetensors")).unwrap(),
        weights()
    );
}

#[test]
fn bad_addresses_matter_to_requests_only_and_show_no_password() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.json"), "{}").unwrap();
    let bad = [
        ("https://me:secret@hub.example", None),
        ("ftp://me:secret@hub.example", None),
        ("http://127.0.0.1:1", Some("me:secret@ :nonsense")),
    ];
    for (endpoint, proxy) in bad {
        let mut setting = Setting::new(endpoint);
        setting.config.proxy = proxy.map(|url| crate::Proxy {
            url: url.into(),
            bypass: Vec::new(),
        });
        let hub = setting.hub();
        let local = reference(&folder.path().display().to_string());
        hub.resolve(&local, &Silent).unwrap();
        hub.resolve(&reference("nano"), &Silent).unwrap();
        assert!(hub.list().is_ok());
        for error in [fails(&setting, &Silent), hub.check().unwrap_err()] {
            assert!(
                matches!(error, HubError::BadEndpoint { .. } | HubError::BadProxy),
                "{error}"
            );
            assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
        }
    }
}

#[test]
fn lists_that_are_cut_or_unsafe_download_nothing() {
    let whole = listing(&files());
    let with = |name: &str| whole.replace("onnx/model.safetensors", name);
    let no_size = whole.replace("\"size\":700000", "\"size\":-1");
    let cases: [(String, &str); 11] = [
        (whole[..whole.len() / 2].into(), "cannot be read"),
        (String::new(), "cannot be read"),
        ("[]".into(), "cannot be read"),
        (whole.replace(COMMIT, "../../../../etc"), "no commit"),
        (
            whole.replace(&sha256(&weights()), "../../x"),
            "no size or no checksum",
        )
            .clone(),
        (no_size, "cannot be read"),
        (with("../evil.safetensors"), "not safe to store"),
        (with("/etc/passwd"), "not safe to store"),
        (with("a\\\\b"), "not safe to store"),
        (with("C:evil"), "not safe to store"),
        (listing(&files()[..2]), "no weights that are read"),
    ];
    for (body, text) in cases {
        // A small file's checksum takes the place of a large file's bad one; take that away as well.
        let body = if text.starts_with("no size") {
            body.replace("\"blobId\"", "\"_\"")
        } else {
            body
        };
        let server = server(move |_, _| Some(Reply::body(body.clone())));
        let setting = Setting::new(&server.url());
        let error = fails(&setting, &Silent);
        assert!(error.to_string().contains(text), "{text}: {error}");
        assert_eq!(server.requests().len(), 1, "{text}");
        assert!(!setting.repository().join("blobs").exists(), "{text}");
    }
}

#[test]
fn redirects_that_never_end_or_leave_the_web_are_refused() {
    for (to, text) in [
        ("/again", "more than 5 redirects"),
        ("file:///etc/passwd", "not followed"),
    ] {
        let server = server(move |_, _| Some(Reply::redirect(to)));
        let error = fails(&Setting::new(&server.url()), &Silent);
        assert!(
            matches!(error, HubError::BadRedirect { .. }) && error.to_string().contains(text),
            "{error}"
        );
    }
}

#[test]
fn offline_names_what_is_missing_and_asks_nobody() {
    let server = server(|_, _| None);
    let mut setting = Setting::new(&server.url());
    setting.config.offline = true;
    let error = fails(&setting, &Silent);
    assert!(error.to_string().contains("missing: all files"), "{error}");
    // A snapshot that another program filled only in part.
    fs::create_dir_all(setting.snapshot()).unwrap();
    fs::create_dir_all(setting.repository().join("refs")).unwrap();
    fs::write(setting.repository().join("refs/main"), COMMIT).unwrap();
    let index = r#"{"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}"#;
    for (name, text) in [
        ("config.json", "{}"),
        ("model.safetensors.index.json", index),
        ("model-00001-of-00002.safetensors", ""),
    ] {
        fs::write(setting.snapshot().join(name), text).unwrap();
    }
    let error = setting
        .hub()
        .resolve(&reference(ID), &Silent)
        .unwrap_err()
        .to_string();
    assert!(
        error.ends_with("missing: model-00002-of-00002.safetensors, tokenizer.json"),
        "{error}"
    );
    assert!(server.requests().is_empty());
}

/// A disk with little room. `available_bytes` may lie, as a quota does.
struct SmallDisk {
    said_bytes: u64,
    real_bytes: u64,
}

impl Disk for SmallDisk {
    fn available_bytes(&self, _: &Path) -> io::Result<u64> {
        Ok(self.said_bytes)
    }

    fn append(&self, file: &Path) -> io::Result<Box<dyn Write>> {
        Ok(Box::new(SmallWriter {
            inner: RealDisk.append(file)?,
            left: self.real_bytes as usize,
        }))
    }
}

struct SmallWriter {
    inner: Box<dyn Write>,
    left: usize,
}

impl Write for SmallWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(self.left);
        if count == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.left -= count;
        self.inner.write_all(&bytes[..count])?;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[test]
fn a_small_disk_is_noticed_before_the_download() {
    let server = server(|_, _| None);
    let setting = Setting::new(&server.url());
    let mut hub = setting.hub();
    hub.disk = Box::new(SmallDisk {
        said_bytes: 600_000,
        real_bytes: 0,
    });
    let error = hub.resolve(&reference(ID), &Silent).unwrap_err();
    assert!(
        matches!(
            error,
            HubError::NoSpace {
                available_bytes: 600_000,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_disk_that_fills_up_leaves_a_part_that_is_continued() {
    let server = server(|_, _| None);
    let setting = Setting::new(&server.url());
    let mut hub = setting.hub();
    hub.disk = Box::new(SmallDisk {
        said_bytes: u64::MAX,
        real_bytes: 400_000,
    });
    let error = hub.resolve(&reference(ID), &Silent).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("the disk is full: model.safetensors stopped at"),
        "{error}"
    );
    assert!(!setting.snapshot().join("model.safetensors").exists());
    assert_eq!(fs::metadata(setting.incomplete()).unwrap().len(), 400_000);
    hub.disk = Box::new(RealDisk);
    hub.resolve(&reference(ID), &Silent).unwrap();
    assert_eq!(
        fs::read(setting.snapshot().join("model.safetensors")).unwrap(),
        weights()
    );
    assert_eq!(server.requests().last().and_then(|r| r.from()), Some(400_000));
}

#[test]
fn an_interrupted_pull_continues() {
    let server = server(|_, _| None);
    let setting = Setting::new(&server.url());
    let error = fails(
        &setting,
        &Seen {
            stop_at: Some(1),
            ..Seen::default()
        },
    );
    assert!(matches!(error, HubError::Cancelled), "{error}");
    assert!(fs::metadata(setting.incomplete()).unwrap().len() > 0);
    setting.hub().resolve(&reference(ID), &Silent).unwrap();
}

#[test]
fn a_lock_that_another_process_holds_is_respected() {
    let server = server(|_, _| None);
    let setting = Setting::new(&server.url());
    let lock = setting
        .config
        .cache_dir
        .join(format!(".locks/models--org--model/{}.lock", sha256(&weights())));
    let held = Lock::take(&lock, Duration::ZERO, &Silent).unwrap();
    let error = fails(&setting, &Silent);
    assert!(matches!(error, HubError::Locked { .. }), "{error}");
    drop(held);
    setting.hub().resolve(&reference(ID), &Silent).unwrap();
}

#[test]
fn a_contact_needs_an_answer_only() {
    let server = Server::start(|_| Reply::status(404));
    Setting::new(&server.url()).hub().ping().unwrap();
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    Setting::new(&format!("http://{closed}"))
        .hub()
        .ping()
        .unwrap_err();
}
