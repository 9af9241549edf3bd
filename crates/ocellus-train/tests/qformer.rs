//! Both stages of training learned queries, on tiny models that start at random: the losses against their definitions in f64,
//! gradients against central differences, and what stays as it is.

use std::collections::BTreeSet;
use std::rc::Rc;

use candle_core::{Device, Tensor, Var};
use ocellus_models::families::{find, load_learner, parse};
use ocellus_models::learner::qformer::QFormerPretraining;
use ocellus_models::{Grid, Learner, Model, Objective, PositionRule, Prompt, VisualInput, VisualSpan};
use ocellus_nn::ops::loss::IGNORE;
use ocellus_nn::{Params, Precision, Trainable};
use ocellus_testkit::{Random, case::goldens_dir};
use ocellus_train::losses::answers::answers;
use ocellus_train::losses::momentum_distillation::Negatives;
use ocellus_train::losses::qformer::{Losses, Pairs, QFormerSettings, step};

const TEXTS: [&[u32]; 3] = [&[3, 17, 42, 9, 4], &[3, 99, 4], &[3, 8, 120, 4]];
const SETTINGS: QFormerSettings = QFormerSettings {
    smoothing: 0.1,
    start: 7,
};

struct Setup {
    source: Rc<Trainable>,
    trained: Trained,
    patches: Tensor,
    grids: Vec<Grid>,
}

/// The model of either stage.
enum Trained {
    First(Box<dyn Learner>),
    Second(Box<dyn Model>),
}

impl Trained {
    fn model(&self) -> &dyn Model {
        match self {
            Self::First(learner) => learner.model(),
            Self::Second(model) => model.as_ref(),
        }
    }

    fn qformer(&self) -> &dyn QFormerPretraining {
        match self {
            Self::First(learner) => match learner.objective() {
                Objective::QFormer(model) => model,
                _ => panic!("another objective"),
            },
            Self::Second(_) => panic!("the second stage"),
        }
    }
}

impl Setup {
    /// The model of a case's config at random, of which only what its training changes is variable.
    fn new(case: &str) -> Self {
        let path = goldens_dir().join(case).join("model/config.json");
        let config = std::fs::read_to_string(path).unwrap();
        let trains = find(&parse(&config).unwrap()).unwrap().trains;
        let source = Rc::new(Trainable::random(5, 0.3, Device::Cpu).only(trains));
        let params = Params::new(source.clone(), Precision::F32);
        let trained = match load_learner(&config, &params).unwrap() {
            Some(learner) => Trained::First(learner),
            None => Trained::Second(ocellus_models::load(&config, &params).unwrap()),
        };
        let features = trained.model().facts().patch_features;
        let values = Random::new(2).normal_vec(3 * 4 * features, 1.0);
        Self {
            source,
            trained,
            patches: Tensor::from_vec(values, (12, features), &Device::Cpu).unwrap(),
            grids: vec![Grid { t: 1, h: 2, w: 2 }; 3],
        }
    }

    fn visual(&self) -> VisualInput {
        VisualInput::Pictures {
            patches: self.patches.clone(),
            grids: self.grids.clone(),
        }
    }

    fn negatives() -> Negatives {
        Negatives {
            pictures: vec![1, 2, 0],
            texts: vec![2, 0, 1],
        }
    }

    fn losses(&self) -> Losses {
        let pairs = Pairs {
            visual: &self.visual(),
            texts: &TEXTS,
        };
        step(self.trained.qformer(), &pairs, &Self::negatives(), SETTINGS).unwrap()
    }

    /// The language loss of three answers, behind two prompts of words and one of the picture alone.
    fn answers(&self) -> Tensor {
        let visions = |i: usize| {
            vec![VisualSpan {
                grid: self.grids[i],
                video_seconds: None,
            }]
        };
        let prompts: Vec<Prompt> = ([&[2u32, 11][..], &[2, 30, 31], &[2]].iter().enumerate())
            .map(|(i, ids)| Prompt {
                ids,
                visions: visions(i),
                rule: PositionRule::default(),
            })
            .collect();
        answers(
            self.trained.model().generator().unwrap(),
            &self.patches,
            &prompts,
            &ANSWERS,
        )
        .unwrap()
    }

