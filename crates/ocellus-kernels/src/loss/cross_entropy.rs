//! Cross-entropy of rows of logits with one right answer each.

use super::softmax::{LogSumExp, Scaled};
use crate::isa::Isa;
use crate::parallel::{self, Shared};

/// Checks the shape and gives the number of rows.
fn rows(logits: &[f32], vocab: usize, targets: &[u32], ignore: u32) -> usize {
    let rows = targets.len();
    assert_eq!(
        logits.len(),
        rows * vocab,
        "cross-entropy: logits are not [{rows}, {vocab}]"
    );
    for target in targets {
        let known = *target == ignore || (*target as usize) < vocab;
        assert!(known, "cross-entropy: target {target} in a vocabulary of {vocab}");
    }
    rows
}

/// The sum of `-ln softmax(logits[row])[target]` over the rows of `logits [rows, vocab]` whose target is not `ignore`,
/// and how many those are.
///
/// # Panics
/// When shapes disagree or a target is outside the vocabulary.
pub fn cross_entropy(logits: &[f32], vocab: usize, targets: &[u32], ignore: u32) -> (f64, usize) {
    let rows = rows(logits, vocab, targets, ignore);
    let mut losses = vec![0.0_f64; rows];
    let shared = Shared::new(&mut losses);
    let isa = Isa::detect();
    parallel::for_each(rows, logits.len() * 16, |row| {
        let target = targets[row];
        if target != ignore {
            let logits = &logits[row * vocab..(row + 1) * vocab];
            let loss = isa.run(LogSumExp(logits)) - f64::from(logits[target as usize]);
            // SAFETY: each row has its own place.
            unsafe { shared.range(row..row + 1)[0] = loss };
        }
    });
    (
        losses.iter().sum(),
        targets.iter().filter(|target| **target != ignore).count(),
    )
}

/// `grad = (softmax(logits) - one at the target) * scale`; rows whose target is `ignore` get zeros.
///
/// # Panics
/// When shapes disagree or a target is outside the vocabulary.
pub fn cross_entropy_backward(
    logits: &[f32],
    vocab: usize,
    targets: &[u32],
    ignore: u32,
    scale: f32,
    grad: &mut [f32],
) {
    let rows = rows(logits, vocab, targets, ignore);
    assert_eq!(
        grad.len(),
        logits.len(),
        "cross-entropy: gradient and logits differ in length"
    );
    let shared = Shared::new(grad);
    let isa = Isa::detect();
    parallel::for_each(rows, logits.len() * 32, |row| {
        let range = row * vocab..(row + 1) * vocab;
        // SAFETY: each row has its own range.
        let out = unsafe { shared.range(range.clone()) };
        let target = targets[row];
        if target == ignore {
            out.fill(0.0);
            return;
        }
        let x = &logits[range];
        let lse = isa.run(LogSumExp(x));
        isa.run(Scaled {
            x,
            lse,
            scale,
            out: &mut *out,
        });
        out[target as usize] -= scale;
    });
}
