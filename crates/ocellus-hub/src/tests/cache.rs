//! Listing and removing.

use std::fs;

use super::setting::*;
use crate::{HubError, RepositoryId, Revision, Silent};

const OTHER: &str = "fedcba9876543210fedcba9876543210fedcba98";

#[test]
fn what_was_pulled_is_listed_with_its_size() {
    let server = server(|_, _| None);
    let setting = Setting::new(&server.url());
    assert_eq!(setting.hub().list().unwrap(), []);
    setting.hub().resolve(&reference(ID), &Silent).unwrap();
    // Things that are no repositories are passed over.
    for name in ["datasets--org--x", "models--x", "modelscope", "models--..--x"] {
        fs::create_dir_all(setting.config.cache_dir.join(name)).unwrap();
    }
    fs::write(setting.repository().join("blobs/x.incomplete"), [0; 10]).unwrap();
    fs::write(setting.repository().join("refs/main.7-0.tmp"), COMMIT).unwrap();
    let list = setting.hub().list().unwrap();
    assert_eq!(list.len(), 1);
    let expected: usize = files()[..3].iter().map(|f| f.1.len()).sum();
    assert_eq!(list[0].id.to_string(), ID);
    assert_eq!(list[0].size_bytes, expected as u64 + 10);
    assert_eq!(list[0].incomplete_bytes, 10);
    assert_eq!(list[0].snapshots.len(), 1);
    assert_eq!(list[0].snapshots[0].commit, COMMIT);
    assert_eq!(list[0].snapshots[0].names, ["main"]);
    assert_eq!(list[0].snapshots[0].missing, [""; 0]);
}

#[test]
fn removing_frees_everything_or_one_revision() {
    let server = server(|_, _| None);
    let setting = Setting::new(&server.url());
    let id = RepositoryId::parse(ID).unwrap();
    let hub = setting.hub();
    assert!(matches!(hub.remove(&id, None), Err(HubError::NotCached { .. })));
    hub.resolve(&reference(ID), &Silent).unwrap();
    let size = hub.list().unwrap()[0].size_bytes;

    // A second revision that shares all but one file.
    let repository = crate::cache::Repository::new(&setting.config.cache_dir, &id);
    let blob = "a".repeat(40);
    fs::write(repository.blobs().join(&blob), "{}").unwrap();
    repository.link(OTHER, "config.json", &blob).unwrap();
    repository
        .link(OTHER, "model.safetensors", &sha256(&weights()))
        .unwrap();
    repository.link(OTHER, "deep/er/file.jinja", &blob).unwrap();
    repository
        .remember(&Revision::parse("refs/pr/1").unwrap(), OTHER)
        .unwrap();
    assert_eq!(
        fs::read(repository.snapshot(OTHER).join("deep/er/file.jinja")).unwrap(),
        b"{}"
    );

    let gone = Revision::parse("gone").unwrap();
    assert!(matches!(
        hub.remove(&id, Some(&gone)),
        Err(HubError::NotCached { .. })
    ));
    let freed = hub
        .remove(&id, Some(&Revision::parse("refs/pr/1").unwrap()))
        .unwrap();
    assert_eq!(freed, 2, "only what the other revision does not use");
    assert!(setting.snapshot().join("model.safetensors").is_file());
    assert!(!repository.refs().join("refs/pr/1").exists());

    assert_eq!(hub.remove(&id, None).unwrap(), size);
    assert!(!setting.repository().exists());
    assert_eq!(hub.list().unwrap(), []);
}

#[cfg(unix)]
#[test]
fn references_that_never_end_are_none() {
    let server = server(|_, _| None);
    let setting = Setting::new(&server.url());
    setting.hub().resolve(&reference(ID), &Silent).unwrap();
    let main = setting.repository().join("refs/main");
    let sparse = |path: &std::path::Path| fs::File::create(path).unwrap().set_len(40 << 30).unwrap();
    let device = |path: &std::path::Path| std::os::unix::fs::symlink("/dev/zero", path).unwrap();
    for make in [&sparse as &dyn Fn(&std::path::Path), &device] {
        fs::remove_file(&main).unwrap();
        make(&main);
        let mut config = setting.config.clone();
        config.offline = true;
        let error = crate::Hub::new(config)
            .resolve(&reference(ID), &Silent)
            .unwrap_err();
        assert!(matches!(error, HubError::Offline { .. }), "{error}");
        setting.hub().list().unwrap();
    }
}
