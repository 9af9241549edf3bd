//! Streams the tokens of two requests at once from one engine, and cancels one of them.

use std::collections::BTreeMap;
use std::error::Error;

use ocellus::engine::{Event, FinishReason, Request};
use ocellus::{Checkpoint, Conversation, GenerationOptions, OpenOptions, PixelBounds, Session};

/// What was said of one request.
#[derive(Debug, Default)]
pub struct Heard {
    pub text: String,
    pub tokens: usize,
    pub finish: Option<FinishReason>,
}

/// Reads two pictures side by side; the second request is cancelled when it has `most` tokens. Returns what was heard of each, and
/// the order in which tokens came.
pub fn stream(
    session: &Session,
    pictures: [&[u8]; 2],
    most: usize,
) -> Result<([Heard; 2], Vec<usize>), Box<dyn Error>> {
    let request = |bytes: &[u8]| -> Result<Request, Box<dyn Error>> {
        let picture = session.picture(bytes, PixelBounds::default())?;
        let talk = Conversation::about_images(1, "");
        Ok(session.request(&talk, &[picture], &GenerationOptions::default())?)
    };
    let mut engine = session.engine()?;
    let mut ids = BTreeMap::new();
    for (index, bytes) in pictures.into_iter().enumerate() {
        let id = engine.submit_with(request(bytes)?, session.attached(&[])?)?;
        ids.insert(id, index);
    }
    let (mut heard, mut order) = (<[Heard; 2]>::default(), Vec::new());
    while !engine.is_idle() {
        for event in engine.step() {
            let index = ids[&event.id()];
            let own = &mut heard[index];
            match event {
                Event::Started { .. } => {}
                Event::Token { id, text, .. } => {
                    own.text.push_str(&text);
                    own.tokens += 1;
                    order.push(index);
                    if index == 1 && own.tokens == most {
                        engine.cancel(id);
                    }
                }
                Event::Finished { reason, text, .. } => {
                    own.text.push_str(&text);
                    own.finish = Some(reason);
                }
                Event::Failed { error, .. } => return Err(error.into()),
            }
        }
    }
    Ok((heard, order))
}

/// Takes two pictures of one line of print each.
pub fn main() -> Result<(), Box<dyn Error>> {
    let paths: Vec<String> = std::env::args().skip(1).collect();
    let [first, second] = &paths[..] else {
        return Err("name two pictures of a line of print".into());
    };
    let session = Session::open(&Checkpoint::built_in(), &OpenOptions::default())?;
    let (heard, order) = stream(&session, [&std::fs::read(first)?, &std::fs::read(second)?], 5)?;
    println!("tokens came in the order {order:?}");
    for heard in heard {
        println!("{:?}: {}", heard.finish, heard.text);
    }
    Ok(())
}
