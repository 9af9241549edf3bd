//! An attention does the same however its checkpoint keeps the projections.

use std::rc::Rc;

use candle_core::{Device, Tensor};
use ocellus_nn::attention::{Attention, Projections, segments};
use ocellus_nn::{Attn, Bias, Mask, Params, Precision, Trainable};

const HEADS: usize = 3;
const DIM: usize = 4;
const WIDTH: usize = HEADS * DIM;

fn load(projections: Projections) -> Attention {
    let source = Rc::new(Trainable::random(7, 0.4, Device::Cpu));
    let spec = Attn {
        projections,
        ..Attn::full(HEADS, DIM, Bias::ALL)
    };
    Attention::load(&Params::new(source, Precision::F32), spec, WIDTH, WIDTH).unwrap()
}

fn rows(count: usize, step: f32) -> Tensor {
    let values = (0..count * WIDTH).map(|i| (i as f32 * step).sin());
    Tensor::from_iter(values, &Device::Cpu)
        .unwrap()
        .reshape((count, WIDTH))
        .unwrap()
}

fn flat(t: &Tensor) -> Vec<f32> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

fn close(a: &Tensor, b: &Tensor) {
    assert_eq!(a.dims(), b.dims());
    for (a, b) in flat(a).iter().zip(flat(b)) {
        assert!((a - b).abs() < 1e-5, "{a} is not {b}");
    }
}

#[test]
fn taken_apart_or_in_one_product() {
    let (x, whole) = (rows(5, 0.7), segments([2, 3]));
    let of = |p| load(p).forward(&x, &Mask::whole(&whole), None).unwrap();
    close(&of(Projections::Stacked), &of(Projections::Fused));
    let by_head = flat(&of(Projections::FusedByHead));
    assert_ne!(flat(&of(Projections::Fused)), by_head, "the layouts differ");
}

#[test]
fn keys_and_values_of_different_rows() {
    for projections in [Projections::Stacked, Projections::Fused, Projections::Separate] {
        let (attention, a, b) = (load(projections), rows(4, 0.3), rows(4, 1.1));
        let (keys, values) = attention.keys_and_values_apart(&a, &b).unwrap();
        close(&keys, &attention.keys_and_values(&a).unwrap().0);
        close(&values, &attention.keys_and_values(&b).unwrap().1);
        assert_ne!(flat(&keys), flat(&attention.keys_and_values(&b).unwrap().0));
    }
}
