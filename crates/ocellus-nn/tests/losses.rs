//! Losses against the same formulas in f64, their gradients against central differences, and what must always hold.

use candle_core::{Device, Result, Tensor, Var};
use ocellus_nn::losses::divergence::kl_divergence;
use ocellus_nn::losses::likelihood::negative_log_likelihood;
use ocellus_nn::losses::region_class::foreground_classes;
use ocellus_nn::losses::squared_error::squared_error;
use ocellus_nn::losses::transport::{Proximal, cosine_distances, transport};
use ocellus_nn::ops::loss::{IGNORE, cross_entropy};
use ocellus_testkit::Random;
use proptest::prelude::*;

fn tensor(values: &[f32], shape: &[usize]) -> Tensor {
    Tensor::from_slice(values, shape, &Device::Cpu).unwrap()
}

fn flat(t: &Tensor) -> Vec<f32> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

fn near(name: &str, got: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len(), "{name}");
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        let error = (f64::from(*got) - expected).abs();
        assert!(
            error <= tolerance,
            "{name}: element {i} is {got}, expected {expected}"
        );
    }
}

/// The gradient of `sum(loss(x) · i)`, with a different weight `i` for every element, is its slope.
fn slopes(name: &str, start: &[f32], shape: &[usize], loss: &dyn Fn(&Tensor) -> Result<Tensor>) {
    let score = |x: &Tensor| {
        let out = loss(x).unwrap().flatten_all().unwrap();
        let weights: Vec<f32> = (0..out.elem_count()).map(|i| 1.0 + 0.1 * i as f32).collect();
        (&out * tensor(&weights, out.dims())).unwrap().sum_all().unwrap()
    };
    let x = Var::from_slice(start, shape, &Device::Cpu).unwrap();
    let gradients = score(x.as_tensor()).backward().unwrap();
    let gradient = flat(gradients.get(&x).expect("a gradient"));
    let step = 2e-2;
    for i in 0..start.len() {
        let at = |delta: f32| {
            let mut moved = start.to_vec();
            moved[i] += delta;
            score(&tensor(&moved, shape)).to_scalar::<f32>().unwrap()
        };
        let slope = (at(step) - at(-step)) / (2.0 * step);
        assert!(
            (slope - gradient[i]).abs() < 1e-2,
            "{name}: element {i} has gradient {}, slope {slope}",
            gradient[i]
        );
    }
}

const LOGITS: [f32; 6] = [0.3, -1.2, 2.0, 0.0, 0.5, -0.5];

fn probabilities(row: &[f32]) -> Vec<f64> {
    let exp: Vec<f64> = row.iter().map(|x| f64::from(*x).exp()).collect();
    let sum: f64 = exp.iter().sum();
    exp.into_iter().map(|e| e / sum).collect()
}

#[test]
fn divergence_of_soft_classes() {
    let targets = [0.5f32, 0.5, 0.0, 0.2, 0.3, 0.5];
    let of_row = |row: usize| {
        let p = probabilities(&LOGITS[3 * row..3 * row + 3]);
        let t = &targets[3 * row..3 * row + 3];
        let each = |(t, p): (&f32, f64)| match f64::from(*t) {
            0.0 => 0.0,
            t => t * (t.ln() - p.ln()),
        };
        t.iter().zip(p).map(each).collect::<Vec<f64>>()
    };
    let soft = tensor(&targets, &[2, 3]);
    let got = kl_divergence(&tensor(&LOGITS, &[2, 3]), &soft).unwrap();
    near("divergence", &flat(&got), &[of_row(0), of_row(1)].concat(), 1e-6);
    slopes("divergence", &LOGITS, &[2, 3], &|x| kl_divergence(x, &soft));
}

#[test]
fn divergence_from_itself_is_nothing() {
    let own: Vec<f32> = LOGITS
        .chunks(3)
        .flat_map(probabilities)
        .map(|p| p as f32)
        .collect();
    let got = kl_divergence(&tensor(&LOGITS, &[2, 3]), &tensor(&own, &[2, 3])).unwrap();
    near("divergence", &flat(&got), &[0.0; 6], 1e-6);
}

#[test]
fn squared_errors() {
    let targets = tensor(&[1.0, 0.0, 2.0, -1.0, 0.5, 0.5], &[2, 3]);
    let got = squared_error(&tensor(&LOGITS, &[2, 3]), &targets).unwrap();
    near(
        "squared error",
        &flat(&got),
        &[0.49, 1.44, 0.0, 1.0, 0.0, 1.0],
        1e-6,
    );
    slopes("squared error", &LOGITS, &[2, 3], &|x| squared_error(x, &targets));
}

#[test]
fn likelihood_row_by_row_adds_up_to_cross_entropy() {
    let targets = [2, IGNORE, 0];
    let logits = tensor(&[&LOGITS[..], &[1.0, 2.0, 3.0]].concat(), &[3, 3]);
    let rows = flat(&negative_log_likelihood(&logits, &targets).unwrap());
    let expected = |row: &[f32], class: usize| -probabilities(row)[class].ln();
    near(
        "likelihood",
        &rows,
        &[expected(&LOGITS[..3], 2), 0.0, expected(&[1.0, 2.0, 3.0], 0)],
        1e-6,
    );
    let sum = cross_entropy(&logits, &targets.to_vec().into()).unwrap();
    near(
        "sum",
        &[rows.iter().sum()],
        &[f64::from(sum.to_scalar::<f32>().unwrap())],
        1e-5,
    );
    slopes("likelihood", &LOGITS, &[2, 3], &|x| {
        negative_log_likelihood(x, &[1, IGNORE])
    });
}

