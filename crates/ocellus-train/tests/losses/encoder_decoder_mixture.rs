//! Contrast with queues, matching and language of a model with a EMA copy of its towers.

use crate::hand::{Matrix, cross_entropy, log_softmax, matrix, softmax};
use crate::tiny::{Tiny, close, pictures, slices, tiny};
use candle_core::Tensor;
use ocellus_models::learner::encoder_decoder_mixture::EncoderDecoderMixture;
use ocellus_models::learner::momentum_contrast::Queues;
use ocellus_models::{DualEncoder, VisualInput};
use ocellus_train::losses::encoder_decoder_mixture::{
    MomentumSettings, NegativeChoice, Negatives, ema_update, step,
};
use serde_json::json;

const START: u32 = 20;

fn model() -> Tiny {
    tiny(json!({
        "architectures": ["BLIP_Pretrain"], "model_type": "blip", "image_text_hidden_size": 6, "queue_size": 8,
        "text_config": {
            "vocab_size": 22, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2,
            "intermediate_size": 12, "max_position_embeddings": 8, "bos_token_id": START, "layer_norm_eps": 1e-6,
        },
        "vision_config": {
            "hidden_size": 10, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 12,
            "image_size": 6, "patch_size": 2,
        },
    }))
}

fn texts() -> Vec<Vec<u32>> {
    vec![
        vec![1, 7, 8, 2],
        vec![1, 9, 10, 11, 2],
        vec![1, 12, 2],
        vec![1, 13, 7, 2],
    ]
}

fn product(a: &Matrix, b: &Matrix, temperature: f64) -> Matrix {
    let entry = |a: &[f64], j: usize| a.iter().zip(b).map(|(x, row)| x * row[j]).sum::<f64>();
    let row = |a: &Vec<f64>| (0..b[0].len()).map(|j| entry(a, j) / temperature).collect();
    a.iter().map(row).collect()
}

/// Columns of features, and behind them those of a queue.
fn columns(features: &Matrix, queue: &Matrix) -> Matrix {
    let column = |i: usize| features.iter().map(move |f| f[i]);
    let joined = |(i, row): (usize, &Vec<f64>)| column(i).chain(row.iter().copied()).collect();
    queue.iter().enumerate().map(joined).collect()
}

/// The losses by hand, over features and logits of the model as it is now.
struct Hand<'a> {
    model: &'a dyn EncoderDecoderMixture,
    visual: &'a VisualInput,
    queues: Queues,
    negatives: Negatives,
    alpha: f64,
}

