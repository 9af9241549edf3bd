//! `ocellus models pull`: download models, or bring them up to date.

use ocellus_hub::{Location, Reference};

use crate::commands::batch::each;
use crate::context::Context;
use crate::error::Failure;
use crate::output;
use crate::progress::note;

/// Prints the folder of each model.
pub fn run(context: &Context, models: &[String]) -> Result<(), Failure> {
    let hub = context.hub()?;
    each(models, |name| {
        let reference = Reference::parse(name)?;
        if let Reference::Folder(path) | Reference::Gguf(path) = &reference {
            return Err(
                Failure::new(format!("{}: is on this machine, not on a hub", path.display()))
                    .hint("name a model of a hub: org/name or org/name@revision"),
            );
        }
        match hub.pull(&reference, &context.downloads())?.location {
            Location::Folder(folder) => output::line(&folder.display().to_string()),
            Location::Gguf(files) => output::line(&files.language[0].display().to_string()),
            Location::BuiltIn => {
                note(
                    context.global.quiet,
                    &format!("{name} is built in; there is nothing to download"),
                );
                Ok(())
            }
        }
    })
}
