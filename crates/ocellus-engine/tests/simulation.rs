//! Requests come, are stepped, cancelled and rewound at random, in an engine with far too few blocks. After every step blocks and
//! requests must add up, and every answer must be, to the bit, the one that its request gets alone.

use std::collections::HashMap;

use fake::{Fake, request};
use ocellus_base::clock::ManualClock;
use ocellus_engine::{
    Engine, EngineError, EngineOptions, Event, FinishReason, Request, RequestId, Token, generate,
};
use ocellus_models::Vlm;
use ocellus_testkit::Random;

mod fake;

const STEPS: usize = 10_000;

/// Requests of which several start alike, with and without pictures, shorter and longer than a block.
fn kinds() -> Vec<Request> {
    let mut kinds = Vec::new();
    for (i, text) in [1, 30, 64, 65, 128, 200].into_iter().enumerate() {
        kinds.push(request(1, &[], text, 40));
        kinds.push(request(2, &[70], text, 30));
        kinds.push(request(3, &[5, 5], text, 8 * i));
    }
    kinds[4].sampling.repetition_penalty = 1.3;
    kinds[7].min_tokens = 20;
    // Nobody may read it from a cache.
    kinds[10].pictures[0].key = None;
    kinds
}

fn bits(tokens: &[Token]) -> Vec<(u32, u32)> {
    tokens
        .iter()
        .map(|t| (t.id, t.log_probability.to_bits()))
        .collect()
}

/// What a request that runs has shown so far.
struct Shown {
    kind: usize,
    tokens: Vec<Token>,
    cancelled: bool,
}

/// Runs so many steps, and counts what happened: hits of the prefix cache, rewinds, cancellations, answers.
fn simulate(seed: u64, options: EngineOptions, steps: usize) -> [usize; 4] {
    let model = Fake::new(5);
    let kinds = kinds();
    let (alone, _) = generate(&model, &kinds, &ManualClock::default(), &mut |_, _| {
        ocellus_engine::Flow::Continue
    })
    .unwrap();
    let mut engine = Engine::new(&model as &dyn Vlm, options, ManualClock::default()).unwrap();
    let mut random = Random::new(seed);
    let mut running: HashMap<RequestId, Shown> = HashMap::new();
    let mut count = [0; 4];
    for step in 0..steps {
        let place = format!("seed {seed}, step {step}");
        // In waves, so that the engine also falls idle.
        let busy = (step / 200) % 4 != 3;
        if busy && random.below(3) == 0 {
            let kind = random.below(kinds.len());
            match engine.submit(kinds[kind].clone()) {
                Ok(id) => {
                    let tokens = Vec::new();
                    let cancelled = false;
                    running.insert(
                        id,
                        Shown {
                            kind,
                            tokens,
                            cancelled,
                        },
                    );
                }
                // Those that gave up their blocks wait too.
                Err(EngineError::Queue { waiting }) => assert!(waiting >= options.waiting, "{place}"),
                Err(error) => panic!("{place}: {error}"),
            }
        }
        let ids: Vec<RequestId> = engine.requests().collect();
        if !ids.is_empty() && random.below(25) == 0 {
            let id = ids[random.below(ids.len())];
            assert!(engine.cancel(id), "{place}");
            assert!(!engine.cancel(id), "{place}: once");
            running.get_mut(&id).unwrap().cancelled = true;
            count[2] += 1;
        } else if !ids.is_empty() && random.below(10) == 0 {
            let id = ids[random.below(ids.len())];
            let back = random.below(12);
            let left = engine.rewind(id, back).unwrap().expect("it runs");
            let shown = running.get_mut(&id).unwrap();
            assert_eq!(left.tokens, shown.tokens.len().saturating_sub(back), "{place}");
            shown.tokens.truncate(left.tokens);
            count[1] += 1;
        }
        for event in engine.step() {
            match event {
                Event::Started { cached_tokens, .. } => count[0] += usize::from(cached_tokens > 0),
                Event::Token { id, token, .. } => running.get_mut(&id).unwrap().tokens.push(token),
                Event::Finished {
                    id, reason, tokens, ..
                } => {
                    let shown = running.remove(&id).unwrap();
                    assert_eq!(bits(&tokens), bits(&shown.tokens), "{place}: as shown");
                    let right = &alone[shown.kind];
                    if shown.cancelled {
                        assert_eq!(reason, FinishReason::Cancelled, "{place}");
                        assert_eq!(bits(&tokens), bits(&right.tokens[..tokens.len()]), "{place}");
                    } else {
                        assert_eq!(bits(&tokens), bits(&right.tokens), "{place}, kind {}", shown.kind);
                        assert_eq!(reason, right.finish, "{place}");
                        count[3] += 1;
                    }
                }
                Event::Failed { id, error } => panic!("{place}: {id:?} failed: {error}"),
            }
        }
        engine.check().unwrap_or_else(|what| panic!("{place}: {what}"));
        assert_eq!(engine.is_idle(), running.is_empty(), "{place}");
    }
    count
}

fn options() -> EngineOptions {
    EngineOptions {
        // The longest request takes five blocks.
        kv_blocks: 8,
        running: 5,
        waiting: 4,
        prefill_tokens: 50,
        prefill_tokens_alone: 90,
        prefix_cache: true,
        encoder_cache_bytes: 8_000,
        poison: true,
        ..EngineOptions::default()
    }
}

#[test]
fn whatever_happens_every_answer_is_the_one_it_gets_alone() {
    // Another seed can be tried without building again.
    let seed = std::env::var("SIMULATION_SEED").ok().and_then(|s| s.parse().ok());
    let seed = seed.unwrap_or(20_261_129);
    println!("seed {seed}");
    let [hits, rewinds, cancelled, answers] = simulate(seed, options(), STEPS);
    assert!(
        hits > 100 && rewinds > 100 && cancelled > 50 && answers > 500,
        "{hits} hits, {rewinds} rewinds, {cancelled} cancelled, {answers} answered"
    );
}

#[test]
fn the_same_with_other_options() {
    let cases = [
        EngineOptions {
            prefix_cache: false,
            encoder_cache_bytes: 0,
            ..options()
        },
        EngineOptions {
            prefill_tokens: 1,
            prefill_tokens_alone: 7,
            ..options()
        },
        EngineOptions {
            kv_blocks: 400,
            running: 40,
            waiting: 100,
            ..options()
        },
        EngineOptions {
            kv_width: ocellus_nn::KvWidth::Full,
            kv_blocks: 6,
            running: 2,
            ..options()
        },
    ];
    for (seed, options) in (1..).zip(cases) {
        simulate(seed, options, STEPS / 10);
    }
}