impl Hand<'_> {
    fn features(&self, towers: &dyn DualEncoder) -> [Matrix; 2] {
        let pictures = towers.pictures(self.visual).unwrap();
        let texts = towers.texts(&slices(&texts())).unwrap();
        [
            matrix(&towers.picture_features(&pictures).unwrap()),
            matrix(&towers.text_features(&texts).unwrap()),
        ]
    }

    fn temperature(&self) -> f64 {
        f64::from(self.model.temperature().to_scalar::<f32>().unwrap())
    }

    /// What the copy thinks: pictures to texts, texts to pictures; with the truth mixed in.
    fn targets(&self) -> [Matrix; 2] {
        let [pictures, texts] = self.features(self.model.teacher());
        let temperature = self.temperature();
        let one = |own: &Matrix, others: &Matrix, queue: &Tensor| -> Matrix {
            let all = product(own, &columns(others, &matrix(queue)), temperature);
            let mixed = |(i, row): (usize, &Vec<f64>)| {
                let truth = move |j: usize| if i == j { 1.0 - self.alpha } else { 0.0 };
                let soft = softmax(row).into_iter().enumerate();
                soft.map(|(j, p)| self.alpha * p + truth(j)).collect()
            };
            all.iter().enumerate().map(mixed).collect()
        };
        [
            one(&pictures, &texts, &self.queues.texts),
            one(&texts, &pictures, &self.queues.pictures),
        ]
    }

    /// The student's similarities to the copy's features.
    fn similarities(&self) -> [Matrix; 2] {
        let [pictures, texts] = self.features(self.model.student());
        let [slow_pictures, slow_texts] = self.features(self.model.teacher());
        let to_texts = columns(&slow_texts, &matrix(&self.queues.texts));
        let to_pictures = columns(&slow_pictures, &matrix(&self.queues.pictures));
        let temperature = self.temperature();
        [
            product(&pictures, &to_texts, temperature),
            product(&texts, &to_pictures, temperature),
        ]
    }

    fn contrast(&self, targets: &[Matrix; 2]) -> f64 {
        let one = |(rows, targets): (&Matrix, &Matrix)| {
            let row = |(x, t): (&Vec<f64>, &Vec<f64>)| {
                let each = log_softmax(x).into_iter().zip(t).map(|(l, t)| -t * l);
                each.sum::<f64>()
            };
            rows.iter().zip(targets).map(row).sum::<f64>() / rows.len() as f64
        };
        self.similarities().iter().zip(targets).map(one).sum::<f64>() / 2.0
    }

    fn matching(&self) -> f64 {
        let pictures = self.model.student().pictures(self.visual).unwrap();
        let texts = texts();
        let logits = |texts: &[Vec<u32>], which: &[usize]| {
            let pictures = pictures.pick(which).unwrap();
            matrix(&self.model.matching_logits(&slices(texts), &pictures).unwrap())
        };
        let negative_texts: Vec<Vec<u32>> = self.negatives.texts.iter().map(|i| texts[*i].clone()).collect();
        let all = [
            logits(&texts, &[0, 1, 2, 3]),
            logits(&texts, &self.negatives.pictures),
            logits(&negative_texts, &[0, 1, 2, 3]),
        ];
        let targets: Vec<usize> = (0..12).map(|i| usize::from(i < 4)).collect();
        cross_entropy(&all.concat(), &targets)
    }

    /// 0.9 of the target and 0.1 spread over 22 words.
    fn language(&self) -> f64 {
        let pictures = self.model.student().pictures(self.visual).unwrap();
        let logits = matrix(
            &self
                .model
                .next_token_logits(&slices(&texts()), &pictures)
                .unwrap(),
        );
        let (mut row, mut sum, mut count) = (0, 0.0, 0.0);
        for text in texts() {
            for next in 1..text.len() {
                let log = log_softmax(&logits[row]);
                sum -= 0.9 * log[text[next] as usize] + 0.1 * log.iter().sum::<f64>() / 22.0;
                (row, count) = (row + 1, count + 1.0);
            }
            row += 1;
        }
        sum / count
    }
}

