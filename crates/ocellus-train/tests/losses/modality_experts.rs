//! Stages of a model with experts: which tensors each changes, masked words of texts alone, and the three losses of pairs.

use crate::hand::{cross_entropy, matrix, softmax};
use crate::tiny::{Tiny, close, masks, pictures, rows, slices, tiny};
use ocellus_models::learner::modality_experts::PretrainingStage;
use ocellus_nn::ops::loss::IGNORE;
use ocellus_train::losses::modality_experts::{NegativeChoice, Negatives, pairs, texts, trainable};
use ocellus_train::losses::momentum_distillation::Pairs;
use serde_json::json;

fn model() -> Tiny {
    tiny(json!({
        "model_type": "vlmo", "architectures": ["VLMo"], "image_size": 6, "patch_size": 2, "hidden_size": 8,
        "num_hidden_layers": 3, "num_attention_heads": 2, "mlp_ratio": 2, "vlffn_start_layer_index": 2,
        "layer_norm_eps": 1e-6, "need_relative_position_embed": true, "use_abs_pos_emb": false,
        "layer_scale_init_values": 0.7, "vocab_size": 23, "max_text_len": 6, "max_text_len_of_initckpt": 10,
        "text_layer_norm_eps": 1e-6,
    }))
}

fn written() -> Vec<Vec<u32>> {
    vec![vec![1, 7, 8, 2], vec![1, 9, 10, 11, 2], vec![1, 12, 2]]
}

fn hidden() -> Vec<u32> {
    let mut hidden = vec![IGNORE; 12];
    (hidden[1], hidden[6], hidden[10]) = (5, 14, 22);
    hidden
}

#[test]
fn texts_alone_change_what_belongs_to_texts() {
    let tiny = model();
    let model = tiny.modality_experts();
    for (name, texts) in [
        ("text_embeddings.word_embeddings.weight", true),
        ("text_embeddings.LayerNorm.bias", true),
        ("token_type_embeddings.weight", true),
        ("relative_position_bias_table", true),
        ("transformer.blocks.1.mlp_text.fc1.weight", true),
        ("transformer.blocks.1.norm2_text.bias", true),
        ("transformer.norm.weight", true),
        ("mlm_score.transform.dense.weight", true),
        ("mlm_score.bias", true),
        ("transformer.blocks.1.norm1.weight", false),
        ("transformer.blocks.1.attn.qkv.weight", false),
        ("transformer.blocks.1.attn.proj.bias", false),
        ("transformer.blocks.1.gamma_1", false),
        ("transformer.blocks.1.mlp_imag.fc1.weight", false),
        ("transformer.blocks.2.mlp_vl.fc2.weight", false),
        ("transformer.blocks.2.norm2_vl.weight", false),
        ("transformer.patch_embed.proj.weight", false),
        ("transformer.cls_token", false),
        ("pooler.dense.weight", false),
        ("itm_score.fc.weight", false),
        ("itc_text_proj.fc.weight", false),
        ("logit_scale", false),
    ] {
        assert!(tiny.source.vars().contains_key(name), "no `{name}`");
        assert_eq!(model.trains(PretrainingStage::Texts, name), texts, "{name}");
        assert!(model.trains(PretrainingStage::Pairs, name), "{name}");
    }

    let vars = tiny.source.vars();
    assert_eq!(trainable(model, PretrainingStage::Pairs, &vars).len(), vars.len());
    // Nothing is told to change that the loss cannot change.
    let grads = texts(model, &written(), &hidden()).unwrap().backward().unwrap();
    let own = trainable(model, PretrainingStage::Texts, &vars);
    assert!(own.len() < vars.len());
    for (name, var) in own {
        assert!(grads.get(&var).is_some(), "no gradient for `{name}`");
    }
}

#[test]
fn words_of_texts_alone() {
    let tiny = model();
    let model = tiny.modality_experts();
    let (masked, hidden) = (written(), hidden());
    let whole = || {
        let (places, truth) = masks(&hidden);
        let states = model.encode_texts(&slices(&masked)).unwrap();
        cross_entropy(
            &matrix(&model.token_logits(&rows(&states.rows, &places)).unwrap()),
            &truth,
        )
    };
    let loss = texts(model, &masked, &hidden).unwrap();
    close("words", &loss, whole());
    tiny.assert_slopes(
        &loss.backward().unwrap(),
        &[
            "text_embeddings.word_embeddings.weight",
            "relative_position_bias_table",
            "transformer.blocks.2.mlp_text.fc1.weight",
            "transformer.norm.weight",
            "mlm_score.decoder.weight",
        ],
        whole,
    );
}

