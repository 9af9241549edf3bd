//! The attention guide equals its composed twin, and its gradient is the slope of its value.

use candle_core::{D, Device, Result, Tensor, Var};
use ocellus_testkit::finite::assert_gradient_f32;
use ocellus_testkit::{Random, assert_close};
use ocellus_train::losses::attention_guide::guide;
use ocellus_train::pack::Guide;
use std::sync::Arc;

const TOKENS: usize = 11;
const DIM: usize = 6;
const HEADS: usize = 3;
const KV_HEADS: usize = 2;

/// Two examples: cells 1 to 4 and 8 to 8; two queries look at the same cell, one cell is looked at by a query among it.
fn guides() -> Arc<[Guide]> {
    [
        (5, 1, 4, 0),
        (6, 1, 4, 3),
        (7, 1, 4, 3),
        (2, 1, 4, 2),
        (9, 8, 1, 0),
    ]
    .map(|(query, cells, count, wanted)| Guide {
        query,
        cells,
        count,
        wanted,
    })
    .into()
}

fn var(seed: u64, heads: usize) -> Var {
    let values = Random::new(seed).normal_vec(TOKENS * heads * DIM, 1.0);
    Var::from_vec(values, (TOKENS, heads, DIM), &Device::Cpu).unwrap()
}

/// The same in plain candle, guide by guide.
fn composed(query: &Tensor, key: &Tensor, guides: &[Guide]) -> Result<Tensor> {
    let mut sum = Tensor::new(0.0f32, query.device())?;
    for g in guides {
        let q = query.narrow(0, g.query, 1)?.narrow(1, 0, 1)?.reshape((1, DIM))?;
        let k = key
            .narrow(0, g.cells, g.count)?
            .narrow(1, 0, 1)?
            .reshape((g.count, DIM))?;
        let scores = (q.matmul(&k.t()?)? / (DIM as f64).sqrt())?; // [1, cells]
        let norm = scores.exp()?.sum(D::Minus1)?.log()?;
        let wanted = scores.narrow(1, g.wanted, 1)?.squeeze(1)?;
        sum = (sum + (norm - wanted)?.sum_all()?)?;
    }
    Ok(sum)
}

fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn value_and_gradients_equal_the_twin_and_the_slope() {
    let (query, key, guides) = (var(1, HEADS), var(2, KV_HEADS), guides());
    // A weight, so that a gradient that forgets its factor is seen.
    let weighted = |q: &Tensor, k: &Tensor| (guide(q, k, &guides).unwrap() * 0.7).unwrap();
    let loss = weighted(&query, &key);
    let twin = (composed(&query, &key, &guides).unwrap() * 0.7).unwrap();
    assert_close("value", &flat(&loss), &flat(&twin), 0.0, 2e-6);

    let (found, expected) = (loss.backward().unwrap(), twin.backward().unwrap());
    for (name, var) in [("query", &query), ("key", &key)] {
        let gradient = flat(found.get(var).expect("the guide has a gradient"));
        assert!(gradient.iter().any(|g| g.abs() > 0.01), "{name} moves the loss");
        assert_close(name, &gradient, &flat(expected.get(var).unwrap()), 2e-6, 2e-6);
        let at = |values: &[f32]| {
            let moved = Tensor::from_slice(values, var.shape(), &Device::Cpu).unwrap();
            let (q, k) = if name == "query" {
                (&moved, key.as_tensor())
            } else {
                (query.as_tensor(), &moved)
            };
            f64::from(weighted(q, k).to_scalar::<f32>().unwrap())
        };
        assert_gradient_f32(name, at, &flat(var), &gradient, 1e-2, 1e-3);
    }
}

#[test]
fn only_head_zero_of_guided_rows_is_moved() {
    let (query, key, guides) = (var(3, HEADS), var(4, KV_HEADS), guides());
    let store = guide(&query, &key, &guides).unwrap().backward().unwrap();
    let rows = |var: &Var| store.get(var).unwrap().to_vec3::<f32>().unwrap();
    let moved = |rows: Vec<Vec<Vec<f32>>>| -> Vec<usize> {
        for row in &rows {
            assert!(row[1..].iter().flatten().all(|g| *g == 0.0), "other heads");
        }
        let moves = |row: &Vec<Vec<f32>>| row[0].iter().any(|g| *g != 0.0);
        (0..rows.len()).filter(|i| moves(&rows[*i])).collect()
    };
    // One cell alone has all the attention already: nothing moves in rows 8 and 9.
    assert_eq!(moved(rows(&query)), [2, 5, 6, 7]);
    assert_eq!(moved(rows(&key)), [1, 2, 3, 4]);
}

#[test]
fn a_query_that_looks_elsewhere_with_all_its_might_has_a_finite_loss() {
    let mut values = vec![0.0f32; TOKENS * DIM];
    values[5 * DIM] = 1e4;
    let query = Var::from_vec(values.clone(), (TOKENS, 1, DIM), &Device::Cpu).unwrap();
    values.rotate_right(3 * DIM); // row 8
    values[2 * DIM] = 1e4;
    let key = Tensor::from_vec(values, (TOKENS, 1, DIM), &Device::Cpu).unwrap();
    let guides: Arc<[Guide]> = [Guide {
        query: 5,
        cells: 1,
        count: 4,
        wanted: 0,
    }]
    .into();
    let loss = guide(&query, &key, &guides).unwrap();
    let gradient = loss.backward().unwrap();
    assert!(loss.to_scalar::<f32>().unwrap().is_finite());
    assert!(flat(gradient.get(&query).unwrap()).iter().all(|g| g.is_finite()));
}
