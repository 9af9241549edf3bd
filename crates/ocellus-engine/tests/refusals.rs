//! Requests that cannot be served give the error that says why, whatever they are batched with.

use ocellus_engine::{EngineError, Request};
use ocellus_models::{Grid, ModelError};
use ocellus_testkit::test_each;

mod tiny;

/// Changes a good request into a bad one.
type Spoil = fn(&mut Request);

/// Says whether the error is the right one.
type Right = fn(&EngineError) -> bool;

#[test]
fn each_bad_request_has_its_error() {
    let sampling: Right = |e| matches!(e, EngineError::Sampling(_));
    let span: Right = |e| matches!(e, EngineError::Model(ModelError::Span { .. }));
    let grid: Right = |e| matches!(e, EngineError::Model(ModelError::Grid { .. }));
    let table: [(&str, (Spoil, Right)); 17] = [
        (
            "no prompt",
            (|r| r.ids.clear(), |e| matches!(e, EngineError::Empty)),
        ),
        (
            "one token too many",
            (
                |r| r.max_tokens = 2049 - r.ids.len(),
                |e| {
                    matches!(
                        e,
                        EngineError::Context {
                            limit: 2048,
                            prompt: 14,
                            wanted: 2035
                        }
                    )
                },
            ),
        ),
        (
            "more tokens than can be counted",
            (
                |r| r.max_tokens = usize::MAX,
                |e| {
                    matches!(
                        e,
                        EngineError::Context {
                            wanted: usize::MAX,
                            ..
                        }
                    )
                },
            ),
        ),
        (
            "prompt longer than the context",
            (
                |r| r.ids.resize(3000, 20),
                |e| matches!(e, EngineError::Context { prompt: 3000, .. }),
            ),
        ),
        ("temperature", (|r| r.sampling.temperature = -0.5, sampling)),
        (
            "temperature nan",
            (|r| r.sampling.temperature = f32::NAN, sampling),
        ),
        ("top-p 0", (|r| r.sampling.top_p = 0.0, sampling)),
        ("top-p over 1", (|r| r.sampling.top_p = 1.5, sampling)),
        ("min-p", (|r| r.sampling.min_p = -0.1, sampling)),
        ("penalty", (|r| r.sampling.repetition_penalty = 0.0, sampling)),
        (
            "token outside the vocabulary",
            (
                |r| r.ids.push(160),
                |e| {
                    matches!(
                        e,
                        EngineError::Model(ModelError::Vocabulary { id: 160, vocab: 160 })
                    )
                },
            ),
        ),
        ("a picture too few", (|r| r.pictures.clear(), span)),
        (
            "a picture too many",
            (|r| r.pictures.push(r.pictures[0].clone()), span),
        ),
        (
            "half a cell",
            (|r| r.pictures[0].grid = Grid { t: 1, h: 3, w: 8 }, grid),
        ),
        (
            "fewer patches than the grid",
            (|r| r.pictures[0].grid = Grid { t: 2, h: 4, w: 6 }, grid),
        ),
        (
            "a patch cut short",
            (
                |r| {
                    let cut = r.pictures[0]
                        .patches
                        .flatten_all()
                        .and_then(|p| p.narrow(0, 0, tiny::FEATURES * 24 - 1));
                    r.pictures[0].patches = cut.unwrap();
                },
                grid,
            ),
        ),
        (
            "an empty picture",
            (
                |r| {
                    r.pictures[0].grid = Grid { t: 0, h: 0, w: 0 };
                    r.pictures[0].patches = tiny::patches(Vec::new());
                },
                grid,
            ),
        ),
    ];
    let model = tiny::model();
    test_each(table, |(spoil, right)| {
        let good = tiny::request(1, &[(4, 6)], 6);
        let mut bad = good.clone();
        spoil(&mut bad);
        for batch in [vec![bad.clone()], vec![good, bad]] {
            let error = tiny::answers(model.vlm(), &batch).unwrap_err();
            assert!(right(&error), "{error:?}");
            assert!(!error.to_string().is_empty());
        }
    });
}

#[test]
fn a_prompt_may_fill_the_context() {
    let mut request = tiny::request(1, &[], 2047);
    request.max_tokens = 1;
    let answers = tiny::answers(tiny::model().vlm(), &[request]).unwrap();
    assert_eq!(answers[0].tokens.len(), 1);
}