#[test]
fn contrast_matching_and_words_of_pairs() {
    let tiny = model();
    let model = tiny.modality_experts();
    // Both scales small enough that all pairs count.
    for name in ["logit_scale", "logit_vl_scale"] {
        let var = &tiny.source.vars()[name];
        assert!((var.as_tensor().to_scalar::<f32>().unwrap() - (1f32 / 0.07).ln()).abs() < 0.11);
        var.set(&(var.as_tensor().ones_like().unwrap() * 0.9).unwrap())
            .unwrap();
    }
    let visual = pictures(&[(3, 3), (4, 4), (3, 3)], 12, 9);
    let (own, hidden) = (written(), hidden());
    let mut masked = written();
    (masked[0][1], masked[1][2], masked[2][1]) = (4, 4, 4);
    let batch = Pairs {
        visual: &visual,
        texts: &own,
        masked: &masked,
        hidden: &hidden,
    };
    let negatives = || Negatives {
        pictures: vec![2, 0, 1],
        texts: vec![1, 2, 1],
    };
    let losses = pairs(model, &batch, NegativeChoice::Given(negatives())).unwrap();

    let contrast = || {
        let both = model.similarities(&visual, &slices(&own)).unwrap();
        let one = |scores: &candle_core::Tensor| {
            let (down, across) = (matrix(scores), matrix(&scores.t().unwrap()));
            (cross_entropy(&down, &[0, 1, 2]) + cross_entropy(&across, &[0, 1, 2])) / 2.0
        };
        (one(&both[0]) + one(&both[1])) / 2.0
    };
    let matching = || {
        let negatives = negatives();
        let logits = |which: &[usize], written: &[usize]| {
            let texts: Vec<Vec<u32>> = written.iter().map(|i| own[*i].clone()).collect();
            // One by one: pairs do not see one another.
            let one = |(picture, text): (&usize, &Vec<u32>)| {
                let visual = visual.pick(&[*picture]).unwrap();
                let joint = model.encode(&visual, &[text]).unwrap();
                matrix(&model.matching_logits(&joint).unwrap()).remove(0)
            };
            which.iter().zip(&texts).map(one).collect::<Vec<_>>()
        };
        let all = [
            logits(&[0, 1, 2], &[0, 1, 2]),
            logits(&negatives.pictures, &[0, 1, 2]),
            logits(&[0, 1, 2], &negatives.texts),
        ];
        cross_entropy(&all.concat(), &[1, 1, 1, 0, 0, 0, 0, 0, 0])
    };
    let words = || {
        let (places, truth) = masks(&hidden);
        let states = model.encode(&visual, &slices(&masked)).unwrap().text.rows;
        cross_entropy(
            &matrix(&model.token_logits(&rows(&states, &places)).unwrap()),
            &truth,
        )
    };
    close("contrast", &losses.contrast, contrast());
    close("matching", &losses.matching, matching());
    close("words", &losses.words, words());
    let whole = || contrast() + matching() + 0.25 * words();
    let total = losses.total().unwrap();
    close("total", &total, whole());
    tiny.assert_slopes(
        &total.backward().unwrap(),
        &[
            "logit_scale",
            "logit_vl_scale",
            "itc_text_proj.fc.weight",
            "itc_vl_image_proj.fc.weight",
            "itm_score.fc.weight",
            "relative_position_bias_table",
            "transformer.patch_embed.proj.weight",
            "transformer.blocks.0.attn.qkv.weight",
            "transformer.blocks.1.gamma_2",
            "transformer.blocks.1.mlp_imag.fc2.weight",
            "transformer.blocks.0.mlp_text.fc2.weight",
            "transformer.blocks.2.mlp_vl.fc2.weight",
        ],
        whole,
    );

    // Negatives by the experts of each alone.
    let [scores, _] = model.similarities(&visual, &slices(&own)).unwrap();
    for (weights, scores) in [
        (&losses.text_weights, matrix(&scores)),
        (&losses.picture_weights, matrix(&scores.t().unwrap())),
    ] {
        for (i, row) in scores.iter().enumerate() {
            for (j, p) in softmax(row).into_iter().enumerate() {
                let wanted = if i == j { 0.0 } else { p };
                assert!((matrix(weights)[i][j] - wanted).abs() < 1e-6);
            }
        }
    }
    let drawn = pairs(model, &batch, NegativeChoice::Sampled(&mut || 0.5))
        .unwrap()
        .negatives;
    for (own, negative) in drawn.texts.iter().chain(&drawn.pictures).enumerate() {
        assert_ne!(own % 3, *negative);
    }
}