    /// Fails where the gradient of a few weights is not the slope of the loss.
    fn check_slopes(&self, names: &[&str], loss: impl Fn() -> Tensor) {
        let (vars, store) = (self.source.vars(), loss().backward().unwrap());
        for name in names {
            let var = vars
                .get(*name)
                .unwrap_or_else(|| panic!("{name} is not among {:?}", vars.keys()));
            let gradient = flat(
                store
                    .get(var.as_tensor())
                    .unwrap_or_else(|| panic!("{name}: no gradient")),
            );
            let largest = gradient
                .iter()
                .enumerate()
                .max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()));
            for i in [0, gradient.len() / 2, largest.unwrap().0] {
                let slope = slope(var, i, &loss);
                assert!(
                    (slope - gradient[i]).abs() < 0.02 * gradient[i].abs() + 2e-3,
                    "{name}[{i}]: gradient {}, slope {slope}",
                    gradient[i]
                );
            }
            assert!(largest.unwrap().1.abs() > 1e-3, "{name} changes nothing");
        }
    }
}

const ANSWERS: [&[u32]; 3] = [&[40, 41, 2], &[50], &[61, 2]];

fn flat(t: &Tensor) -> Vec<f64> {
    let values: Vec<f32> = t.flatten_all().unwrap().to_vec1().unwrap();
    values.into_iter().map(f64::from).collect()
}

fn scalar(t: &Tensor) -> f64 {
    f64::from(t.to_scalar::<f32>().unwrap())
}

/// The central difference of `loss` along one weight, which is put back.
fn slope(var: &Var, index: usize, loss: &dyn Fn() -> Tensor) -> f64 {
    const STEP: f32 = 2e-3;
    let kept = var.as_tensor().copy().unwrap();
    let at = |by: f32| {
        let mut values: Vec<f32> = kept.flatten_all().unwrap().to_vec1().unwrap();
        values[index] += by;
        var.set(&Tensor::from_vec(values, kept.shape(), &Device::Cpu).unwrap())
            .unwrap();
        scalar(&loss())
    };
    let slope = (at(STEP) - at(-STEP)) / f64::from(2.0 * STEP);
    var.set(&kept).unwrap();
    slope
}

/// `-Σ target · ln softmax` of a row with smoothed targets.
fn graded(row: &[f64], target: usize, smoothing: f64) -> f64 {
    let norm = row.iter().map(|x| x.exp()).sum::<f64>().ln();
    let even = row.iter().map(|x| norm - x).sum::<f64>() / row.len() as f64;
    (1.0 - smoothing) * (norm - row[target]) + smoothing * even
}

fn close(found: &Tensor, expected: f64) {
    let found = scalar(found);
    assert!(
        (found - expected).abs() < 1e-4 * expected.max(1.0),
        "{found}, expected {expected}"
    );
}

