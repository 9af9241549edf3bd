//! A request that cannot be served ends with its own error; the others get the answers that they would get without it.

use ocellus_base::clock::ManualClock;
use ocellus_engine::{Engine, EngineError, EngineOptions, Event, Request, RequestId, Token};
use ocellus_models::ModelError;

mod tiny;

/// The last event of every request, in the order in which they ended.
fn ends(engine: &mut Engine) -> Vec<(RequestId, Result<Vec<Token>, EngineError>)> {
    let mut ends = Vec::new();
    while !engine.is_idle() {
        for event in engine.step() {
            match event {
                Event::Finished { id, tokens, .. } => ends.push((id, Ok(tokens))),
                Event::Failed { id, error } => ends.push((id, Err(error))),
                Event::Started { .. } | Event::Token { .. } => {}
            }
        }
        engine.check().unwrap();
    }
    ends
}

/// Runs good requests around a bad one; the bad one's error.
fn among_good(bad: Request, options: EngineOptions) -> EngineError {
    let loaded = tiny::model();
    let good = tiny::three();
    let alone = tiny::answers(loaded.vlm(), &good).unwrap();
    let mut engine = Engine::new(loaded.vlm(), options, ManualClock::default()).unwrap();
    let [first, second, third] = good;
    let mut expected = vec![engine.submit(first).unwrap()];
    let bad = engine.submit(bad).unwrap();
    expected.extend([second, third].map(|request| engine.submit(request).unwrap()));
    let (mut error, mut answered) = (None, 0);
    for (id, end) in ends(&mut engine) {
        match end {
            Err(failed) => {
                assert_eq!(id, bad, "{failed}");
                error = Some(failed);
            }
            Ok(tokens) => {
                let own = expected.iter().position(|own| *own == id).expect("a good one");
                assert_eq!(tokens, alone[own].tokens);
                answered += 1;
            }
        }
    }
    assert_eq!(answered, 3);
    error.expect("the bad one failed")
}

#[test]
fn a_picture_too_few_ends_its_request_alone() {
    let mut bad = tiny::request(4, &[(4, 6)], 5);
    bad.pictures.clear();
    let error = among_good(bad, EngineOptions::default());
    assert!(
        matches!(error, EngineError::Model(ModelError::Span { .. })),
        "{error}"
    );
}

#[test]
fn patches_that_are_no_grid_end_their_request_alone() {
    let mut bad = tiny::request(4, &[(4, 6)], 5);
    bad.pictures[0].grid.h = 6;
    let error = among_good(bad, EngineOptions::default());
    assert!(
        matches!(error, EngineError::Model(ModelError::Grid { .. })),
        "{error}"
    );
}

#[test]
fn a_prompt_that_the_kv_cache_cannot_hold_ends_alone() {
    let options = EngineOptions {
        kv_blocks: 2,
        ..EngineOptions::default()
    };
    let error = among_good(tiny::request(4, &[], 200), options);
    assert!(matches!(error, EngineError::Room { most: 128, .. }), "{error}");
}

#[test]
fn a_picture_that_is_no_numbers_ends_its_request_alone() {
    let mut bad = tiny::request(4, &[(4, 6)], 5);
    let values = bad.pictures[0].patches.elem_count();
    bad.pictures[0].patches = tiny::patches(vec![f32::NAN; values]);
    let error = among_good(bad, EngineOptions::default());
    assert!(matches!(error, EngineError::NotANumber), "{error}");
}
