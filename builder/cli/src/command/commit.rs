//! `kiln commit`: an image of a container, with what it has changed.

use crate::environment::Globals;
use crate::failure::Failure;
use crate::pflag::Takes;
use crate::{catalog, containers, session, table};
use clap::Args;
use kiln_engine::event::{Cancel, Events};
use kiln_engine::trial::CommitTo;
use kiln_oci::Reference;

/// Arguments of `kiln commit`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Who made the image
    #[arg(short, long, value_name = "TEXT", add = Takes::Single)]
    author: Option<String>,
    /// Comment in the history of the image
    #[arg(short, long, value_name = "TEXT", add = Takes::Single)]
    message: Option<String>,
    /// Instruction to apply to the image, such as 'CMD ["/bin/sh"]' (may be repeated)
    #[arg(short, long, value_name = "INSTRUCTION", add = Takes::List)]
    change: Vec<String>,
    /// No effect: kiln pauses no containers
    #[arg(short = 'p', long = "pause", hide = true, add = Takes::Switch)]
    _pause: bool,
    /// Name or ID of the container
    #[arg(value_name = "CONTAINER")]
    container: String,
    /// Name of the image
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

/// Makes it, and prints its ID.
///
/// # Errors
/// There is no such container, or the store is full.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let name = arguments.name.as_deref().map(catalog::new_name);
    let name = name.transpose()?.map(Reference::with_default_tag);
    let session = session::open(globals, Events::ignored(), Cancel::default())?;
    let kept = containers::find(&session.store, &arguments.container)?;
    let how = CommitTo {
        author: arguments.author,
        message: arguments.message,
        changes: arguments.change,
    };
    let made = kept.commit(&session, &how);
    let (manifest, id) = made.map_err(containers::of_container)?;
    if let Some(name) = name {
        session.store.images().tag(&name, &manifest)?;
    }
    table::line(&id.to_string());
    Ok(())
}