#[test]
fn all_three_equal_what_is_computed_by_hand() {
    let tiny = model();
    let model = tiny.encoder_decoder_mixture();
    let visual = pictures(&[(3, 3), (2, 3), (1, 2), (3, 3)], 12, 3);
    let (vars, states) = (tiny.source.vars(), tiny.source.states());
    // A temperature that leaves the targets soft, and a copy that is no copy any more.
    vars["temp"]
        .set(&Tensor::new(0.4f32, &candle_core::Device::Cpu).unwrap())
        .unwrap();
    let (before, mut queues) = (model.queues().clone(), model.queues().clone());
    let negatives = Negatives {
        pictures: vec![1, 0, 3, 2],
        texts: vec![2, 3, 0, 0],
    };
    let settings = MomentumSettings::at(0.4, 0.75, 3, 4);
    assert!((settings.alpha - 0.3).abs() < 1e-12);
    let losses = step(
        model,
        (&vars, &states),
        &mut queues,
        (&visual, &texts()),
        NegativeChoice::Given(negatives.clone()),
        settings,
    )
    .unwrap();

    let hand = Hand {
        model,
        visual: &visual,
        queues: before,
        negatives,
        alpha: 0.3,
    };
    // The copy has taken its step already, so that the same features come out of it.
    let targets = hand.targets();
    close("contrast", &losses.contrast, hand.contrast(&targets));
    close("matching", &losses.matching, hand.matching());
    close("language", &losses.language, hand.language());
    assert_eq!(queues.next, 4);
    let [slow, _] = hand.features(model.teacher());
    let entered = matrix(&queues.pictures.narrow(1, 0, 4).unwrap().t().unwrap());
    let apart = slow
        .iter()
        .flatten()
        .zip(entered.concat())
        .map(|(a, b)| (a - b).abs());
    assert!(apart.fold(0.0, f64::max) < 1e-6);

    // Negatives: likelihoods in the batch, a ten-thousandth more each, oneself left out.
    let [to_texts, to_pictures] = hand.similarities();
    for (weights, rows) in [
        (&losses.text_weights, to_texts),
        (&losses.picture_weights, to_pictures),
    ] {
        for (i, row) in rows.iter().enumerate() {
            for (j, p) in softmax(&row[..4]).into_iter().enumerate() {
                let wanted = if i == j { 0.0 } else { p + 1e-4 };
                assert!((matrix(weights)[i][j] - wanted).abs() < 1e-6);
            }
        }
    }

    let whole = || hand.contrast(&targets) + hand.matching() + hand.language();
    let total = losses.total().unwrap();
    close("total", &total, whole());
    tiny.assert_slopes(
        &total.backward().unwrap(),
        &[
            "temp",
            "vision_model.embeddings.patch_embedding.weight",
            "vision_proj.weight",
            "text_proj.bias",
            "itm_head.weight",
            // Of the encoder and of the decoder.
            "text_encoder.embeddings.word_embeddings.weight",
            "text_encoder.encoder.layer.0.crossattention.self.query.weight",
            "text_encoder.encoder.layer.1.output.dense.weight",
            // Of one of them.
            "text_encoder.encoder.layer.0.attention.self.value.weight",
            "text_decoder.bert.encoder.layer.0.attention.self.value.weight",
            "text_decoder.cls.predictions.transform.dense.weight",
        ],
        whole,
    );
}

#[test]
fn encoder_and_decoder_share_all_but_self_attention() {
    let tiny = model();
    let names: Vec<String> = tiny.source.vars().into_keys().collect();
    let decoders: Vec<&String> = names.iter().filter(|n| n.starts_with("text_decoder.")).collect();
    assert!(decoders.iter().any(|n| n.contains(".attention.self.")));
    for name in decoders {
        let own = name.contains(".attention.") || name.contains(".cls.predictions.");
        assert!(own, "`{name}` is the encoder's");
    }
    // Everything of the towers has a copy, and nothing else.
    let model = tiny.encoder_decoder_mixture();
    let states = tiny.source.states();
    let followers: Vec<String> = names.iter().filter_map(|n| model.teacher_tensor(n)).collect();
    let mut wanted: Vec<String> = states
        .keys()
        .filter(|n| !n.ends_with("_queue"))
        .cloned()
        .collect();
    wanted.sort();
    assert_eq!(followers.len(), wanted.len());
    assert!(followers.iter().all(|name| states.contains_key(name)));
    ema_update(model, &tiny.source.vars(), &states, 0.0).unwrap();
    let [a, b] = ["text_proj.weight", "text_proj_m.weight"];
    assert_eq!(matrix(&tiny.source.vars()[a]), matrix(&states[b]));
}

#[test]
fn strangers_are_drawn_and_never_oneself() {
    let tiny = model();
    let model = tiny.encoder_decoder_mixture();
    let visual = pictures(&[(2, 2); 4], 12, 3);
    let (vars, states) = (tiny.source.vars(), tiny.source.states());
    let mut queues = model.queues().clone();
    for number in [0.0, 0.5, 0.999] {
        let losses = step(
            model,
            (&vars, &states),
            &mut queues,
            (&visual, &texts()),
            NegativeChoice::Sampled(&mut || number),
            MomentumSettings::at(0.4, 0.995, 0, 2),
        )
        .unwrap();
        let negatives = [losses.negatives.pictures, losses.negatives.texts];
        for (own, negative) in negatives.iter().flat_map(|s| s.iter().enumerate()) {
            assert_ne!(own, *negative);
        }
    }
    // Three batches of four into eight places.
    assert_eq!(queues.next, 4);
}
