//! What users write, what hubs list.

use proptest::prelude::*;

use crate::reference::{RepositoryId, Revision};
use crate::selection::{is_safe_name, missing, wanted, weights};
use crate::{Hub, HubConfig, HubError, Reference, Silent, Source, Token};

#[test]
fn references() {
    let folder = tempfile::tempdir().unwrap();
    let existing = folder.path().to_str().unwrap();
    for (text, expected) in [
        ("nano", "built in"),
        ("Qwen/Qwen2.5-VL-3B-Instruct", "hub"),
        ("org/name@v1.0", "hub"),
        ("org/name@refs/pr/3", "hub"),
        ("org/name@0123456789abcdef0123456789abcdef01234567", "hub"),
        (existing, "folder"),
        ("./nano", "folder"),
        ("../x/y", "folder"),
        ("/no/such/place", "folder"),
        ("x.gguf", "gguf"),
        ("org/x.Q4.GGUF", "gguf"),
        ("org/name/x.gguf", "file on hub"),
        ("org/name@v1/deep/x.gguf", "file on hub"),
        ("./org/name/x.gguf", "gguf"),
        ("/org/name/x.gguf", "gguf"),
        ("", "error"),
        ("nan0", "error"),
        ("org/name/more", "error"),
        ("org/", "error"),
        ("/", "folder"),
        ("org/../name", "error"),
        ("org/na me", "error"),
        ("org/na--me", "error"),
        ("-x/name", "error"),
        ("org/.hidden", "error"),
        ("org/name@", "error"),
        ("org/name@../../x", "error"),
        ("org/name@a b", "error"),
        ("org/name@/x", "error"),
        ("~/models/x", "error"),
        ("org/n\u{e4}me", "error"),
        ("a\0b", "error"),
    ] {
        let found = match Reference::parse(text) {
            Ok(Reference::BuiltIn) => "built in",
            Ok(Reference::Repository { .. }) => "hub",
            Ok(Reference::Folder(_)) => "folder",
            Ok(Reference::Gguf(_)) => "gguf",
            Ok(Reference::RepositoryFile { .. }) => "file on hub",
            Err(HubError::BadReference { .. }) => "error",
            Err(other) => panic!("{other}"),
        };
        assert_eq!(found, expected, "{text:?}");
    }
}

#[test]
fn local_names_are_looked_up() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::new(HubConfig::new(Source::HuggingFace, folder.path().join("hub")));
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::create_dir(at("empty")).unwrap();
    std::fs::create_dir(at("model")).unwrap();
    std::fs::write(at("model/config.json"), "{}").unwrap();
    std::fs::write(at("x.gguf"), "").unwrap();
    std::fs::create_dir(at("both")).unwrap();
    for file in ["both/x.gguf", "both/mmproj-x.gguf"] {
        std::fs::write(at(file), "").unwrap();
    }
    std::fs::create_dir(at("mixed")).unwrap();
    for file in ["mixed/config.json", "mixed/model.safetensors", "mixed/x.gguf"] {
        std::fs::write(at(file), "").unwrap();
    }
    for (name, expected) in [
        ("nano".to_owned(), Ok(())),
        (at("model"), Ok(())),
        (at("x.gguf"), Err("its vision tower is missing")),
        (at("both/x.gguf"), Ok(())),
        (at("both"), Ok(())),
        (at("mixed"), Ok(())),
        (at("absent"), Err("no such folder")),
        (at("absent.gguf"), Err("no such file")),
        (at("empty"), Err("not a model folder, expected config.json")),
    ] {
        let found = Reference::parse(&name).and_then(|reference| hub.resolve(&reference, &Silent));
        match (found, expected) {
            (Ok(checkpoint), Ok(())) => assert_eq!(checkpoint.name, name),
            (Err(error), Err(text)) => assert!(error.to_string().contains(text), "{error}"),
            (found, _) => panic!("{name}: {found:?}"),
        }
    }
}

