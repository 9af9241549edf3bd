//! Reads a page with the model inside the program.

use std::ops::ControlFlow;

use ocellus::{Checkpoint, OpenOptions, PageOptions, Session};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/page.png");

pub fn text_of(page: &str) -> Result<String, Box<dyn std::error::Error>> {
    let session = Session::open(&Checkpoint::built_in(), &OpenOptions::default())?;
    let page = session.prepare_page(&std::fs::read(page)?, &PageOptions::default())?;
    Ok(session.read_page(&page, &mut |_| ControlFlow::Continue(()))?.text)
}

pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("{}", text_of(PAGE)?);
    Ok(())
}
