//! Ranking against the likelihood of every answer, word by word.

use ocellus_engine::{EngineError, rank};
use words::{TinyEncoderDecoder, request};

mod words;

/// Answers of all lengths; several share their first words, two are the same.
fn answers() -> Vec<Vec<u32>> {
    let answers: [&[u32]; 9] = [
        &[1, 2, 3],
        &[1, 3],
        &[2],
        &[0, 0, 0, 3],
        &[2, 1, 3],
        &[3],
        &[1, 2, 3],
        &[1, 2, 0, 1, 3],
        &[0, 3],
    ];
    answers.map(<[u32]>::to_vec).to_vec()
}

fn likelihood(model: &TinyEncoderDecoder, prompt: &[u32], answer: &[u32]) -> f64 {
    let step = |i: usize| model.after(prompt, &answer[..i])[answer[i] as usize];
    (0..answer.len()).map(step).sum()
}

#[test]
fn the_kept_are_measured_in_full() {
    for seed in 0..6 {
        let model = TinyEncoderDecoder::new(seed);
        for prompt in [&[1, 2, 3][..], &[2]] {
            let (request, answers) = (request(prompt, 0, &[]), answers());
            let first = model.after(prompt, &[]);
            for keep in [1, 3, 4, answers.len(), 100] {
                let mut expected: Vec<usize> = (0..answers.len()).collect();
                expected.sort_by(|a, b| {
                    first[answers[*b][0] as usize].total_cmp(&first[answers[*a][0] as usize])
                });
                expected.truncate(keep);
                let measure = |i: &usize| likelihood(&model, prompt, &answers[*i]);
                expected.sort_by(|a, b| {
                    // The same answer twice: the earlier stands in front.
                    let same = answers[*a] == answers[*b];
                    let order = measure(b).total_cmp(&measure(a));
                    if same { a.cmp(b) } else { order }
                });
                let ranked = rank(&model, &request, &answers, keep).unwrap();
                let got: Vec<usize> = ranked.iter().map(|r| r.answer).collect();
                assert_eq!(got, expected, "seed {seed}, keep {keep}");
                for r in &ranked {
                    let expected = measure(&r.answer);
                    assert!((f64::from(r.log_likelihood) - expected).abs() < 1e-5);
                }
            }
        }
    }
}

#[test]
fn wrong_lists() {
    let model = TinyEncoderDecoder::new(1);
    let wrong = [
        (vec![], 1),
        (vec![vec![]], 1),
        (vec![vec![1], vec![4]], 1),
        (vec![vec![1]], 0),
        (vec![vec![1]], 257),
    ];
    for (answers, keep) in wrong {
        let error = rank(&model, &request(&[1], 0, &[]), &answers, keep).unwrap_err();
        assert!(
            matches!(error, EngineError::Answers(_)),
            "{answers:?}, {keep}: {error}"
        );
    }
    let long = rank(&model, &request(&[1], 0, &[]), &[vec![1; 16]], 1).unwrap_err();
    assert!(matches!(long, EngineError::Context { .. }), "{long}");
}
