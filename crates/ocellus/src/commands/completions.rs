//! `ocellus completions`: a script that teaches a shell our commands; and their manual pages.

use crate::args::{Completions, Man};
use crate::error::Failure;
use crate::{destination, options, output};

/// Prints the script.
pub fn run(args: Completions) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut options::command(), "ocellus", &mut script);
    output::write(&String::from_utf8_lossy(&script))
}

/// Writes a manual page for the program and for each of its commands.
pub fn manual(args: &Man) -> Result<(), Failure> {
    let folder = &args.output;
    std::fs::create_dir_all(folder).map_err(|e| Failure::io("make the folder", folder, &e))?;
    let mut all = Vec::new();
    pages(options::command(), "ocellus".to_owned(), &mut all)?;
    let mut all = all.iter();
    all.try_for_each(|(name, page)| destination::file(&folder.join(format!("{name}.1")), page))
}

/// Adds the page of a command and those of its subcommands, each with the name by which `man` finds it.
fn pages(command: clap::Command, name: String, all: &mut Vec<(String, Vec<u8>)>) -> Result<(), Failure> {
    let visible = command.get_subcommands().filter(|inner| !inner.is_hide_set());
    let inner: Vec<clap::Command> = visible
        .filter(|inner| inner.get_name() != "help")
        .cloned()
        .collect();
    let mut page = Vec::new();
    clap_mangen::Man::new(command.display_name(name.clone()))
        .title(name.clone())
        .render(&mut page)
        .map_err(Failure::new)?;
    all.push((name.clone(), page));
    inner.into_iter().try_for_each(|command| {
        let name = format!("{name}-{}", command.get_name());
        pages(command, name, all)
    })
}
