//! What works: a plain pull, the second time, resuming, ModelScope, and who gets the token.

use std::fs;
use std::sync::{Arc, Mutex};

use super::server::{Reply, Server};
use super::setting::*;
use crate::{Location, Silent, Source, Token};

#[test]
fn a_pull_stores_checked_files_in_the_python_client_s_layout() {
    let server = server(|_, _| None);
    let setting = Setting::new(&server.url());
    let seen = Seen::default();
    let checkpoint = setting.hub().resolve(&reference(ID), &seen).unwrap();
    assert_eq!(checkpoint.location, Location::Folder(setting.snapshot()));
    assert_eq!(checkpoint.commit.as_deref(), Some(COMMIT));
    let mut names: Vec<_> = fs::read_dir(setting.snapshot())
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["config.json", "model.safetensors", "tokenizer.json"]);
    assert_eq!(
        fs::read(setting.snapshot().join("model.safetensors")).unwrap(),
        weights()
    );
    assert_eq!(
        fs::read_to_string(setting.repository().join("refs/main")).unwrap(),
        COMMIT
    );
    #[cfg(unix)]
    for (name, blob) in [
        ("model.safetensors", sha256(&weights())),
        ("config.json", git_sha1(b"{\"model_type\": \"tiny\"}")),
    ] {
        let target = fs::read_link(setting.snapshot().join(name)).unwrap();
        assert_eq!(target, std::path::Path::new("../../blobs").join(blob));
    }
    let lines = seen.lines();
    assert!(
        lines.contains(&"start model.safetensors 0/700000".into()),
        "{lines:?}"
    );
    assert!(lines.contains(&"finish model.safetensors".into()), "{lines:?}");
    assert!(!setting.incomplete().exists());
}

#[test]
fn torch_files_are_pulled_where_there_are_no_safetensors() {
    let files = vec![
        ("config.json", b"{}".to_vec(), false),
        ("vocab.txt", b"[UNK]".to_vec(), false),
        ("pytorch_model.bin", weights(), true),
        ("optimizer.pt", b"not read".to_vec(), true),
    ];
    let server = Server::start(move |request| answer(&files, request));
    let setting = Setting::new(&server.url());
    let mut names = Vec::new();
    for _ in 0..2 {
        setting.hub().resolve(&reference(ID), &Silent).unwrap();
        names = fs::read_dir(setting.snapshot())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
    }
    names.sort();
    assert_eq!(names, ["config.json", "pytorch_model.bin", "vocab.txt"]);
    assert_eq!(server.requests().len(), 4, "the second time nobody is asked");
}

#[test]
fn a_complete_checkpoint_is_used_without_the_network_and_pull_asks_for_the_list_only() {
    let server = server(|_, _| None);
    let mut setting = Setting::new(&server.url());
    setting.hub().resolve(&reference(ID), &Silent).unwrap();
    let after_first = server.requests().len();
    setting.hub().resolve(&reference(ID), &Silent).unwrap();
    assert_eq!(server.requests().len(), after_first);
    setting.hub().pull(&reference(ID), &Silent).unwrap();
    assert_eq!(server.requests().len(), after_first + 1);
    // Pinned by branch or by commit, and offline: the same folder.
    setting.config.offline = true;
    for name in [ID.to_owned(), format!("{ID}@main"), format!("{ID}@{COMMIT}")] {
        let checkpoint = setting.hub().pull(&reference(&name), &Silent).unwrap();
        assert_eq!(
            checkpoint.location,
            Location::Folder(setting.snapshot()),
            "{name}"
        );
    }
    assert_eq!(server.requests().len(), after_first + 1);
}

