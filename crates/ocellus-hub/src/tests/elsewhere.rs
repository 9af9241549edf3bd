//! Checkpoints in caches of other programs, folders of caches given as paths, and single files of repositories.

use std::fs;
use std::path::Path;

use super::server::Server;
use super::setting::*;
use crate::{Hub, HubConfig, HubError, Location, Silent, Source};

const FILES: [&str; 3] = ["config.json", "tokenizer.json", "model.safetensors"];

fn checkpoint(folder: &Path, files: &[&str]) {
    fs::create_dir_all(folder).unwrap();
    for file in files {
        fs::write(folder.join(file), "{}").unwrap();
    }
}

/// A hub without a network, with caches of others below `folder`.
fn offline(folder: &Path) -> Hub {
    let mut config = HubConfig::new(Source::HuggingFace, folder.join("own"));
    config.offline = true;
    config.other_caches = vec![folder.join("old")];
    config.modelscope_caches = vec![folder.join("ms")];
    Hub::new(config)
}

#[test]
fn caches_of_other_programs_are_read() {
    for place in [
        "old/models--org--model-1.5/snapshots/0123456789abcdef0123456789abcdef01234567",
        "ms/hub/models/org/model-1___5",
        "ms/hub/org/model-1___5",
        "ms/models/org/model-1.5",
        "ms/org/model-1___5",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let hub = offline(folder.path());
        let named = reference("org/model-1.5");
        assert!(matches!(
            hub.resolve(&named, &Silent),
            Err(HubError::Offline { .. })
        ));
        checkpoint(&folder.path().join(place), &FILES);
        if place.starts_with("old") {
            let refs = folder.path().join("old/models--org--model-1.5/refs");
            fs::create_dir_all(&refs).unwrap();
            fs::write(refs.join("main"), COMMIT).unwrap();
        }
        let found = hub.resolve(&named, &Silent).unwrap();
        assert_eq!(
            found.location,
            Location::Folder(folder.path().join(place)),
            "{place}"
        );
        // What is not complete is not used.
        fs::remove_file(folder.path().join(place).join("model.safetensors")).unwrap();
        assert!(hub.resolve(&named, &Silent).is_err(), "{place}");
    }
}

/// The layout of before 2022: names are hashes of addresses, which stand in a description beside each file.
#[test]
fn files_by_their_addresses_are_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let hub = offline(folder.path());
    let old = folder.path().join("old");
    fs::create_dir_all(&old).unwrap();
    let put = |hash: &str, url: &str, text: &str| {
        fs::write(old.join(hash), text).unwrap();
        fs::write(old.join(format!("{hash}.lock")), "").unwrap();
        let described = format!(r#"{{"url": "{url}", "etag": "\"{hash}\""}}"#);
        fs::write(old.join(format!("{hash}.json")), described).unwrap();
    };
    let host = "https://huggingface.co/org/model-1.5/resolve";
    put("aa.01", &format!("{host}/main/config.json"), "{}");
    put("ab.02", &format!("{host}/main/tokenizer.json"), "{}");
    put("ac.03", &format!("{host}/main/../../evil.json"), "{}");
    put(
        "ad.04",
        &format!("{host}/v2/pytorch_model.bin"),
        "of another revision",
    );
    put(
        "ae.05",
        "https://huggingface.co/org/other/resolve/main/pytorch_model.bin",
        "of another",
    );
    fs::write(old.join("af.06.json"), "not JSON").unwrap();
    let named = reference("org/model-1.5");
    let error = hub.resolve(&named, &Silent).unwrap_err();
    assert!(matches!(error, HubError::Offline { .. }), "no weights: {error}");
    put("ba.07", &format!("{host}/main/pytorch_model.bin"), "first");
    for _ in 0..2 {
        let found = hub.resolve(&named, &Silent).unwrap();
        let Location::Folder(place) = &found.location else {
            panic!("{found:?}");
        };
        let mut names: Vec<_> = fs::read_dir(place)
            .unwrap()
            .map(|f| f.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["config.json", "pytorch_model.bin", "tokenizer.json"]);
        assert_eq!(
            fs::read_to_string(place.join("pytorch_model.bin")).unwrap(),
            "first"
        );
    }
    let other = reference("org/model-1.5@v2");
    assert!(hub.resolve(&other, &Silent).is_err(), "not complete");
}

#[test]
fn a_folder_of_a_cache_is_a_path_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let hub = offline(folder.path());
    let root = folder.path().join("models--org--model");
    let path = root.to_str().unwrap();
    checkpoint(&root.join("snapshots/aaaa"), &FILES);
    let found = hub.resolve(&reference(path), &Silent).unwrap();
    assert_eq!(
        found.location,
        Location::Folder(root.join("snapshots/aaaa")),
        "the only snapshot"
    );
    checkpoint(&root.join("snapshots").join(COMMIT), &FILES);
    let error = hub.resolve(&reference(path), &Silent).unwrap_err().to_string();
    assert!(error.contains("refs/main"), "{error}");
    fs::create_dir_all(root.join("refs")).unwrap();
    fs::write(root.join("refs/main"), COMMIT).unwrap();
    let found = hub.resolve(&reference(path), &Silent).unwrap();
    assert_eq!(
        found.location,
        Location::Folder(root.join("snapshots").join(COMMIT))
    );
    assert_eq!(found.commit.as_deref(), Some(COMMIT));
    let snapshot = root.join("snapshots").join(COMMIT);
    let found = hub
        .resolve(&reference(snapshot.to_str().unwrap()), &Silent)
        .unwrap();
    assert_eq!(found.location, Location::Folder(snapshot));
}

#[test]
fn one_file_of_a_repository_with_many() {
    let names = [
        "q4.gguf",
        "q8.gguf",
        "big-00001-of-00002.gguf",
        "big-00002-of-00002.gguf",
        "mmproj-F32.gguf",
        "mmproj-F16.gguf",
    ];
    let files: Vec<File> = names
        .iter()
        .map(|name| (*name, name.as_bytes().to_vec(), true))
        .collect();
    let server = Server::start(move |request| answer(&files, request));
    let setting = Setting::new(&server.url());
    for (asked, expected) in [
        ("org/model/q4.gguf", &["q4.gguf"][..]),
        (
            "org/model@main/big-00001-of-00002.gguf",
            &["big-00001-of-00002.gguf", "big-00002-of-00002.gguf"],
        ),
    ] {
        let found = setting.hub().resolve(&reference(asked), &Silent).unwrap();
        let Location::Gguf(found) = found.location else {
            panic!("{found:?}");
        };
        let names = |path: &std::path::PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
        assert_eq!(found.language.iter().map(names).collect::<Vec<_>>(), expected);
        assert_eq!(names(&found.tower), "mmproj-F16.gguf");
    }
    assert!(
        !setting.snapshot().join("q8.gguf").exists(),
        "nothing else is fetched"
    );
    let mut config = setting.config.clone();
    config.offline = true;
    let hub = Hub::new(config);
    assert!(
        hub.resolve(&reference("org/model/q4.gguf"), &Silent).is_ok(),
        "from the cache"
    );
    assert!(matches!(
        hub.resolve(&reference("org/model/q8.gguf"), &Silent),
        Err(HubError::Offline { .. })
    ));
    let absent = setting.hub().resolve(&reference("org/model/q2.gguf"), &Silent);
    assert!(matches!(absent, Err(HubError::NotFound { .. })), "{absent:?}");
}
