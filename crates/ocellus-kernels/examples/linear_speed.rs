//! Speed of a model's matrices at the shapes of a vision tower, a prefill and a decoded token, on all threads.
//!
//! Arguments choose weights and rows: `linear_speed q8 bf16 4368`. Few rows are bound by memory, so that they go through more weights than any cache holds, and print GB/s.

use std::hint::black_box;
use std::time::Instant;

use ocellus_kernels::quant::{Format, PackedQ};
use ocellus_kernels::{Mat, Matrix, PackedB, Precision};

fn main() {
    let chosen: Vec<String> = std::env::args().skip(1).collect();
    println!("{:>6} {:>6} {:>6}  weights  GFLOP/s    GB/s", "M", "K", "N");
    let shapes = [
        (4368, 1280, 3840),
        (4368, 1280, 3420),
        (4368, 3420, 1280),
        (1124, 2048, 11008),
        (1124, 11008, 2048),
        (1124, 2048, 2560),
        (1, 2048, 11008),
        (1, 11008, 2048),
        (1, 2048, 2048),
        (4, 2048, 11008),
    ];
    for (m, k, n) in shapes {
        for kind in ["bf16", "q8", "q6", "q4"] {
            let skipped = |name: &str, of: fn(&String) -> bool| {
                chosen.iter().any(of) && !chosen.iter().any(|c| c == name)
            };
            if skipped(kind, |c| c.parse::<usize>().is_err())
                || skipped(&m.to_string(), |c| c.parse::<usize>().is_ok())
            {
                continue;
            }
            let weights: Vec<f32> = (0..n * k)
                .map(|i| (i * 7919 % 1001) as f32 * 4e-5 - 0.02)
                .collect();
            let make = || match kind {
                "bf16" => Matrix::Dense(PackedB::new(
                    Precision::Bf16,
                    Mat::row_major(&weights, n, k).transposed(),
                )),
                name => {
                    let format = match name {
                        "q8" => Format::Q8,
                        "q6" => Format::Q6,
                        _ => Format::Q4,
                    };
                    Matrix::Quantized(PackedQ::quantize(format, (n, k), None, |first, into| {
                        into.copy_from_slice(&weights[first * k..first * k + into.len()]);
                    }))
                }
            };
            let count = if m < 32 { 400_000_000 / (n * k * 2) + 1 } else { 1 };
            let matrices: Vec<Matrix> = (0..count).map(|_| make()).collect();
            let x: Vec<f32> = (0..m * k).map(|i| (i % 101) as f32 * 0.02 - 1.0).collect();
            let mut out = vec![0.0; m * n];
            let mut best = f64::INFINITY;
            for _ in 0..4 {
                let start = Instant::now();
                for matrix in &matrices {
                    matrix.multiply(Mat::row_major(black_box(&x), m, k), None, &mut out, false);
                }
                best = best.min(start.elapsed().as_secs_f64());
            }
            let flops = 2.0 * (m * n * k * count) as f64;
            let bytes: usize = matrices.iter().map(Matrix::bytes).sum();
            println!(
                "{m:>6} {k:>6} {n:>6}  {kind:>7}  {:>7.1} {:>7.1}",
                flops / best * 1e-9,
                bytes as f64 / best * 1e-9
            );
        }
    }
}