#[test]
fn a_cut_connection_continues_where_it_broke() {
    let server = server(|_, r| {
        (r.target.ends_with("/model.safetensors") && r.from().is_none())
            .then(|| Reply::file(r, &weights()).cut(300_000))
    });
    let setting = Setting::new(&server.url());
    setting.hub().resolve(&reference(ID), &Silent).unwrap();
    assert_eq!(
        fs::read(setting.snapshot().join("model.safetensors")).unwrap(),
        weights()
    );
    let ranges: Vec<_> = server
        .requests()
        .iter()
        .filter(|r| r.target.ends_with("/model.safetensors"))
        .map(|r| r.from())
        .collect();
    assert_eq!(ranges.len(), 2);
    assert_eq!(ranges[0], None);
    assert!(
        ranges[1].is_some_and(|from| from > 0 && from <= 300_000),
        "{ranges:?}"
    );
}

#[test]
fn attempts_that_bring_bytes_do_not_use_up_the_retries() {
    // Ten cuts, and only two retries that may bring nothing.
    let server = server(|_, r| {
        r.target
            .ends_with("/model.safetensors")
            .then(|| Reply::file(r, &weights()).cut(70_000))
    });
    let setting = Setting::new(&server.url());
    setting.hub().resolve(&reference(ID), &Silent).unwrap();
    assert_eq!(
        fs::read(setting.snapshot().join("model.safetensors")).unwrap(),
        weights()
    );
}

#[test]
fn a_part_is_not_continued_with_bytes_of_another_place() {
    for range in [Some("bytes 0-699999/700000"), Some("nonsense"), None] {
        let server = server(move |_, r| {
            (r.target.ends_with("/model.safetensors") && r.from().is_some()).then(|| Reply {
                status: 206,
                headers: range
                    .map(|range| ("Content-Range".to_owned(), range.to_owned()))
                    .into_iter()
                    .collect(),
                ..Reply::body(weights())
            })
        });
        let setting = Setting::new(&server.url());
        setting.left_over(&weights()[..1000]);
        setting.hub().resolve(&reference(ID), &Silent).unwrap();
        let froms: Vec<_> = server
            .requests()
            .iter()
            .filter(|r| r.target.ends_with("/model.safetensors"))
            .map(|r| r.from())
            .collect();
        assert_eq!(froms, [Some(1000), None], "asked once, then from the start");
    }
}

#[test]
fn what_an_earlier_attempt_left_is_continued_or_thrown_away() {
    let good = weights();
    let mut bad = good[..1000].to_vec();
    bad[500] ^= 1;
    let too_long = vec![0; good.len() + 1];
    // Left over; whether the server knows ranges; the byte that the first request starts from.
    let cases: [(&[u8], bool, Option<usize>); 6] = [
        (&good[..1000], true, Some(1000)),
        (&good[..1000], false, Some(1000)),
        (&good, true, None),
        (&bad, true, Some(1000)),
        (&too_long, true, None),
        (&[], true, None),
    ];
    for (left, ranges, first) in cases {
        let server = server(move |_, r| {
            (!ranges && r.target.ends_with("/model.safetensors")).then(|| Reply::body(weights()))
        });
        let setting = Setting::new(&server.url());
        setting.left_over(left);
        setting.hub().resolve(&reference(ID), &Silent).unwrap();
        assert_eq!(
            fs::read(setting.snapshot().join("model.safetensors")).unwrap(),
            good
        );
        let requests = server.requests();
        let found = requests.iter().find(|r| r.target.ends_with("/model.safetensors"));
        assert_eq!(found.and_then(|r| r.from()), first, "{} bytes left", left.len());
        assert_eq!(
            found.is_none(),
            left.len() == good.len(),
            "a complete part needs no request"
        );
    }
}

#[test]
fn transient_answers_are_tried_again() {
    for status in [429, 500, 503] {
        let server = server(move |count, _| (count % 2 == 1).then(|| Reply::status(status)));
        let setting = Setting::new(&server.url());
        let seen = Seen::default();
        setting.hub().resolve(&reference(ID), &seen).unwrap();
        assert!(
            seen.lines().iter().any(|l| l.contains(&format!("HTTP {status}"))),
            "{:?}",
            seen.lines()
        );
    }
}

