//! Beam search against greedy decoding and against a list of everything that could be said.

use ocellus_base::clock::ManualClock;
use ocellus_engine::{Beams, EngineError, FinishReason, Flow, Hypothesis, Request, generate, search};
use words::{TinyEncoderDecoder, VOCAB, request};

mod words;

const PROMPTS: [&[u32]; 3] = [&[1, 2, 3], &[2], &[3, 3, 0, 1, 2]];

fn beams(width: usize, length_penalty: f64) -> Beams {
    Beams {
        width,
        length_penalty,
    }
}

fn ids(h: &Hypothesis) -> Vec<u32> {
    h.tokens.iter().map(|t| t.id).chain(h.end).collect()
}

/// Everything that a request could be answered with, end token included, and its score; best first.
fn everything(model: &TinyEncoderDecoder, request: &Request, length_penalty: f64) -> Vec<(Vec<u32>, f64)> {
    let (mut open, mut done) = (vec![(Vec::new(), 0.0)], Vec::new());
    while let Some((words, sum)) = open.pop() {
        let after = model.after(&request.ids, &words);
        for (id, log_probability) in (0u32..).zip(after) {
            let (next, sum) = ([&words[..], &[id]].concat(), sum + log_probability);
            let stops = request.end.contains(&id);
            if stops && next.len() <= request.min_tokens {
                continue;
            }
            if stops || next.len() == request.max_tokens {
                let score = sum / (next.len() as f64).powf(length_penalty);
                done.push((next, score));
            } else {
                open.push((next, sum));
            }
        }
    }
    done.sort_by(|a, b| b.1.total_cmp(&a.1));
    done
}

#[test]
fn width_one_is_greedy() {
    for seed in 0..8 {
        let model = TinyEncoderDecoder::new(seed);
        for end in [&[][..], &[1], &[1, 2]] {
            for min_tokens in [0, 3] {
                let mut requests = PROMPTS.map(|p| request(p, 7, end));
                requests.iter_mut().for_each(|r| r.min_tokens = min_tokens);
                let clock = ManualClock::default();
                let (greedy, _) = generate(&model, &requests, &clock, &mut |_, _| Flow::Continue).unwrap();
                let found = search(&model, &requests, beams(1, 1.0)).unwrap();
                for (greedy, found) in greedy.iter().zip(found) {
                    let [only] = &found[..] else {
                        panic!("{} hypotheses of one beam", found.len());
                    };
                    let ids =
                        |tokens: &[ocellus_engine::Token]| tokens.iter().map(|t| t.id).collect::<Vec<_>>();
                    assert_eq!(ids(&only.tokens), ids(&greedy.tokens), "seed {seed}, end {end:?}");
                    assert_eq!(only.finish(), greedy.finish);
                }
            }
        }
    }
}

#[test]
fn a_wide_search_finds_everything_in_order() {
    for (seed, length_penalty, min_tokens) in
        [(1, 1.0, 0), (2, 0.0, 0), (3, 2.0, 2), (4, -1.0, 1), (5, 0.6, 3)]
    {
        let model = TinyEncoderDecoder::new(seed);
        let mut requests = PROMPTS.map(|p| request(p, 4, &[3]));
        requests.iter_mut().for_each(|r| r.min_tokens = min_tokens);
        // More beams than there are answers: nothing is cut, and nothing ends the search early.
        let found = search(&model, &requests, beams(200, length_penalty)).unwrap();
        for (request, found) in requests.iter().zip(found) {
            let expected = everything(&model, request, length_penalty);
            assert_eq!(found.len(), expected.len());
            for (rank, (found, (words, score))) in found.iter().zip(&expected).enumerate() {
                assert_eq!(&ids(found), words, "seed {seed}, rank {rank}");
                assert!(
                    (f64::from(found.score) - score).abs() < 1e-5,
                    "seed {seed}, rank {rank}: {} for {score}",
                    found.score
                );
                let ended = words.last() == Some(&3);
                let finish = if ended {
                    FinishReason::Stop
                } else {
                    FinishReason::Length
                };
                assert_eq!(found.finish(), finish);
            }
        }
    }
}

#[test]
fn a_narrow_search_stops_when_nothing_better_can_come() {
    // Sums only fall, so without a length penalty a search that stops early misses nothing that a longer one would keep.
    let mut stopped_early = 0;
    for seed in 0..12 {
        let model = TinyEncoderDecoder::new(seed);
        for prompt in PROMPTS {
            let request = request(prompt, 6, &[3]);
            let found = &search(&model, std::slice::from_ref(&request), beams(2, 0.0)).unwrap()[0];
            assert_eq!(found.len(), 2);
            assert!(found[0].score >= found[1].score);
            stopped_early += usize::from(found.iter().all(|h| ids(h).len() < 6));
            let all = everything(&model, &request, 0.0);
            for h in found {
                let real = all
                    .iter()
                    .find(|(words, _)| *words == ids(h))
                    .expect("it can be said");
                assert!((real.1 - f64::from(h.score)).abs() < 1e-5);
            }
        }
    }
    assert!(stopped_early > 0, "no search of the table stops early");
}

#[test]
fn neighbours_change_no_hypothesis() {
    let model = TinyEncoderDecoder::new(9);
    let requests = [
        request(PROMPTS[0], 6, &[3]),
        request(PROMPTS[1], 2, &[]),
        request(PROMPTS[2], 9, &[1, 3]),
    ];
    for width in [1, 2, 3, 7] {
        let together = search(&model, &requests, beams(width, 1.0)).unwrap();
        for order in [[2, 0, 1], [1, 2, 0]] {
            let mixed = order.map(|i| requests[i].clone());
            let found = search(&model, &mixed, beams(width, 1.0)).unwrap();
            for (i, found) in order.iter().zip(found) {
                assert_eq!(found, together[*i], "request {i}, width {width}, order {order:?}");
            }
        }
        for (request, expected) in requests.iter().zip(&together) {
            let alone = search(&model, std::slice::from_ref(request), beams(width, 1.0)).unwrap();
            assert_eq!(&alone[0], expected, "alone, width {width}");
        }
    }
}

#[test]
fn small_and_wrong_requests() {
    let model = TinyEncoderDecoder::new(1);
    assert!(search(&model, &[], beams(3, 1.0)).unwrap().is_empty());
    let nothing = search(&model, &[request(&[1], 0, &[])], beams(3, 1.0)).unwrap();
    assert_eq!(nothing, [[]]);
    // There are fewer continuations than beams.
    let one = &search(&model, &[request(&[1], 1, &[2])], beams(9, 1.0)).unwrap()[0];
    assert_eq!(one.len(), VOCAB);
    for wrong in [
        beams(0, 1.0),
        beams(257, 1.0),
        beams(2, f64::NAN),
        beams(2, f64::INFINITY),
    ] {
        let error = search(&model, &[request(&[1], 3, &[])], wrong).unwrap_err();
        assert!(matches!(error, EngineError::Sampling(_)), "{wrong:?}: {error}");
    }
    let empty = search(&model, &[request(&[], 3, &[])], beams(2, 1.0)).unwrap_err();
    assert!(matches!(empty, EngineError::Empty));
}
