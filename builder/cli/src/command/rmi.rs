//! `kiln rmi`: removes names; an image goes with its last one. Layers stay until `kiln prune`.

use crate::environment::Globals;
use crate::failure::{Failure, Kind};
use crate::{session, table};
use clap::Args;
use kiln_cache::Store;
use kiln_oci::Reference;

/// Arguments of `kiln rmi`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Image names or IDs
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
    /// Remove an image that has several names by its ID
    #[arg(short, long)]
    force: bool,
}

/// Removes.
///
/// # Errors
/// When an image is not there.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let store = session::store(globals)?;
    for name in &arguments.images {
        remove(&store, name, arguments.force)?;
    }
    Ok(())
}

fn remove(store: &Store, name: &str, force: bool) -> Result<(), Failure> {
    let image = store.find_image(name)?;
    let reference = Reference::parse(name)
        .ok()
        .map(Reference::with_default_tag)
        .filter(|name| image.references.contains(name));
    let references = match reference {
        Some(reference) => vec![reference],
        None if image.references.len() > 1 && !force => {
            let names: Vec<String> = image.references.iter().map(Reference::familiar).collect();
            return Err(Failure::new(
                Kind::Build,
                format!("{name} has several names: {}", names.join(", ")),
            )
            .hint("name one of them, or use --force to remove all"));
        }
        None => image.references.clone(),
    };
    for reference in &references {
        store.untag(reference)?;
        table::line(&format!("Untagged: {}", reference.familiar()));
    }
    if references.len() == image.references.len() {
        store.remove_image(&image.index.unwrap_or(image.manifest_digest))?;
        table::line(&format!("Deleted: {}", image.config_digest));
    }
    Ok(())
}
