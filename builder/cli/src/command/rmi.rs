//! `kiln rmi`: removes names; an image goes with its last one. Layers stay until `kiln prune`. Docker's rules and lines.

use crate::environment::Globals;
use crate::failure::{Failure, Kind};
use crate::pflag::Takes;
use crate::{catalog, session, table};
use clap::Args;
use kiln_cache::{ImageError, ImageSummary, Store};
use kiln_oci::{Digest, Reference};
use std::collections::{BTreeMap, BTreeSet};

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
    let store = session::removing(globals)?;
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
        untag(store, std::slice::from_ref(&named))?;
        return match names.len() {
            1 => delete(store, &[found]),
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
        untag(store, &names)?;
        return delete(store, &[found]);
    }
    whole(store, &same)
}

/// An image may have come with several manifests; its ID means all of them.
fn same_id(store: &Store, manifest: &Digest) -> Result<Vec<ImageSummary>, Failure> {
    let mut images = store.images().list()?;
    let found = images.iter().find(|image| image.manifest == *manifest);
    let id = found.map(|image| image.id);
    images.retain(|image| Some(image.id) == id);
    Ok(images)
}

/// Removes images with all their names, and says so. With an index go its images.
///
/// # Errors
/// When the store fails.
pub fn whole(store: &Store, images: &[ImageSummary]) -> Result<(), Failure> {
    let names = images.iter().flat_map(|image| &image.references);
    let names: BTreeSet<&Reference> = names.collect();
    untag(store, names)?;
    delete(store, &whole_named(images))
}

/// What goes with these images: themselves, or the indexes that list them.
pub fn whole_named(images: &[ImageSummary]) -> Vec<Digest> {
    let mut doomed = BTreeSet::new();
    for image in images {
        match &image.indexes[..] {
            [] => doomed.extend([image.manifest]),
            indexes => doomed.extend(indexes),
        }
    }
    doomed.into_iter().collect()
}

fn untag<'a>(
    store: &Store,
    names: impl IntoIterator<Item = &'a Reference> + Clone,
) -> Result<(), Failure> {
    store.images().untag_all(names.clone())?;
    for name in names {
        table::line(&format!("Untagged: {}", name.familiar()));
    }
    Ok(())
}

/// Removes images, or indexes with those of their images that nothing else has, and says which images went.
fn delete(store: &Store, named: &[Digest]) -> Result<(), Failure> {
    let images = store.images().list()?.into_iter();
    let ids: BTreeMap<Digest, Digest> = images.map(|image| (image.manifest, image.id)).collect();
    let gone = store.images().remove_all(named)?;
    for id in gone.iter().filter_map(|manifest| ids.get(manifest)) {
        table::line(&format!("Deleted: {id}"));
    }
    Ok(())
}
