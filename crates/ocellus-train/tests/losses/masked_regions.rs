//! Hidden regions: features, the likeliest class, all classes.

use crate::hand::{cross_entropy, log_softmax, matrix};
use crate::single_stream::of_regions;
use crate::tiny::{close, numbers, probabilities, regions, slices};
use ocellus_train::losses::masked_regions::{Hidden, Truth, masked_regions};

#[test]
fn each_truth_has_its_loss() {
    let tiny = of_regions();
    let model = tiny.model().masked_region_head().expect("it guesses regions");
    let visual = regions(&[3, 2, 4], 5, 7);
    let texts = vec![vec![1, 7, 2], vec![1, 9, 10, 2], vec![1, 8, 2]];
    let lists = vec![vec![2, 0], vec![], vec![1]];
    let hidden = Hidden {
        visual: &visual,
        texts: &texts,
        regions: &lists,
    };
    let guesses = || {
        model
            .predictions(&visual, &slices(&texts), &slices(&lists))
            .unwrap()
    };
    let (features, soft) = (numbers(&[3, 5], 3), probabilities(3, 4, 4));

    let squared = || {
        let guessed = matrix(&guesses().features.unwrap());
        let pairs = guessed.iter().flatten().zip(matrix(&features).concat());
        pairs.map(|(g, t)| (g - t).powi(2)).sum::<f64>() / 15.0
    };
    let loss = masked_regions(model, &hidden, &Truth::Features(&features)).unwrap();
    close("features", &loss, squared());
    tiny.assert_slopes(
        &loss.backward().unwrap(),
        &[
            // Twice: as the projection of what is seen, and turned around as that of what is guessed.
            "uniter.img_embeddings.img_linear.weight",
            "uniter.img_embeddings.mask_embedding.weight",
            "feat_regress.net.0.weight",
            "feat_regress.bias",
        ],
        squared,
    );

    let likeliest = || {
        let truth = matrix(&soft);
        let best = |row: &Vec<f64>| (1..4).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap();
        let truth: Vec<usize> = truth.iter().map(best).collect();
        cross_entropy(&matrix(&guesses().classes.unwrap()), &truth)
    };
    let loss = masked_regions(model, &hidden, &Truth::LikeliestClass(&soft)).unwrap();
    close("likeliest class", &loss, likeliest());
    tiny.assert_slopes(
        &loss.backward().unwrap(),
        &[
            "region_classifier.net.3.weight",
            "uniter.encoder.layer.1.intermediate.dense.weight",
        ],
        likeliest,
    );

    let divergence = || {
        let (logits, soft) = (matrix(&guesses().classes.unwrap()), matrix(&soft));
        let row = |(x, t): (&Vec<f64>, &Vec<f64>)| {
            let each = log_softmax(x).into_iter().zip(t).map(|(l, t)| t * (t.ln() - l));
            each.sum::<f64>()
        };
        logits.iter().zip(&soft).map(row).sum::<f64>() / 12.0
    };
    let loss = masked_regions(model, &hidden, &Truth::Classes(&soft)).unwrap();
    close("all classes", &loss, divergence());
    tiny.assert_slopes(
        &loss.backward().unwrap(),
        &[
            "region_classifier.net.0.weight",
            "uniter.embeddings.word_embeddings.weight",
        ],
        divergence,
    );
}

#[test]
fn what_does_not_fit_is_refused() {
    let tiny = of_regions();
    let model = tiny.model().masked_region_head().unwrap();
    let (visual, texts) = (regions(&[3], 5, 7), vec![vec![1, 7, 2]]);
    let features = numbers(&[2, 5], 3);
    for (list, part) in [
        (vec![], "one at least"),
        (vec![1], "[1, 5]"),
        (vec![3], "indices under 3"),
    ] {
        let hidden = Hidden {
            visual: &visual,
            texts: &texts,
            regions: &[list],
        };
        let refused = masked_regions(model, &hidden, &Truth::Features(&features));
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains(part), "{refused}");
    }
}
