//! However a sequence comes to its tokens, they and their probabilities are the same, bit for bit.

use ocellus_base::clock::ManualClock;
use ocellus_engine::{Beams, Engine, EngineOptions, Event, PictureKey, Request, RequestId, Sampling, Token};
use ocellus_models::Vlm;
use ocellus_testkit::test_each;

mod tiny;

fn engine(model: &dyn Vlm, options: EngineOptions) -> Engine<'_> {
    Engine::new(model, options, ManualClock::default()).unwrap()
}

fn poisoned() -> EngineOptions {
    EngineOptions {
        poison: true,
        ..EngineOptions::default()
    }
}

/// A prompt over more than one block with a picture in it, drawn answers, a penalty.
fn subject() -> Request {
    let mut request = tiny::request(11, &[(8, 12)], 110);
    request.max_tokens = 24;
    request.sampling = Sampling {
        temperature: 1.1,
        top_p: 0.9,
        repetition_penalty: 1.2,
        seed: 4,
        ..Sampling::default()
    };
    request.pictures[0].key = Some(PictureKey([1; 32]));
    request
}

fn bits(tokens: &[Token]) -> Vec<(u32, u32)> {
    tokens
        .iter()
        .map(|t| (t.id, t.log_probability.to_bits()))
        .collect()
}

/// Steps until the request ends; its tokens.
fn run(engine: &mut Engine, id: RequestId) -> Vec<Token> {
    for _ in 0..10_000 {
        for event in engine.step() {
            match event {
                Event::Finished { id: own, tokens, .. } if own == id => return tokens,
                Event::Failed { error, .. } => panic!("{error}"),
                _ => {}
            }
        }
        engine.check().unwrap();
    }
    panic!("it never ends");
}

/// Tokens of the subject when it runs by itself in an engine of its own.
fn alone(model: &dyn Vlm) -> Vec<Token> {
    let mut engine = engine(model, poisoned());
    let id = engine.submit(subject()).unwrap();
    run(&mut engine, id)
}

/// A way to come to the subject's tokens.
type Way = fn(&dyn Vlm) -> Vec<Token>;

fn among_others(model: &dyn Vlm) -> Vec<Token> {
    let mut engine = engine(model, poisoned());
    let [a, b, c] = tiny::three();
    engine.submit(a).unwrap();
    engine.submit(b).unwrap();
    let id = engine.submit(subject()).unwrap();
    engine.submit(c).unwrap();
    run(&mut engine, id)
}

fn joined_late(model: &dyn Vlm) -> Vec<Token> {
    let mut engine = engine(model, poisoned());
    for mut request in tiny::three() {
        request.max_tokens = 60;
        engine.submit(request).unwrap();
    }
    (0..7).for_each(|_| drop(engine.step()));
    let id = engine.submit(subject()).unwrap();
    run(&mut engine, id)
}

fn chunked(model: &dyn Vlm) -> Vec<Token> {
    let options = EngineOptions {
        prefill_tokens: 3,
        prefill_tokens_alone: 37,
        ..poisoned()
    };
    let mut engine = engine(model, options);
    let id = engine.submit(subject()).unwrap();
    // Another decodes beside, so that both budgets count.
    let mut other = tiny::request(2, &[], 5);
    other.max_tokens = 30;
    engine.step();
    engine.submit(other).unwrap();
    run(&mut engine, id)
}

fn after_a_prefix_hit(model: &dyn Vlm) -> Vec<Token> {
    let options = EngineOptions {
        prefix_cache: true,
        encoder_cache_bytes: 1 << 20,
        ..poisoned()
    };
    let mut engine = engine(model, options);
    let first = engine.submit(subject()).unwrap();
    run(&mut engine, first);
    let id = engine.submit(subject()).unwrap();
    let started = engine.step().into_iter().find_map(|event| match event {
        Event::Started { cached_tokens, .. } => Some(cached_tokens),
        _ => None,
    });
    // The whole blocks in front of the last token of the prompt.
    assert_eq!(started, Some((subject().ids.len() - 1) / 64 * 64));
    run(&mut engine, id)
}

fn preempted_and_resumed(model: &dyn Vlm) -> Vec<Token> {
    // Four blocks for two requests of three each in the end: the younger one gives way.
    let options = EngineOptions {
        kv_blocks: 4,
        ..poisoned()
    };
    let mut engine = engine(model, options);
    let mut older = tiny::request(5, &[], 60);
    older.max_tokens = 100;
    engine.submit(older).unwrap();
    let id = engine.submit(subject()).unwrap();
    let tokens = run(&mut engine, id);
    assert!(engine.preemptions() > 0, "nothing was preempted");
    tokens
}

fn rewound(model: &dyn Vlm) -> Vec<Token> {
    let mut engine = engine(model, poisoned());
    let id = engine.submit(subject()).unwrap();
    let mut shown = 0;
    for back in [1, 5, 100, 2] {
        while shown < 10 {
            shown += engine
                .step()
                .iter()
                .filter(|e| matches!(e, Event::Token { .. }))
                .count();
        }
        shown = engine.rewind(id, back).unwrap().unwrap().tokens;
        assert_eq!(shown, 10_usize.saturating_sub(back));
        engine.check().unwrap();
    }
    run(&mut engine, id)
}

#[test]
fn every_way_gives_the_same_bits() {
    let loaded = tiny::model();
    let model = loaded.vlm();
    let expected = alone(model);
    assert_eq!(expected.len(), 24);
    let ways: [(&str, Way); 6] = [
        ("among others", among_others),
        ("joined late", joined_late),
        ("chunked", chunked),
        ("after a prefix hit", after_a_prefix_hit),
        ("preempted and resumed", preempted_and_resumed),
        ("rewound and decoded again", rewound),
    ];
    test_each(ways, |way| assert_eq!(bits(&way(model)), bits(&expected)));
}

/// Beams share blocks and part in them. Those of width 1 are greedy, and a wide search gives each hypothesis the probabilities
/// that its tokens have when they are read alone.
#[test]
fn beams_give_the_same_bits() {
    let loaded = tiny::model();
    let model = loaded.vlm();
    let mut request = subject();
    request.sampling = Sampling::default();
    let mut own = engine(model, poisoned());
    let id = own.submit(request.clone()).unwrap();
    let greedy = run(&mut own, id);
    let beams = |width| Beams {
        width,
        length_penalty: 1.0,
    };
    let found = own.search(std::slice::from_ref(&request), beams(1)).unwrap();
    assert_eq!(found[0][0].tokens.len(), greedy.len());
    let ids = |tokens: &[Token]| tokens.iter().map(|t| t.id).collect::<Vec<_>>();
    assert_eq!(ids(&found[0][0].tokens), ids(&greedy));
    let together = own
        .search(&[tiny::request(2, &[], 80), request.clone()], beams(4))
        .unwrap();
    let alone = own.search(&[request], beams(4)).unwrap();
    assert_eq!(together[1], alone[0]);
    own.check().unwrap();
}