#[test]
fn losses_are_their_definitions() {
    let setup = Setup::new("blip_2-itm-itc");
    let (losses, model) = (setup.losses(), setup.trained.qformer());
    let pictures = model.pictures(&setup.visual()).unwrap();

    let features = model.query_features(&pictures).unwrap();
    let (_, queries, width) = features.dims3().unwrap();
    let (features, texts) = (flat(&features), flat(&model.text_features(&TEXTS).unwrap()));
    assert_eq!(scalar(model.temperature().unwrap()) as f32, 0.07);
    let best = |i: usize, j: usize| {
        let cosine = |q: usize| {
            let query = &features[(i * queries + q) * width..][..width];
            query
                .iter()
                .zip(&texts[j * width..])
                .map(|(a, b)| a * b)
                .sum::<f64>()
        };
        (0..queries).map(cosine).fold(f64::MIN, f64::max) / f64::from(0.07f32)
    };
    let contrast = (0..3).map(|i| {
        let (row, column): (Vec<f64>, Vec<f64>) = (0..3).map(|j| (best(i, j), best(j, i))).unzip();
        (graded(&row, i, 0.1) + graded(&column, i, 0.1)) / 6.0
    });
    close(&losses.contrast, contrast.sum());

    // One pair at a time: who is packed beside whom changes nothing.
    let pairs = [
        (0, 0),
        (1, 1),
        (2, 2),
        (0, 1),
        (1, 2),
        (2, 0),
        (2, 0),
        (0, 1),
        (1, 2),
    ];
    let matching = pairs.iter().enumerate().map(|(i, (text, picture))| {
        let picture = pictures.pick(&[*picture]).unwrap();
        let logits = flat(&model.matching_logits(&[TEXTS[*text]], &picture).unwrap());
        graded(&logits, usize::from(i < 3), 0.0) / 9.0
    });
    close(&losses.matching, matching.sum());

    let (mut words, mut count) = (0.0, 0.0);
    for (i, text) in TEXTS.iter().enumerate() {
        // Every prefix by itself: no token sees what it is asked for.
        for end in 1..text.len() {
            let prefix = [&[7], &text[1..end]].concat();
            let scores = model
                .next_token_logits(&[&prefix], &pictures.pick(&[i]).unwrap())
                .unwrap();
            let rows = scores.to_vec2::<f32>().unwrap();
            let last: Vec<f64> = rows[end - 1].iter().map(|x| f64::from(*x)).collect();
            words += graded(&last, text[end] as usize, 0.1);
            count += 1.0;
        }
    }
    close(&losses.words, words / count);
    close(
        &losses.total().unwrap(),
        [&losses.contrast, &losses.matching, &losses.words]
            .map(scalar)
            .iter()
            .sum(),
    );
}

#[test]
fn gradients_of_the_first_stage_are_slopes() {
    let setup = Setup::new("blip_2-itm-itc");
    let names = [
        "query_tokens",
        "temp",
        "itm_head.weight",
        "vision_projection.weight",
        "text_projection.weight",
        "embeddings.word_embeddings.weight",
        "qformer.encoder.layer.0.crossattention.attention.value.weight",
        "qformer.encoder.layer.1.intermediate.dense.weight",
        "cls.predictions.transform.dense.weight",
        "cls.predictions.bias",
    ];
    setup.check_slopes(&names, || setup.losses().total().unwrap());
}

#[test]
fn only_what_reads_pictures_for_others_is_trained() {
    for case in ["blip_2-itm-itc", "blip_2-opt", "blip_2-t5"] {
        let setup = Setup::new(case);
        let fixed = setup.source.fixed();
        let parts = |names: &mut dyn Iterator<Item = &String>| -> BTreeSet<String> {
            names.map(|n| n.split('.').next().unwrap().to_owned()).collect()
        };
        let (vars, retrieval) = (setup.source.vars(), case == "blip_2-itm-itc");
        let (trained, kept): (&[&str], &[&str]) = match retrieval {
            true => (
                &[
                    "cls",
                    "embeddings",
                    "itm_head",
                    "qformer",
                    "query_tokens",
                    "temp",
                    "text_projection",
                    "vision_projection",
                ],
                &["vision_model"],
            ),
            false => (
                &["language_projection", "qformer", "query_tokens"],
                &["language_model", "vision_model"],
            ),
        };
        assert_eq!(Vec::from_iter(parts(&mut vars.keys())), trained, "{case}");
        assert_eq!(Vec::from_iter(parts(&mut fixed.keys())), kept, "{case}");

        let before: Vec<_> = fixed.values().map(flat).collect();
        let loss = || {
            if retrieval {
                setup.losses().total().unwrap()
            } else {
                setup.answers()
            }
        };
        let (first, store) = (loss(), loss().backward().unwrap());
        for var in vars.values() {
            if let Some(gradient) = store.get(var.as_tensor()) {
                var.set(&(var.as_tensor().detach() - (gradient * 1e-3).unwrap()).unwrap())
                    .unwrap();
            }
        }
        assert!(scalar(&loss()) < scalar(&first), "{case} learns");
        assert!(fixed.values().all(|t| !t.is_variable()));
        assert_eq!(fixed.values().map(flat).collect::<Vec<_>>(), before);
    }
}

