//! `ocellus models rm`: remove downloaded models.

use ocellus_hub::Reference;

use crate::commands::batch::each;
use crate::context::Context;
use crate::error::Failure;
use crate::output::size;
use crate::progress::note;

/// Removes from the cache only, never a folder of the user's.
pub fn run(context: &Context, models: &[String]) -> Result<(), Failure> {
    let hub = context.hub()?;
    each(models, |name| match Reference::parse(name)? {
        Reference::Repository { id, revision } => {
            let freed_bytes = hub.remove(&id, revision.as_ref())?;
            note(
                context.global.quiet,
                &format!("removed {name}, {} freed", size(freed_bytes)),
            );
            Ok(())
        }
        Reference::RepositoryFile { id, .. } => Err(Failure::new(format!(
            "{name} is one file of a repository, which is removed as a whole"
        ))
        .hint(format!("`ocellus models rm {id}`"))),
        Reference::BuiltIn => Err(Failure::new(format!("{name} is built in and cannot be removed"))
            .hint("`ocellus models list` shows what was downloaded")),
        Reference::Folder(path) | Reference::Gguf(path) => Err(Failure::new(format!(
            "{}: is not in the cache, so it is not removed",
            path.display()
        ))
        .hint("remove your own files yourself")),
    })
}
