//! How answers end: by length, by an end token, by the receiver; and that seeds decide draws.

use ocellus_base::clock::ManualClock;
use ocellus_engine::{FinishReason, Flow, Generated, Sampling, generate};

mod tiny;

fn ids(answer: &Generated) -> Vec<u32> {
    answer.tokens.iter().map(|t| t.id).collect()
}

#[test]
fn an_answer_has_as_many_tokens_as_were_wanted() {
    let model = tiny::model();
    let mut request = tiny::request(1, &[(4, 6)], 9);
    request.max_tokens = 9;
    let longest = ids(&tiny::answers(model.vlm(), &[request.clone()]).unwrap()[0]);
    for wanted in [0, 1, 2, 9] {
        request.max_tokens = wanted;
        let answer = &tiny::answers(model.vlm(), &[request.clone()]).unwrap()[0];
        assert_eq!(answer.finish, FinishReason::Length);
        assert_eq!(ids(answer), longest[..wanted]);
    }
}

#[test]
fn an_end_token_ends_the_answer_and_is_not_part_of_it() {
    let model = tiny::model();
    let mut request = tiny::request(2, &[], 15);
    // Draws, so that the tokens differ from one another.
    request.sampling = Sampling {
        temperature: 1.5,
        seed: 3,
        ..Sampling::default()
    };
    let free = ids(&tiny::answers(model.vlm(), &[request.clone()]).unwrap()[0]);
    for end in [free[0], free[4]] {
        request.end = vec![1, end];
        let answer = &tiny::answers(model.vlm(), &[request.clone()]).unwrap()[0];
        let until = free.iter().position(|id| *id == end).unwrap();
        assert_eq!(ids(answer), free[..until], "end token {end}");
        assert_eq!(answer.finish, FinishReason::Stop);
    }
}

#[test]
fn the_receiver_sees_every_token_in_order_and_may_end_one_sequence() {
    let model = tiny::model();
    let mut requests = tiny::three();
    requests.iter_mut().for_each(|r| r.max_tokens = 6);
    let free = tiny::answers(model.vlm(), &requests).unwrap();
    let reasons = [FinishReason::Cancelled, FinishReason::Stop];
    for reason in reasons {
        let mut seen: [Vec<_>; 3] = Default::default();
        let mut receive = |i: usize, token| {
            seen[i].push(token);
            if i == 1 && seen[1].len() == 2 {
                Flow::Finish(reason)
            } else {
                Flow::Continue
            }
        };
        let clock = ManualClock::new(5);
        let (answers, timing) = generate(model.vlm(), &requests, &clock, &mut receive).unwrap();
        assert_eq!(answers[1].finish, reason);
        assert_eq!(answers[1].tokens, free[1].tokens[..2]);
        assert_eq!(
            (&answers[0], &answers[2]),
            (&free[0], &free[2]),
            "the others go on"
        );
        for (seen, answer) in seen.iter().zip(&answers) {
            assert_eq!(seen, &answer.tokens);
        }
        assert_eq!(timing, Default::default(), "the clock stands still");
    }
}

#[test]
fn nothing_is_asked_nothing_is_answered() {
    assert_eq!(tiny::answers(tiny::model().vlm(), &[]).unwrap(), []);
}

#[test]
fn a_seed_decides_the_draws() {
    let model = tiny::model();
    let draw = |seed| {
        let mut request = tiny::request(3, &[(4, 4)], 5);
        request.sampling = Sampling {
            temperature: 1.0,
            seed,
            ..Sampling::default()
        };
        tiny::answers(model.vlm(), &[request]).unwrap()
    };
    assert_eq!(draw(8), draw(8));
    assert_ne!(draw(8), draw(9));
}
