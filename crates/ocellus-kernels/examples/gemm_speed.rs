//! Speed of the matrix product on one thread, packing included.

use std::hint::black_box;
use std::time::{Duration, Instant};

use ocellus_kernels::{Mat, PackedB, Precision, gemm, gemm_packed};

fn best(flops: f64, mut run: impl FnMut()) -> f64 {
    run();
    let (mut best, start) = (f64::INFINITY, Instant::now());
    while start.elapsed() < Duration::from_millis(400) {
        let one = Instant::now();
        run();
        best = best.min(one.elapsed().as_secs_f64());
    }
    flops / best * 1e-9
}

fn main() {
    ocellus_kernels::alone(|| {
        println!(
            "{:>6} {:>6} {:>6}  precision  forward   x grad   w grad   packed   GFLOP/s",
            "M", "K", "N"
        );
        let shapes = [
            (4096, 256, 256),
            (4096, 128, 128),
            (4096, 64, 64),
            (4096, 256, 1024),
            (4096, 1024, 256),
            (4096, 2048, 2048),
            (4097, 130, 100),
            (1, 2048, 2048),
            (8, 2048, 2048),
        ];
        for (m, k, n) in shapes {
            for precision in [Precision::F32, Precision::Bf16] {
                let fill = |len: usize| {
                    (0..len)
                        .map(|i| (i % 101) as f32 * 0.02 - 1.0)
                        .collect::<Vec<_>>()
                };
                let (x, w, y) = (fill(m * k), fill(n * k), fill(m * n));
                let (xm, wm, ym) = (
                    Mat::row_major(&x, m, k),
                    Mat::row_major(&w, n, k),
                    Mat::row_major(&y, m, n),
                );
                let (mut out, mut dx, mut dw) = (vec![0.0; m * n], vec![0.0; m * k], vec![0.0; n * k]);
                let flops = 2.0 * (m * n * k) as f64;
                let forward = best(flops, || {
                    gemm(
                        precision,
                        xm,
                        wm.transposed(),
                        None,
                        black_box(&mut out),
                        n,
                        false,
                    )
                });
                let x_grad = best(flops, || {
                    gemm(precision, ym, wm, None, black_box(&mut dx), k, false)
                });
                let w_grad = best(flops, || {
                    gemm(precision, ym.transposed(), xm, None, black_box(&mut dw), k, false)
                });
                let packed = PackedB::new(precision, wm.transposed());
                let ready = best(flops, || {
                    gemm_packed(xm, &packed, None, black_box(&mut out), n, false)
                });
                println!(
                    "{m:>6} {k:>6} {n:>6}  {:<9} {forward:8.1} {x_grad:8.1} {w_grad:8.1} {ready:8.1}",
                    format!("{precision:?}")
                );
            }
        }
    });
}
