//! Matches, alignment and masked words in one sequence, of patches and of regions.

use crate::hand::{Matrix, cosine_costs, cost_of, cross_entropy, matrix, plan};
use crate::tiny::{Tiny, close, masks, pictures, regions, rows, slices, tiny};
use ocellus_models::VisualInput;
use ocellus_models::learner::single_stream::SingleStream;
use ocellus_nn::ops::loss::IGNORE;
use ocellus_train::losses::single_stream::{Masked, Shown, matches, step, words};
use serde_json::json;

pub fn of_patches() -> Tiny {
    tiny(json!({
        "architectures": ["ViltForMaskedLM"], "model_type": "vilt", "vocab_size": 23, "hidden_size": 8,
        "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 12, "max_position_embeddings": 8,
        "image_size": 6, "patch_size": 2, "num_channels": 3, "layer_norm_eps": 1e-6,
    }))
}

pub fn of_regions() -> Tiny {
    tiny(json!({
        "architectures": ["UniterForPretraining"], "vocab_size": 23, "hidden_size": 8, "num_hidden_layers": 2,
        "num_attention_heads": 2, "intermediate_size": 12, "max_position_embeddings": 8, "img_dim": 5,
        "img_label_dim": 4,
    }))
}

fn texts() -> Vec<Vec<u32>> {
    vec![
        vec![1, 7, 8, 2],
        vec![1, 9, 10, 11, 2],
        vec![1, 2],
        vec![1, 12, 7, 2],
    ]
}

const MATCHED: [bool; 4] = [true, false, false, true];

/// What the loss computes from what the model gives, by hand. `trimmed` says how many tokens are not carried in front of and
/// behind words, and in front of what is seen.
struct Hand<'a> {
    model: &'a dyn SingleStream,
    shown: &'a VisualInput,
    trimmed: (usize, usize, usize),
}

impl Hand<'_> {
    fn costs(&self) -> Vec<Option<Matrix>> {
        let (front, back, before) = self.trimmed;
        let joint = self.model.encode(self.shown, &slices(&texts())).unwrap();
        let (words, seen) = (matrix(&joint.text.rows), matrix(&joint.visual.rows));
        let (mut word, mut part) = (0, 0);
        let mut costs = Vec::new();
        for (w, s) in joint.text.lengths.iter().zip(&joint.visual.lengths) {
            let kept = (*w > front + back).then(|| words[word + front..word + w - back].to_vec());
            costs.push(kept.map(|x| cosine_costs(&x, &seen[part + before..part + s].to_vec())));
            (word, part) = (word + w, part + s);
        }
        costs
    }

    fn plans(&self) -> Vec<Option<Matrix>> {
        self.costs().iter().map(|c| c.as_ref().map(plan)).collect()
    }

    /// With the plans as given: their gradient is left out.
    fn alignment(&self, plans: &[Option<Matrix>]) -> f64 {
        let costs = self.costs();
        let distance = |(p, c): (&Option<Matrix>, &Option<Matrix>)| match (p, c) {
            (Some(p), Some(c)) => cost_of(p, c),
            _ => 0.0,
        };
        let distances: Vec<f64> = plans.iter().zip(&costs).map(distance).collect();
        let of = |which: bool| {
            let own = distances.iter().zip(MATCHED).filter(move |(_, m)| *m == which);
            own.map(|(d, _)| d).sum::<f64>()
        };
        (of(true) - of(false)) / MATCHED.len() as f64
    }

    fn matching(&self) -> f64 {
        let joint = self.model.encode(self.shown, &slices(&texts())).unwrap();
        let logits = matrix(&self.model.matching_logits(&joint).unwrap());
        cross_entropy(&logits, &MATCHED.map(usize::from))
    }
}

fn by_hand(model: &dyn SingleStream, masked: &Masked) -> f64 {
    let joint = model.encode(masked.visual, &slices(masked.texts)).unwrap();
    let (places, truth) = masks(masked.hidden);
    let logits = model.token_logits(&rows(&joint.text.rows, &places)).unwrap();
    cross_entropy(&matrix(&logits), &truth)
}

