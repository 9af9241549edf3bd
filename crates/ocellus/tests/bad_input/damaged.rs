//! Checkpoints that are damaged, incomplete, or of another kind.

use std::fs;
use std::path::Path;

use ocellus_weights::Dtype;
use serde_json::json;

use crate::place::{Place, edit, halve, png, reweigh};

/// What is damaged, how, and what is said about it.
type Damage = (&'static str, fn(&Path), &'static str);

#[test]
fn checkpoints() {
    let cases: &[Damage] = &[
        (
            "no config",
            |f| fs::remove_file(f.join("config.json")).unwrap(),
            "not a model folder",
        ),
        (
            "half a config",
            |f| halve(&f.join("config.json")),
            "not valid JSON",
        ),
        (
            "dynamic rotary scaling",
            |f| {
                let scaling = json!({ "type": "dynamic", "factor": 2.0, "mrope_section": [1, 2, 3] });
                edit(&f.join("config.json"), json!({ "rope_scaling": scaling }));
            },
            "`rope_scaling.type` is \"dynamic\"",
        ),
        (
            "sliding windows",
            |f| edit(&f.join("config.json"), json!({ "use_sliding_window": true })),
            "`use_sliding_window` is true, expected false",
        ),
        (
            "another activation",
            |f| edit(&f.join("config.json"), json!({ "hidden_act": "gelu" })),
            "`hidden_act` is \"gelu\", expected \"silu\"",
        ),
        (
            "a field of the library that is not as it always is",
            |f| edit(&f.join("config.json"), json!({ "add_cross_attention": true })),
            "`add_cross_attention` is true",
        ),
        (
            "a field that is missing",
            |f| edit(&f.join("config.json"), json!({ "rope_scaling": null })),
            "`rope_scaling.mrope_section` is missing",
        ),
        (
            "no heads",
            |f| edit(&f.join("config.json"), json!({ "num_attention_heads": 0 })),
            "`num_attention_heads` is 0",
        ),
        (
            "an absurd size",
            |f| {
                edit(
                    &f.join("config.json"),
                    json!({ "intermediate_size": 2_000_000_000 }),
                )
            },
            "has shape [72, 48], the config asks for [2000000000, 48]",
        ),
        (
            "an unknown architecture",
            |f| {
                edit(
                    &f.join("config.json"),
                    json!({ "model_type": "x", "architectures": ["XForY"] }),
                )
            },
            "no family reads the architecture `XForY`",
        ),
        (
            "no weights",
            |f| fs::remove_file(f.join("model.safetensors")).unwrap(),
            "no weights in",
        ),
        (
            "empty weights",
            |f| fs::write(f.join("model.safetensors"), "").unwrap(),
            "is not a safetensors file",
        ),
        (
            "half the weights",
            |f| halve(&f.join("model.safetensors")),
            "lies at bytes",
        ),
        (
            "a missing shard",
            |f| {
                fs::remove_file(f.join("model.safetensors")).unwrap();
                let map = json!({ "lm_head.weight": "model-00001-of-00002.safetensors" });
                let index = json!({ "metadata": { "total_size": 1 }, "weight_map": map });
                fs::write(f.join("model.safetensors.index.json"), index.to_string()).unwrap();
            },
            "lists the shard `model-00001-of-00002.safetensors`, which is missing",
        ),
        (
            "a missing tensor",
            |f| reweigh(f, |tensors| tensors.retain(|t| t.0 != "model.norm.weight")),
            "has no tensor `model.norm.weight`",
        ),
        (
            "a tensor of the wrong shape",
            |f| {
                reweigh(f, |tensors| {
                    let norm = tensors.iter_mut().find(|t| t.0 == "model.norm.weight").unwrap();
                    norm.2 = vec![2, 24];
                });
            },
            "tensor `model.norm.weight` has shape [2, 24], the config asks for [48]",
        ),
        (
            "a tensor too many",
            |f| {
                reweigh(f, |tensors| {
                    tensors.push((
                        "model.layers.0.extra.weight".into(),
                        Dtype::F32,
                        vec![1],
                        vec![0; 4],
                    ))
                });
            },
            "nobody takes the tensors model.layers.0.extra.weight",
        ),
        (
            "no tokenizer",
            |f| fs::remove_file(f.join("tokenizer.json")).unwrap(),
            "no tokenizer in",
        ),
        (
            "a vocabulary without its special tokens",
            |f| edit(&f.join("config.json"), json!({ "image_token_id": 155 })),
            "the vocabulary has no token 155, which stands for a picture",
        ),
        (
            "half a tokenizer",
            |f| halve(&f.join("tokenizer.json")),
            "tokenizer.json",
        ),
        (
            "a template that loops",
            |f| {
                let inner =
                    "{% for b in range(100000) %}{% for c in range(100000) %}{% endfor %}{% endfor %}";
                fs::write(f.join("chat_template.jinja"), inner).unwrap();
            },
            "the chat template was stopped",
        ),
        (
            "a template that calls itself",
            |f| {
                let text = "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}";
                fs::write(f.join("chat_template.jinja"), text).unwrap();
            },
            "nested too deeply",
        ),
        (
            "half a template",
            |f| fs::write(f.join("chat_template.jinja"), "{% if").unwrap(),
            "the chat template is not valid",
        ),
        (
            "a template that refuses",
            |f| {
                fs::write(
                    f.join("chat_template.jinja"),
                    "{{ raise_exception('no questions') }}",
                )
                .unwrap()
            },
            "refuses this conversation: no questions",
        ),
        (
            "a template without pictures",
            |f| fs::write(f.join("chat_template.jinja"), "x").unwrap(),
            "0 placeholders",
        ),
        (
            "a broken generation config",
            |f| fs::write(f.join("generation_config.json"), "{}{").unwrap(),
            "generation_config.json is not valid JSON",
        ),
        (
            "patches of another model",
            |f| {
                let recipe = json!({ "patch_size": 14, "merge_size": 2, "temporal_patch_size": 2 });
                fs::write(f.join("preprocessor_config.json"), recipe.to_string()).unwrap();
            },
            "preprocessor_config.json makes patches of 1176 values",
        ),
    ];
    let place = Place::new();
    place.write("dot.png", png(1, 1));
    let ask = |name: &str| {
        let folder = format!("./{name}");
        place.run(&[
            "ask",
            "-m",
            &folder,
            "--image",
            "dot.png",
            "hi",
            "--max-tokens",
            "1",
        ])
    };
    place.model("sound");
    ask("sound").fine();
    for (name, damage, text) in cases {
        damage(&place.model(name));
        ask(name).refused(text);
    }
}
