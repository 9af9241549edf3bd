//! A model whose weights are cut off while it is loaded: its requests end with an error, and other models go on.
#![cfg(unix)]

use std::fs::OpenOptions as FileOptions;
use std::ops::ControlFlow;

use ocellus::{Checkpoint, Conversation, GenerationOptions, OpenOptions, Session};

use crate::support::{Place, small_model};

fn ask(session: &Session) -> Result<Vec<u32>, String> {
    let options = GenerationOptions {
        max_tokens: Some(3),
        ..GenerationOptions::default()
    };
    let question = Conversation::about_images(0, "a");
    let answer = session.ask(&question, &[], &options, &mut |_| ControlFlow::Continue(()));
    let answer = answer.map_err(|error| error.to_string())?;
    Ok(answer.tokens.iter().map(|token| token.id).collect())
}

#[test]
fn its_requests_end_with_an_error_and_others_go_on() {
    let place = Place::new();
    let sessions = ["cut", "whole"].map(|name| {
        small_model(&place, name);
        let checkpoint = Checkpoint::folder(place.path().join(name));
        Session::open(&checkpoint, &OpenOptions::default()).unwrap()
    });
    let expected = ask(&sessions[1]).unwrap();
    assert_eq!(ask(&sessions[0]).unwrap(), expected);
    let weights = place.path().join("cut/model.safetensors");
    FileOptions::new()
        .write(true)
        .open(&weights)
        .unwrap()
        .set_len(0)
        .unwrap();
    // Rows of the embedding table are read from the file as they are needed.
    let error = ask(&sessions[0]).unwrap_err();
    assert!(
        error.contains("model.safetensors: the file lost its end while it was in use"),
        "{error}"
    );
    assert!(sessions[0].intact().is_err());
    assert_eq!(ask(&sessions[1]).unwrap(), expected);
    sessions[1].intact().unwrap();
}