#[test]
fn patches_all_three_in_one_step() {
    let tiny = of_patches();
    let model = tiny.single_stream();
    // Pictures of several sizes, so that their positions are resized.
    let grids = [(3, 3), (2, 3), (1, 2), (3, 2)];
    let (shown, own) = (pictures(&grids, 12, 1), pictures(&grids, 12, 2));
    let mut masked = texts();
    masked[0][1] = 4;
    masked[1][3] = 4;
    let mut hidden = vec![IGNORE; 15];
    (hidden[1], hidden[7]) = (7, 11);
    let texts = texts();
    let shown_ = Shown {
        visual: &shown,
        texts: &texts,
        matched: &MATCHED,
    };
    let masked = Masked {
        visual: &own,
        texts: &masked,
        hidden: &hidden,
    };
    let losses = step(model, &shown_, &masked).unwrap();

    let hand = Hand {
        model,
        shown: &shown,
        trimmed: (1, 1, 1),
    };
    let plans = hand.plans();
    assert!(
        plans[2].is_none(),
        "a text of nothing but its marks is not carried"
    );
    close("alignment", &losses.matches.alignment, hand.alignment(&plans));
    close("matching", &losses.matches.matching, hand.matching());
    close("words", &losses.words, by_hand(model, &masked));
    let whole = || hand.matching() + 0.1 * hand.alignment(&plans) + by_hand(model, &masked);
    let total = losses.total().unwrap();
    close("total", &total, whole());

    tiny.assert_slopes(
        &total.backward().unwrap(),
        &[
            "vilt.embeddings.patch_embeddings.projection.weight",
            "vilt.embeddings.text_embeddings.word_embeddings.weight",
            "vilt.embeddings.token_type_embeddings.weight",
            "vilt.encoder.layer.0.attention.attention.key.weight",
            "vilt.encoder.layer.1.output.dense.bias",
            "vilt.pooler.dense.weight",
            "itm_score.fc.weight",
            "mlm_score.transform.dense.weight",
        ],
        whole,
    );

    // The alignment alone, which is small beside the others.
    let alone = matches(model, &shown_).unwrap().alignment;
    tiny.assert_slopes(
        &alone.backward().unwrap(),
        &["vilt.encoder.layer.0.attention.attention.value.weight"],
        || hand.alignment(&plans),
    );
}

#[test]
fn regions_matches_with_alignment_or_words() {
    let tiny = of_regions();
    let model = tiny.single_stream();
    let shown = regions(&[3, 2, 1, 4], 5, 1);
    let losses = matches(
        model,
        &Shown {
            visual: &shown,
            texts: &texts(),
            matched: &MATCHED,
        },
    )
    .unwrap();
    let hand = Hand {
        model,
        shown: &shown,
        trimmed: (0, 0, 0),
    };
    let plans = hand.plans();
    close("alignment", &losses.alignment, hand.alignment(&plans));
    close("matching", &losses.matching, hand.matching());
    tiny.assert_slopes(
        &losses.total().unwrap().backward().unwrap(),
        &[
            "uniter.img_embeddings.img_linear.weight",
            "uniter.img_embeddings.pos_linear.weight",
            "uniter.encoder.layer.0.attention.self.query.weight",
            "itm_output.weight",
        ],
        || hand.matching() + 0.1 * hand.alignment(&plans),
    );

    let mut hidden = vec![IGNORE; 15];
    (hidden[2], hidden[5]) = (3, 21);
    let texts = texts();
    let masked = Masked {
        visual: &shown,
        texts: &texts,
        hidden: &hidden,
    };
    let loss = words(model, &masked).unwrap();
    close("words", &loss, by_hand(model, &masked));
    tiny.assert_slopes(
        &loss.backward().unwrap(),
        &[
            "uniter.embeddings.word_embeddings.weight",
            "cls.predictions.transform.dense.weight",
        ],
        || by_hand(model, &masked),
    );
}

#[test]
fn what_does_not_fit_is_refused_and_nothing_masked_costs_nothing() {
    let tiny = of_regions();
    let model = tiny.single_stream();
    let visual = regions(&[2, 2, 2, 2], 5, 1);
    let (texts, hidden) = (texts(), vec![IGNORE; 15]);
    let mut shown = Shown {
        visual: &visual,
        texts: &texts,
        matched: &MATCHED[..3],
    };
    let refused = matches(model, &shown).err().unwrap().to_string();
    assert!(refused.contains("one for every text"), "{refused}");
    let mut masked = Masked {
        visual: &visual,
        texts: &texts,
        hidden: &hidden[1..],
    };
    let refused = words(model, &masked).err().unwrap().to_string();
    assert!(refused.contains("hidden words"), "{refused}");

    masked.hidden = &hidden;
    close("words", &words(model, &masked).unwrap(), 0.0);
    // Only negatives: the cheaper their plans, the worse.
    shown.matched = &[false; 4];
    let alignment = matches(model, &shown).unwrap().alignment;
    assert!(alignment.to_scalar::<f32>().unwrap() < 0.0);
}
