//! What changes over a run: the learning rate and the weight of the attention guide.

use crate::recipe::Optimiser;

/// Linear warm-up, then a cosine from the peak to the final rate. `step` counts from 0.
pub fn learning_rate(o: &Optimiser, step: u64) -> f32 {
    if step < o.warmup_steps {
        return o.learning_rate * (step + 1) as f32 / o.warmup_steps as f32;
    }
    let span = o.steps.saturating_sub(o.warmup_steps).max(1) as f32;
    let share = ((step - o.warmup_steps) as f32 / span).min(1.0);
    let cosine = 0.5 * (1.0 + (std::f32::consts::PI * share).cos());
    o.final_learning_rate + (o.learning_rate - o.final_learning_rate) * cosine
}

/// 1 before `from`, 0 after `to`, a straight line between.
pub fn fade(share: f32, [from, to]: [f32; 2]) -> f32 {
    if to <= from {
        return if share < from { 1.0 } else { 0.0 };
    }
    ((to - share) / (to - from)).clamp(0.0, 1.0)
}

/// Decay of the moving average at `step`: young averages forget fast.
pub fn ema_decay(decay: f32, step: u64) -> f32 {
    decay.min((1.0 + step as f32) / (10.0 + step as f32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_rises_peaks_and_falls() {
        let o = Optimiser {
            steps: 100,
            batch: 1,
            micro_batch: 1,
            shards: 1,
            learning_rate: 1.0,
            final_learning_rate: 0.1,
            warmup_steps: 10,
            betas: [0.9, 0.95],
            weight_decay: 0.0,
            clip_norm: 1.0,
            ema: 0.9,
            bf16: false,
        };
        for (step, expected) in [
            (0, 0.1),
            (4, 0.5),
            (9, 1.0),
            (10, 1.0),
            (55, 0.55),
            (100, 0.1),
            (500, 0.1),
        ] {
            let rate = learning_rate(&o, step);
            assert!(
                (rate - expected).abs() < 1e-3,
                "step {step}: {rate}, expected {expected}"
            );
        }
    }

    #[test]
    fn guide_fades() {
        for (share, expected) in [(0.0, 1.0), (0.2, 1.0), (0.3, 0.5), (0.4, 0.0), (1.0, 0.0)] {
            assert!((fade(share, [0.2, 0.4]) - expected).abs() < 1e-6, "at {share}");
        }
    }
}
