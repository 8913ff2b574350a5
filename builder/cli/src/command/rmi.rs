//! `kiln rmi`: removes names; an image goes with its last one. Layers stay until `kiln prune`. Docker's rules and lines.

use crate::environment::Globals;
use crate::failure::{Failure, Kind};
use crate::pflag::Takes;
use crate::{catalog, session, table};
use clap::Args;
use kiln_cache::{ImageError, ImageSummary, Store};
use kiln_oci::{Digest, Reference};
use std::collections::BTreeMap;

/// Arguments of `kiln rmi`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Image names or IDs
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
    /// Remove an image with several names by its ID; ignore images that do not exist
    #[arg(short, long, add = Takes::Switch)]
    force: bool,
    /// Accepted for compatibility with docker: layers always stay in the cache until they are pruned
    #[arg(long, add = Takes::Switch)]
    no_prune: bool,
}

/// Removes what is there; the rest ends it with an error.
///
/// # Errors
/// When an image is not there, or has names that were not given.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let store = session::store(globals)?;
    let mut failures = Vec::new();
    for name in &arguments.images {
        if arguments.force && is_absent(&store, name) {
            continue;
        }
        if let Err(failure) = remove(&store, name, arguments.force) {
            failures.push(failure);
        }
    }
    Failure::all(failures)
}

fn is_absent(store: &Store, name: &str) -> bool {
    matches!(
        store.images().find_named(name),
        Err(ImageError::NotFound { .. })
    )
}

fn remove(store: &Store, name: &str, force: bool) -> Result<(), Failure> {
    let found = catalog::named(store, name)?;
    let names = store.images().names_of(&found)?;
    let named = Reference::parse(name).ok().map(Reference::with_default_tag);
    if let Some(named) = named.filter(|named| names.contains(named)) {
        untag(store, &named)?;
        return match names.len() {
            1 => delete(store, &found),
            _ => Ok(()),
        };
    }
    let same = same_id(store, &found)?;
    let mut all: Vec<&Reference> = same.iter().flat_map(|image| &image.references).collect();
    all.extend(&names);
    all.sort();
    all.dedup();
    if all.len() > 1 && !force {
        let all: Vec<String> = all.into_iter().map(Reference::familiar).collect();
        let message = format!("{name} has several names: {}", all.join(", "));
        return Err(Failure::new(Kind::Build, message)
            .hint("give one of these names, or use --force to remove all"));
    }
    if same.is_empty() {
        // an index
        names.iter().try_for_each(|name| untag(store, name))?;
        return delete(store, &found);
    }
    same.iter().try_for_each(|image| whole(store, image))
}

/// An image may have come with several manifests; its ID means all of them.
fn same_id(store: &Store, manifest: &Digest) -> Result<Vec<ImageSummary>, Failure> {
    let mut images = store.images().list()?;
    let found = images.iter().find(|image| image.manifest == *manifest);
    let id = found.map(|image| image.id);
    images.retain(|image| Some(image.id) == id);
    Ok(images)
}

/// Removes an image with all its names, and says so.
///
/// # Errors
/// When the store fails.
pub fn whole(store: &Store, image: &ImageSummary) -> Result<(), Failure> {
    image
        .references
        .iter()
        .try_for_each(|name| untag(store, name))?;
    // with an index go its images
    let Some((first, others)) = image.indexes.split_first() else {
        return delete(store, &image.manifest);
    };
    for index in others {
        store.images().remove(index)?;
    }
    delete(store, first)
}

fn untag(store: &Store, name: &Reference) -> Result<(), Failure> {
    store.images().untag(name)?;
    table::line(&format!("Untagged: {}", name.familiar()));
    Ok(())
}

/// Removes an image, or an index with those of its images that nothing else has, and says which went.
fn delete(store: &Store, found: &Digest) -> Result<(), Failure> {
    let ids =
        |images: Vec<ImageSummary>| images.into_iter().map(|image| (image.manifest, image.id));
    let before = ids(store.images().list()?);
    store.images().remove(found)?;
    let after: BTreeMap<Digest, Digest> = ids(store.images().list()?).collect();
    for (_, id) in before.filter(|(manifest, _)| !after.contains_key(manifest)) {
        table::line(&format!("Deleted: {id}"));
    }
    Ok(())
}