#[test]
fn endpoints_and_tokens_are_checked() {
    for (url, good) in [
        ("https://huggingface.co", true),
        ("https://mirror.example:8443/hf/", true),
        ("http://127.0.0.1:9", true),
        ("", false),
        ("mirror.example", false),
        ("ftp://mirror.example", false),
        ("https://user:pw@mirror.example", false),
        ("https://mirror.example/?x=1", false),
        ("https://", false),
    ] {
        let mut config = HubConfig::new(Source::HuggingFace, "x".into());
        config.endpoint = url.into();
        assert_eq!(Hub::new(config).check().is_ok(), good, "{url}");
    }
    for (text, good) in [
        ("hf_abc", true),
        (" hf_abc\n", true),
        ("", false),
        ("a b", false),
        ("a\r\nX: y", false),
    ] {
        assert_eq!(Token::new(text).is_some(), good, "{text:?}");
    }
    assert!(!format!("{:?}", Token::new("hf_abc")).contains("hf_abc"));
}

#[test]
fn the_files_that_are_read_are_chosen() {
    let small = [
        "config.json",
        "vocab.json",
        "merges.txt",
        "qwen.tiktoken",
        "chat_template.jinja",
    ];
    let cases: &[(&[&str], &[&str])] = &[
        (
            &["model.safetensors", "model.fp16.safetensors", "pytorch_model.bin"],
            &["model.safetensors"],
        ),
        (
            &[
                "model-00001-of-00002.safetensors",
                "model.safetensors.index.json",
                "consolidated.safetensors",
            ],
            &["model-00001-of-00002.safetensors", "model.safetensors.index.json"],
        ),
        (
            &["consolidated.safetensors", "params.json", "tekken.json"],
            &["consolidated.safetensors", "params.json", "tekken.json"],
        ),
        (
            &[
                "open_clip_config.json",
                "open_clip_model.safetensors",
                "open_clip_pytorch_model.bin",
            ],
            &["open_clip_config.json", "open_clip_model.safetensors"],
        ),
        (
            &[
                "adapter_model.safetensors",
                "a/config.json",
                ".gitattributes",
                "run.py",
            ],
            &[],
        ),
        (
            &[
                "additional_chat_templates/tool.jinja",
                "additional_chat_templates/x/y.jinja",
            ],
            &["additional_chat_templates/tool.jinja"],
        ),
        // Torch files, where there is nothing else.
        (
            &[
                "pytorch_model.bin",
                "tf_model.h5",
                "training_args.bin",
                "flax_model.msgpack",
            ],
            &["pytorch_model.bin"],
        ),
        (
            &[
                "pytorch_model-00001-of-00002.bin",
                "pytorch_model-00002-of-00002.bin",
                "pytorch_model.bin.index.json",
                "optimizer.pt",
            ],
            &[
                "pytorch_model-00001-of-00002.bin",
                "pytorch_model-00002-of-00002.bin",
                "pytorch_model.bin.index.json",
            ],
        ),
        (
            &[
                "pytorch_model.bin",
                "pytorch_model.bin.index.json",
                "pytorch_model-00001-of-00001.bin",
            ],
            &["pytorch_model.bin"],
        ),
        (
            &[
                "open_clip_config.json",
                "open_clip_pytorch_model.bin",
                "bpe_simple_vocab_16e6.txt.gz",
            ],
            &[
                "open_clip_config.json",
                "open_clip_pytorch_model.bin",
                "bpe_simple_vocab_16e6.txt.gz",
            ],
        ),
        (&["ALBEF.pth", "rng_state_0.pth"], &["ALBEF.pth"]),
        (
            &["uniter-base.pt", "bpe_simple_vocab_16e6.txt"],
            &["uniter-base.pt", "bpe_simple_vocab_16e6.txt"],
        ),
        (&["model.ckpt", "old/model.safetensors"], &["model.ckpt"]),
        // Which of the two?
        (&["a.pt", "b.pt"], &[]),
        (&["pytorch_model.bin.index.json", "a.pt", "b.pt"], &[]),
        (
            &[
                "a.bin.index.json",
                "b.bin.index.json",
                "a-1-of-1.bin",
                "b-1-of-1.bin",
            ],
            &[],
        ),
        (&["adapter_model.bin", "training_args.bin"], &[]),
    ];
    for (more, expected) in cases {
        let names = [&small[..], more].concat();
        assert_eq!(wanted(&names), [&small[..], expected].concat(), "{more:?}");
        let weights = weights(&names);
        let ends = |name: &&str| {
            let ends = [".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".index.json"];
            ends.iter().any(|end| name.ends_with(end))
        };
        let expected: Vec<&str> = expected.iter().copied().filter(ends).collect();
        assert_eq!(weights, expected, "{more:?}");
    }
    // An adapter's files are wanted where its config is, and one of the two that hold its tensors.
    for (more, expected) in [
        (
            &[
                "adapter_config.json",
                "adapter_model.bin",
                "adapter_model.safetensors",
                "training_args.bin",
            ][..],
            &["adapter_config.json", "adapter_model.safetensors"][..],
        ),
        (
            &["adapter_config.json", "adapter_model.bin", "model.safetensors"],
            &["adapter_config.json", "adapter_model.bin", "model.safetensors"],
        ),
    ] {
        let names = [&small[..], more].concat();
        assert_eq!(wanted(&names), [&small[..], expected].concat(), "{more:?}");
    }
}

#[test]
fn as_many_shards_as_a_list_may_name_are_chosen_in_one_pass() {
    let mut names: Vec<String> = (0..100_000)
        .map(|i| format!("model-{i:06}-of-100000.safetensors"))
        .collect();
    names.push("model.safetensors.index.json".into());
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(wanted(&names), names);
}

#[test]
fn what_a_folder_lacks() {
    let index = |shards: &[&str]| {
        let map: Vec<String> = shards
            .iter()
            .map(|shard| format!("\"{shard}\": \"{shard}\""))
            .collect();
        format!("{{\"weight_map\": {{{}}}}}", map.join(", "))
    };
    let torch = index(&[
        "pytorch_model-00001-of-00002.bin",
        "pytorch_model-00002-of-00002.bin",
    ]);
    let cases: &[(&[&str], &[&str])] = &[
        (&["model.safetensors"], &[]),
        (&["pytorch_model.bin"], &[]),
        (&["ALBEF.pth"], &[]),
        (&["training_args.bin"], &["model.safetensors"]),
        (&["adapter_model.bin"], &["model.safetensors"]),
        (&[], &["model.safetensors"]),
        (
            &["pytorch_model-00001-of-00002.bin", "pytorch_model.bin.index.json"],
            &["pytorch_model-00002-of-00002.bin"],
        ),
        (
            &["pytorch_model-00001-of-00002.bin"],
            &["pytorch_model.bin.index.json"],
        ),
        (
            &["model-00001-of-00002.safetensors"],
            &["model.safetensors.index.json"],
        ),
    ];
    for (files, expected) in cases {
        for tokenizer in [
            "tokenizer.json",
            "bpe_simple_vocab_16e6.txt",
            "bpe_simple_vocab_16e6.txt.gz",
        ] {
            let folder = tempfile::tempdir().unwrap();
            for file in [&["config.json", tokenizer], *files].concat() {
                std::fs::write(folder.path().join(file), &torch).unwrap();
            }
            assert_eq!(missing(folder.path()), *expected, "{files:?}");
        }
    }
}

proptest! {
    /// Whatever is accepted stays one folder, or one file, below where it is put.
    #[test]
    fn accepted_names_stay_inside(text in "[a-zA-Z0-9./\\\\:@_~ \\-]{0,24}") {
        use std::path::{Component, Path};
        let inside = |path: &str| Path::new(path).components().all(|c| matches!(c, Component::Normal(_)));
        if let Ok(id) = RepositoryId::parse(&text) {
            prop_assert_eq!(id.folder().split('/').count(), 1);
            prop_assert!(inside(&id.folder()));
            prop_assert_eq!(RepositoryId::from_folder(&id.folder()), Some(id));
        }
        if let Ok(revision) = Revision::parse(&text) {
            prop_assert!(inside(revision.as_str()) && !text.contains('\\'));
        }
        if is_safe_name(&text) {
            prop_assert!(inside(&text) && !text.contains('\\') && !text.contains(':'));
        }
    }
}