#[test]
fn the_background_is_never_a_target() {
    let soft = [0.9f32, 0.02, 0.08, 0.1, 0.45, 0.45, 1.0, 0.0, 0.0];
    assert_eq!(foreground_classes(&soft, 3), [2, 1, 1]);
}

#[test]
fn rows_go_to_the_rows_they_point_at() {
    // Two words, two regions, each word along one region: half of the weight goes each way and nothing is paid.
    let x = tensor(&[1.0, 0.0, 0.0, 2.0], &[2, 2]);
    let y = tensor(&[0.0, 3.0, 0.5, 0.0], &[2, 2]);
    let found = transport(&x, &y, Proximal::default()).unwrap();
    near("plan", &flat(&found.plan), &[0.0, 0.5, 0.5, 0.0], 1e-6);
    near("distance", &flat(&found.distance), &[0.0], 1e-6);
}

#[test]
fn the_plan_comes_near_the_cheapest() {
    // Three rows a side: the cheapest plan is a permutation, a third of the weight each.
    let (x, y) = (rows(1, 3, 4), rows(2, 3, 4));
    let cost = flat(&cosine_distances(&x, &y).unwrap());
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let price = |order: &[usize; 3]| {
        order
            .iter()
            .enumerate()
            .map(|(i, j)| cost[3 * i + j])
            .sum::<f32>()
            / 3.0
    };
    let cheapest = orders.iter().map(price).fold(f32::INFINITY, f32::min);
    let distance = flat(&transport(&x, &y, Proximal::default()).unwrap().distance)[0];
    assert!(
        distance >= cheapest - 1e-5,
        "{distance} is under the cheapest, {cheapest}"
    );
    assert!(
        distance < cheapest + 0.02,
        "{distance} is far from the cheapest, {cheapest}"
    );
}

#[test]
fn transport_of_nothing_costs_nothing() {
    let none = Tensor::zeros((0, 4), candle_core::DType::F32, &Device::Cpu).unwrap();
    let found = transport(&none, &rows(1, 3, 4), Proximal::default()).unwrap();
    assert_eq!(found.plan.dims(), [0, 3]);
    assert_eq!(flat(&found.distance), [0.0]);
}

#[test]
fn the_gradient_of_transport_takes_the_plan_as_given() {
    let start = flat(&rows(3, 3, 4));
    let y = rows(4, 2, 4);
    let plan = transport(&tensor(&start, &[3, 4]), &y, Proximal::default())
        .unwrap()
        .plan;
    let fixed = |x: &Tensor| (cosine_distances(x, &y)? * &plan)?.sum_all();
    slopes("cost of a plan", &start, &[3, 4], &fixed);
    let x = Var::from_slice(&start, &[3, 4], &Device::Cpu).unwrap();
    let gradient = |loss: Tensor| flat(loss.backward().unwrap().get(&x).unwrap());
    let whole = gradient(
        transport(x.as_tensor(), &y, Proximal::default())
            .unwrap()
            .distance,
    );
    let given = gradient(fixed(x.as_tensor()).unwrap());
    near(
        "gradient",
        &whole,
        &given.iter().map(|g| f64::from(*g)).collect::<Vec<_>>(),
        1e-6,
    );
}

#[test]
fn a_row_of_zeros_has_a_finite_gradient() {
    let x = Var::from_slice(&[0.0f32, 0.0, 1.0, 0.0], &[2, 2], &Device::Cpu).unwrap();
    let loss = transport(x.as_tensor(), &rows(5, 2, 2), Proximal::default())
        .unwrap()
        .distance;
    let gradient = flat(loss.backward().unwrap().get(&x).unwrap());
    assert!(gradient.iter().all(|g| g.is_finite()), "{gradient:?}");
}

fn rows(seed: u64, count: usize, width: usize) -> Tensor {
    let mut random = Random::new(seed);
    let values = random.uniform_vec(count * width);
    tensor(&values, &[count, width])
}

proptest! {
    #[test]
    fn plans_leave_no_weight_behind(seed in 0u64..1000, m in 1usize..7, n in 1usize..7) {
        let found = transport(&rows(seed, m, 5), &rows(seed + 1, n, 5), Proximal::default()).unwrap();
        let plan = flat(&found.plan);
        prop_assert!(plan.iter().all(|p| *p >= 0.0));
        for row in plan.chunks(n) {
            let sum: f32 = row.iter().sum();
            prop_assert!((sum - 1.0 / m as f32).abs() < 1e-5, "a row holds {sum} of 1/{m}");
        }
        for j in 0..n {
            let sum: f32 = (0..m).map(|i| plan[i * n + j]).sum();
            prop_assert!((sum - 1.0 / n as f32).abs() < 1e-2, "a column holds {sum} of 1/{n}");
        }
    }
}
