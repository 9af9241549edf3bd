//! Speed of everything but the matrix product, on one thread.

use std::hint::black_box;
use std::time::{Duration, Instant};

use ocellus_kernels::attention::{self, Gradients, Saved, Segment, Shape};
use ocellus_kernels::{activation, adam, loss, norm, rope};

fn best(mut run: impl FnMut()) -> f64 {
    run();
    let (mut best, start) = (f64::INFINITY, Instant::now());
    while start.elapsed() < Duration::from_millis(300) {
        let one = Instant::now();
        run();
        best = best.min(one.elapsed().as_secs_f64());
    }
    best
}

fn fill(len: usize) -> Vec<f32> {
    (0..len).map(|i| (i * 7919 % 1009) as f32 * 0.002 - 1.0).collect()
}

fn attention_speed(len: usize, count: usize, heads: usize, kv_heads: usize, head_dim: usize, causal: bool) {
    let tokens = len * count;
    let shape = Shape {
        heads,
        kv_heads,
        head_dim,
        causal,
        scale: 1.0 / (head_dim as f32).sqrt(),
    };
    let segments: Vec<_> = (0..count)
        .map(|i| Segment {
            q_start: i * len,
            q_len: len,
            k_start: i * len,
            k_len: len,
        })
        .collect();
    let [q, grad] = [0; 2].map(|_| fill(tokens * heads * head_dim));
    let [k, v] = [0; 2].map(|_| fill(tokens * kv_heads * head_dim));
    let (mut out, mut lse) = (q.clone(), vec![0.0; tokens * heads]);
    let (mut dq, mut dk, mut dv) = (q.clone(), k.clone(), v.clone());
    // Causal attention needs half of the pairs.
    let flops = 2.0 * (tokens * len * heads * head_dim) as f64 / if causal { 2.0 } else { 1.0 };
    let forward = best(|| {
        attention::forward(
            ocellus_kernels::Precision::F32,
            &shape,
            &segments,
            &q,
            &k,
            (&v, kv_heads * head_dim),
            black_box(&mut out),
            &mut lse,
        )
    });
    let backward = best(|| {
        let saved = Saved {
            q: &q,
            k: &k,
            v: &v,
            out: &out,
            lse: &lse,
        };
        attention::backward(
            &shape,
            &segments,
            saved,
            &grad,
            Gradients {
                q: black_box(&mut dq),
                k: &mut dk,
                v: &mut dv,
            },
        );
    });
    println!(
        "attention {count:>3} x {len:>4}, {heads}/{kv_heads} heads of {head_dim:>3}, causal {causal:<5}: forward {:6.1} GFLOP/s, \
         backward {:6.1} GFLOP/s",
        2.0 * flops / forward * 1e-9,
        5.0 * flops / backward * 1e-9
    );
}

/// Forward alone, in bf16: a tower's attention over all patches of a picture, and in windows.
fn tower_speed(len: usize, count: usize) {
    let (heads, head_dim, tokens) = (16, 80, len * count);
    let shape = Shape {
        heads,
        kv_heads: heads,
        head_dim,
        causal: false,
        scale: 0.1,
    };
    let segments: Vec<_> = (0..count)
        .map(|i| Segment {
            q_start: i * len,
            q_len: len,
            k_start: i * len,
            k_len: len,
        })
        .collect();
    let [q, k, v] = [0; 3].map(|_| fill(tokens * heads * head_dim));
    let (mut out, mut lse) = (q.clone(), vec![0.0; tokens * heads]);
    let seconds = best(|| {
        let v = (v.as_slice(), heads * head_dim);
        let bf16 = ocellus_kernels::Precision::Bf16;
        attention::forward(bf16, &shape, &segments, &q, &k, v, black_box(&mut out), &mut lse);
    });
    let flops = 4.0 * (tokens * len * heads * head_dim) as f64;
    println!(
        "attention {count:>3} x {len:>4}, 16 heads of 80, bf16: {:6.1} GFLOP/s, {:.1} ms",
        flops / seconds * 1e-9,
        seconds * 1e3
    );
}

fn places(name: &str, count: usize, run: impl FnMut()) {
    println!("{name:<22} {:7.3} ns per value", best(run) / count as f64 * 1e9);
}

fn main() {
    ocellus_kernels::alone(|| {
        tower_speed(4368, 1);
        tower_speed(64, 68);
        if std::env::args().any(|a| a == "attention") {
            return;
        }
        for (len, count, head_dim) in [
            (200, 8, 32),
            (200, 8, 64),
            (64, 32, 32),
            (16, 64, 64),
            (1024, 1, 128),
        ] {
            for causal in [false, true] {
                attention_speed(len, count, 8, 4, head_dim, causal);
            }
        }
        let (rows, width) = (1024, 256);
        let len = rows * width;
        let (x, g, w) = (fill(len), fill(len), fill(width));
        let (mut a, mut b, mut dw, mut db) = (fill(len), fill(len), fill(width), fill(width));
        places("rms_norm", len, || {
            norm::rms_norm(&x, &w, 1e-6, black_box(&mut a))
        });
        places("rms_norm backward", len, || {
            norm::rms_norm_backward(&x, &w, 1e-6, &g, black_box(&mut a), &mut dw)
        });
        places("layer_norm", len, || {
            norm::layer_norm(&x, &w, &w, 1e-6, black_box(&mut a))
        });
        places("layer_norm backward", len, || {
            norm::layer_norm_backward(&x, &w, 1e-6, &g, black_box(&mut a), &mut dw, &mut db);
        });
        places("silu", len, || activation::silu(&x, black_box(&mut a)));
        places("gelu", len, || activation::gelu(&x, black_box(&mut a)));
        places("gelu backward", len, || {
            activation::gelu_backward(&x, &g, black_box(&mut a))
        });
        places("silu_mul", len, || {
            activation::silu_mul(&x, &g, black_box(&mut a))
        });
        places("silu_mul backward", len, || {
            activation::silu_mul_backward(&x, &g, &g, black_box(&mut a), &mut b);
        });
        let (cos, sin) = (fill(rows * 32), fill(rows * 32));
        places("rope", len, || {
            rope::rotate((&x, width), &cos, &sin, width / 32, 32, black_box(&mut a))
        });
        let targets = vec![3_u32; rows];
        places("cross_entropy", len, || {
            black_box(loss::cross_entropy(&x, width, &targets, u32::MAX));
        });
        places("cross_entropy backward", len, || {
            loss::cross_entropy_backward(&x, width, &targets, u32::MAX, 1.0, black_box(&mut a));
        });
        let settings = adam::AdamW {
            learning_rate: 1e-3,
            beta1: 0.9,
            beta2: 0.95,
            eps: 1e-8,
            weight_decay: 0.1,
            grad_scale: 1.0,
            step: 10,
        };
        let (mut m, mut v) = (vec![0.0; len], vec![1.0; len]);
        places("adamw_step", len, || {
            adam::adamw_step(&settings, black_box(&mut a), &g, &mut m, &mut v)
        });
        places("sum_of_squares", len, || {
            black_box(adam::sum_of_squares(&x));
        });
    });
}