#[test]
fn the_token_stays_with_the_host_it_is_for() {
    let elsewhere = Server::start(|r| Reply::file(r, &weights()));
    let target = format!("{}/cdn", elsewhere.url());
    let server = server(move |_, r| {
        r.target
            .ends_with("/model.safetensors")
            .then(|| Reply::redirect(&target))
    });
    let mut setting = Setting::new(&server.url());
    setting.config.token = Token::new("hf_secret");
    // (the origin that the token is for, whether this server is it)
    for (origin, sent) in [
        (server.url(), true),
        (crate::config::TOKEN_ORIGIN.to_owned(), false),
    ] {
        let before = server.requests().len();
        let mut hub = setting.hub();
        hub.token_origin = origin;
        hub.pull(&reference(ID), &Silent).unwrap();
        let requests = &server.requests()[before..];
        assert!(!requests.is_empty());
        for request in requests {
            assert_eq!(
                request.header("authorization"),
                sent.then_some("Bearer hf_secret"),
                "{}",
                request.target
            );
        }
        fs::remove_dir_all(setting.repository()).unwrap();
    }
    assert_eq!(elsewhere.requests().len(), 2);
    assert!(
        elsewhere
            .requests()
            .iter()
            .all(|r| r.header("authorization").is_none())
    );
}

#[test]
fn modelscope_has_its_own_list_addresses_and_cache() {
    let files = files();
    let entries: Vec<_> = files
        .iter()
        .filter(|(name, ..)| !name.contains('/'))
        .map(|(name, bytes, _)| {
            serde_json::json!({"Path": name, "Name": name, "Type": "blob", "Size": bytes.len(), "Sha256": sha256(bytes)})
        })
        .chain([serde_json::json!({"Path": "onnx", "Name": "onnx", "Type": "tree"})])
        .collect();
    let list = serde_json::json!({"Code": 200, "Success": true, "Data": {"Files": entries}}).to_string();
    let server = Server::start(move |r| {
        if r.target == "/api/v1/models/org/model/repo/files?Revision=master&Recursive=False" {
            return Reply::body(list.clone());
        }
        let name = r
            .target
            .strip_prefix("/api/v1/models/org/model/repo?Revision=master&FilePath=");
        files
            .iter()
            .find(|(n, ..)| Some(*n) == name)
            .map_or(Reply::status(404), |f| Reply::file(r, &f.1))
    });
    let mut setting = Setting::new(&server.url());
    setting.config.source = Source::ModelScope;
    setting.config.token = Token::new("hf_secret");
    let hub = setting.hub();
    let checkpoint = hub.resolve(&reference(ID), &Silent).unwrap();
    let Location::Folder(folder) = checkpoint.location else {
        panic!("a folder")
    };
    assert!(
        folder.starts_with(
            setting
                .config
                .cache_dir
                .join("modelscope/models--org--model/snapshots")
        )
    );
    assert_eq!(fs::read(folder.join("model.safetensors")).unwrap(), weights());
    assert!(
        server
            .requests()
            .iter()
            .all(|r| r.header("authorization").is_none())
    );
    // The same files give the same snapshot.
    assert_eq!(
        hub.pull(&reference(ID), &Silent).unwrap().commit,
        checkpoint.commit
    );
}

#[test]
fn two_pulls_at_once_do_not_disturb_each_other() {
    let server = server(|_, _| None);
    let mut setting = Setting::new(&server.url());
    setting.config.lock_wait = std::time::Duration::from_secs(60);
    let errors = Arc::new(Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                if let Err(error) = setting.hub().pull(&reference(ID), &Silent) {
                    errors.lock().unwrap().push(error.to_string());
                }
            });
        }
    });
    assert_eq!(*errors.lock().unwrap(), Vec::<String>::new());
    assert_eq!(
        fs::read(setting.snapshot().join("model.safetensors")).unwrap(),
        weights()
    );
    let downloads = server
        .requests()
        .iter()
        .filter(|r| r.target.ends_with("/model.safetensors"))
        .count();
    assert_eq!(
        downloads, 1,
        "the others waited and took what the first one fetched"
    );
}
