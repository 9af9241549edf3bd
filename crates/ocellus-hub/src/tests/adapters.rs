//! Adapters: alone, beside their base, and by the names that they give their base.

use std::fs;
use std::path::Path;

use super::setting::*;
use crate::{Checkpoint, Hub, HubConfig, HubError, Location, Reference, Silent, Source};

fn put(folder: &Path, files: &[(&str, &str)]) {
    fs::create_dir_all(folder).unwrap();
    for (file, text) in files {
        fs::write(folder.join(file), text).unwrap();
    }
}

const MODEL: [(&str, &str); 3] = [
    ("config.json", "{}"),
    ("tokenizer.json", "{}"),
    ("model.safetensors", ""),
];

fn adapter(folder: &Path, base: &str) {
    let config = format!(r#"{{"peft_type": "LORA", "base_model_name_or_path": {base}}}"#);
    put(
        folder,
        &[
            ("adapter_config.json", &config),
            ("adapter_model.safetensors", ""),
        ],
    );
}

fn resolved(root: &Path, name: &Path, base: Option<&Path>) -> Result<Checkpoint, HubError> {
    let mut config = HubConfig::new(Source::HuggingFace, root.join("cache"));
    config.offline = true;
    config.base = base.map(|base| Reference::Folder(base.into()));
    Hub::new(config).resolve(&Reference::Folder(name.into()), &Silent)
}

#[test]
fn an_adapter_alone_gets_the_base_that_it_names_or_that_is_given() {
    let root = tempfile::tempdir().unwrap();
    let [model, other, alone] = ["model", "other", "alone"].map(|name| root.path().join(name));
    put(&model, &MODEL);
    put(&other, &MODEL);
    // What trainers leave beside: a config without weights is no model.
    put(
        &alone,
        &[
            ("config.json", "{}"),
            ("tokenizer.json", "{}"),
            ("training_args.bin", ""),
        ],
    );
    for base in [format!("{:?}", model), r#""../model""#.to_owned()] {
        adapter(&alone, &base);
        let found = resolved(root.path(), &alone, None).unwrap();
        let (Location::Folder(folder), Some(of)) = (&found.location, &found.adapter) else {
            panic!("{found:?}");
        };
        assert_eq!(
            (folder.canonicalize().unwrap(), of),
            (model.canonicalize().unwrap(), &alone)
        );
        assert_eq!(found.name, alone.display().to_string());
    }
    let found = resolved(root.path(), &alone, Some(&other)).unwrap();
    assert_eq!(found.location, Location::Folder(other.clone()));

    // Beside its base, which it need not name.
    adapter(&other, "\"x\"");
    let found = resolved(root.path(), &other, None).unwrap();
    assert_eq!(
        (found.location, found.adapter),
        (Location::Folder(other.clone()), Some(other.clone()))
    );
    let found = resolved(root.path(), &other, Some(&model)).unwrap();
    assert_eq!(
        (found.location, found.adapter),
        (Location::Folder(model.clone()), Some(other.clone()))
    );
    assert_eq!(resolved(root.path(), &model, None).unwrap().adapter, None);

    for (base, given, part) in [
        (
            r#""/nowhere/on/this/machine""#,
            None,
            "no folder `/nowhere/on/this/machine`",
        ),
        ("null", None, "names none"),
        (r#""org/absent""#, None, "org/absent is not complete in the cache"),
        (r#""no name""#, None, "is not known"),
        ("[1]", None, "expected the JSON of an adapter"),
        ("null", Some(&other), "has an adapter as well"),
    ] {
        adapter(&alone, base);
        let error = resolved(root.path(), &alone, given.map(|p| p.as_path()))
            .unwrap_err()
            .to_string();
        assert!(error.contains(part), "{base}: {error}");
    }
    let error = resolved(root.path(), &model, Some(&other))
        .unwrap_err()
        .to_string();
    assert!(error.contains("is no adapter"), "{error}");
    fs::remove_file(alone.join("adapter_model.safetensors")).unwrap();
    adapter(&root.path().join("many/one"), "null");
    for (folder, part) in [
        ("alone", "adapter_model.safetensors"),
        ("many", "it holds the adapters one"),
    ] {
        let error = resolved(root.path(), &root.path().join(folder), Some(&model))
            .unwrap_err()
            .to_string();
        assert!(error.contains(part), "{folder}: {error}");
    }
}

#[test]
fn an_adapter_of_a_hub_is_found_in_the_cache_with_its_base() {
    let root = tempfile::tempdir().unwrap();
    let place = |name: &str| {
        let repository = root.path().join("cache").join(name);
        put(&repository.join("refs"), &[("main", COMMIT)]);
        repository.join("snapshots").join(COMMIT)
    };
    put(&place("models--org--base"), &MODEL);
    let tuned = place("models--org--tuned");
    adapter(&tuned, r#""org/base""#);
    let mut config = HubConfig::new(Source::HuggingFace, root.path().join("cache"));
    config.offline = true;
    let hub = Hub::new(config);
    let found = hub.resolve(&reference("org/tuned"), &Silent).unwrap();
    assert_eq!(found.location, Location::Folder(place("models--org--base")));
    assert_eq!(
        (found.adapter, found.name.as_str()),
        (Some(tuned.clone()), "org/tuned")
    );
    fs::remove_file(tuned.join("adapter_model.safetensors")).unwrap();
    let error = hub
        .resolve(&reference("org/tuned"), &Silent)
        .unwrap_err()
        .to_string();
    assert!(error.contains("missing: adapter_model.safetensors"), "{error}");
}
