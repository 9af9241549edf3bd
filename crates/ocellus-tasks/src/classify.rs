//! Zero-shot classification (Radford et al. 2021, section 3.1.2): cosines with sentences about labels, as shares.

/// Softmax of `similarities · scale`.
pub fn shares(similarities: &[f32], scale: f32) -> Vec<f32> {
    let largest = similarities.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let raised: Vec<f32> = similarities
        .iter()
        .map(|s| ((s - largest) * scale).exp())
        .collect();
    let sum: f32 = raised.iter().sum();
    raised.into_iter().map(|r| r / sum).collect()
}

/// The `count` largest scores as `(index, share of the softmax)`, largest first.
pub fn likeliest(scores: &[f32], count: usize) -> Vec<(u32, f32)> {
    ranked(shares(scores, 1.0), count)
}

/// The `count` largest scores as `(index, sigmoid)`, largest first: each answer is right or wrong by itself.
pub fn likeliest_each(scores: &[f32], count: usize) -> Vec<(u32, f32)> {
    ranked(
        scores.iter().map(|score| 1.0 / (1.0 + (-score).exp())).collect(),
        count,
    )
}

fn ranked(probabilities: Vec<f32>, count: usize) -> Vec<(u32, f32)> {
    let mut ranked: Vec<(u32, f32)> = (0u32..).zip(probabilities).collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    ranked.truncate(count);
    ranked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_come_first() {
        let found = likeliest(&[0.0, 2.0, 1.0, 2.0], 3);
        let order: Vec<u32> = found.iter().map(|f| f.0).collect();
        assert_eq!(order, [1, 3, 2]);
        assert!(found[0].1 == found[1].1 && found[1].1 > found[2].1);
    }

    #[test]
    fn answers_that_are_right_by_themselves() {
        let found = likeliest_each(&[0.0, 2.0, -100.0], 2);
        assert_eq!((found[0].0, found[1]), (1, (0, 0.5)));
        assert!((found[0].1 - 0.880_797).abs() < 1e-6);
    }

    #[test]
    fn shares_add_up_and_follow_the_scale() {
        for (similarities, scale, expected) in [
            (&[0.5f32][..], 100.0, &[1.0f32][..]),
            (&[0.2, 0.2], 100.0, &[0.5, 0.5]),
            // e^1 to 1.
            (&[0.02, 0.01], 100.0, &[0.731_058_6, 0.268_941_4]),
            // Large differences do not overflow.
            (&[1.0, -1.0], 1e6, &[1.0, 0.0]),
            (&[], 1.0, &[]),
        ] {
            let found = shares(similarities, scale);
            assert_eq!(found.len(), expected.len());
            for (f, e) in found.iter().zip(expected) {
                assert!((f - e).abs() < 1e-5, "{similarities:?}: {found:?}");
            }
        }
    }
}
