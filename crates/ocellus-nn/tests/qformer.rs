//! A querying transformer: sequences do not see one another, and only queries see the memory.

use candle_core::{Device, Tensor};
use ocellus_nn::attention::{Mask, segments};
use ocellus_nn::qformer::{QFormer, Span, Spec};
use ocellus_nn::{Act, Attn, Bias, Mlp, Norm, Params, Precision, Taps, Trainable};
use ocellus_testkit::Random;

const WIDTH: usize = 8;
const MEMORY: usize = 6;

fn model(text: bool) -> QFormer {
    let source = std::rc::Rc::new(Trainable::random(3, 0.5, Device::Cpu));
    let spec = Spec {
        layers: 3,
        width: WIDTH,
        attention: Attn::full(2, WIDTH / 2, Bias::ALL),
        norm: Norm::layer(1e-6),
        mlp: Mlp::Plain {
            act: Act::Gelu,
            width: 12,
            bias: true,
        },
        memory: MEMORY,
        frequency: 2,
        text,
    };
    QFormer::load(&Params::new(source, Precision::F32), &spec).unwrap()
}

fn random(seed: u64, rows: usize, width: usize) -> Tensor {
    Tensor::from_vec(
        Random::new(seed).normal_vec(rows * width, 1.0),
        (rows, width),
        &Device::Cpu,
    )
    .unwrap()
}

/// States of every layer, one sequence after another.
fn run(
    model: &QFormer,
    x: &Tensor,
    spans: &[Span],
    memory: Option<(&Tensor, &[usize])>,
) -> Vec<Vec<Vec<f32>>> {
    let own = segments(spans.iter().map(|s| s.queries + s.text));
    let mut tapped = Vec::new();
    let mut listen = |_: &str, t: &Tensor| tapped.push(t.to_vec2::<f32>().unwrap());
    let queries: Vec<usize> = spans.iter().map(|s| s.queries).collect();
    let mut first = 0;
    let seen: Vec<_> = memory
        .map(|(_, lengths)| {
            let segment = |(i, len): (usize, &usize)| {
                first += len;
                ocellus_nn::Segment {
                    q_start: queries[..i].iter().sum(),
                    q_len: queries[i],
                    k_start: first - len,
                    k_len: *len,
                }
            };
            lengths.iter().enumerate().map(segment).collect()
        })
        .unwrap_or_default();
    let seen = seen.into();
    let mask = Mask::whole(&seen);
    let memory = memory.map(|(rows, _)| (rows, &mask));
    model
        .forward(
            x,
            spans,
            &Mask::whole(&own),
            memory,
            ("layer", &mut Taps::new(&mut listen)),
        )
        .unwrap();
    tapped
}

#[test]
fn packed_sequences_are_as_alone() {
    let model = model(true);
    let spans = [(3, 4), (3, 0), (3, 1)].map(|(queries, text)| Span { queries, text });
    let lengths = [5, 2, 7];
    let (x, memory) = (random(1, 14, WIDTH), random(2, 14, MEMORY));
    let packed = run(&model, &x, &spans, Some((&memory, &lengths)));
    let (mut row, mut seen) = (0, 0);
    for (span, length) in spans.iter().zip(lengths) {
        let rows = span.queries + span.text;
        let own = x.narrow(0, row, rows).unwrap();
        let memory = memory.narrow(0, seen, length).unwrap();
        let alone = run(&model, &own, &[*span], Some((&memory, &[length])));
        for (layer, (alone, packed)) in alone.iter().zip(&packed).enumerate() {
            assert_eq!(alone[..], packed[row..row + rows], "layer {layer}, {span:?}");
        }
        (row, seen) = (row + rows, seen + length);
    }
}

#[test]
fn queries_alone_see_the_memory() {
    let model = model(true);
    let (x, span) = (random(1, 7, WIDTH), [Span { queries: 3, text: 4 }]);
    let [one, other] = [4, 5].map(|seed| run(&model, &x, &span, Some((&random(seed, 6, MEMORY), &[6]))));
    // In the first layer the text has not yet heard of it, in the second it has through the queries.
    assert_eq!(one[0][3..], other[0][3..]);
    assert!(one[0][..3].iter().zip(&other[0]).all(|(a, b)| a != b));
    assert!(one[1][3..].iter().zip(&other[1][3..]).all(|(a, b)| a != b));
    // Text without queries needs no memory, and a model without networks for text takes none.
    let alone = [Span { queries: 0, text: 7 }];
    assert_eq!(run(&model, &x, &alone, None).len(), 3);
}

#[test]
fn without_networks_for_text_there_is_no_text() {
    let (model, x) = (model(false), random(1, 2, WIDTH));
    let spans = [Span { queries: 1, text: 1 }];
    let own = segments([2]);
    let refused = model.forward(&x, &spans, &Mask::whole(&own), None, ("layer", &mut Taps::none()));
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("without networks for text")
    );
}