#[test]
fn answers_are_graded_token_by_token() {
    for case in ["blip_2-opt", "blip_2-t5"] {
        let setup = Setup::new(case);
        let vlm = setup.trained.model().generator().unwrap();
        let ask = |i: usize, answer: &[u32]| {
            let patches = setup.patches.narrow(0, 4 * i, 4).unwrap();
            let prompt = Prompt {
                ids: [&[2u32, 11][..], &[2, 30, 31], &[2]][i],
                visions: vec![VisualSpan {
                    grid: setup.grids[i],
                    video_seconds: None,
                }],
                rule: PositionRule::default(),
            };
            scalar(&answers(vlm, &patches, &[prompt], &[answer]).unwrap())
        };
        // The loss of an answer is the mean over its tokens: each is what a longer prefix adds to the sum.
        let sums = ANSWERS
            .iter()
            .enumerate()
            .map(|(i, answer)| answer.len() as f64 * ask(i, answer));
        let tokens: usize = ANSWERS.iter().map(|a| a.len()).sum();
        close(&setup.answers(), sums.sum::<f64>() / tokens as f64);

        // A first token's loss by the decoder's own scores of the opening.
        let prompt = Prompt {
            ids: &[2, 30, 31],
            visions: vec![VisualSpan {
                grid: setup.grids[1],
                video_seconds: None,
            }],
            rule: PositionRule::default(),
        };
        let none = &mut ocellus_nn::Taps::none();
        let patches = setup.patches.narrow(0, 4, 4).unwrap();
        let cells = vlm.encode(&patches, &setup.grids[1..2], none).unwrap();
        let opening = vlm.prefill_input(&[prompt], Some(&cells), None, none).unwrap();
        let batch = ocellus_nn::attention::Batch::of(opening.lengths()).across(opening.cross.clone());
        let hidden = vlm
            .forward(&opening.embeds, &opening.positions, &batch, None, none)
            .unwrap();
        let rows = vlm.logits(&hidden).unwrap().to_vec2::<f32>().unwrap();
        let last: Vec<f64> = rows.last().unwrap().iter().map(|x| f64::from(*x)).collect();
        assert!(
            (ask(1, ANSWERS[1]) - graded(&last, 50, 0.0)).abs() < 1e-4,
            "{case}"
        );
    }
}

#[test]
fn gradients_of_the_second_stage_are_slopes() {
    for case in ["blip_2-opt", "blip_2-t5"] {
        let setup = Setup::new(case);
        let names = [
            "query_tokens",
            "language_projection.weight",
            "language_projection.bias",
            "qformer.encoder.layer.0.crossattention.attention.value.weight",
        ];
        setup.check_slopes(&names, || setup.answers());
    }
}

#[test]
fn wrong_batches_are_refused() {
    let setup = Setup::new("blip_2-itm-itc");
    let model = setup.trained.qformer();
    let visual = setup.visual();
    let error = |texts: &[&[u32]], negatives: Negatives| {
        let pairs = Pairs {
            visual: &visual,
            texts,
        };
        step(model, &pairs, &negatives, SETTINGS)
            .err()
            .unwrap()
            .to_string()
    };
    assert!(error(&TEXTS[..2], Setup::negatives()).contains("3 pictures and 2 texts"));
    let mut negatives = Setup::negatives();
    negatives.texts[0] = 3;
    assert!(error(&TEXTS, negatives).contains("numbers below 3"));
    assert!(error(&[&[3], &[3], &[3]], Setup::negatives()).contains("second token"));
    let unknown: [&[u32]; 3] = [&[3, IGNORE - 1], TEXTS[1], TEXTS[2]];
    assert!(error(&unknown, Setup::negatives()).contains("vocabulary"));
}
