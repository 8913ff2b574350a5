//! `kiln inspect`: an image as JSON with docker's field names.

use crate::environment::Globals;
use crate::failure::{Failure, Kind};
use crate::{session, table};
use clap::Args;
use kiln_cache::{Store, StoredImage};
use kiln_oci::{ImageConfig, Reference};
use serde_json::{Value, json};

/// Arguments of `kiln inspect`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Image names or IDs
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
}

/// Shows.
///
/// # Errors
/// When an image is not there.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let store = session::store(globals)?;
    let images = arguments
        .images
        .iter()
        .map(|name| describe(&store, &store.find_image(name)?))
        .collect::<Result<Vec<Value>, Failure>>()?;
    table::line(&format!("{:#}", Value::Array(images)));
    Ok(())
}

fn describe(store: &Store, image: &StoredImage) -> Result<Value, Failure> {
    let config = ImageConfig::parse(&image.config)
        .map_err(|error| Failure::new(Kind::Environment, error.to_string()))?;
    let size: u64 = image
        .diff_ids
        .iter()
        .map(|layer| store.layer_index(layer).map_or(0, |index| index.tar_size))
        .sum();
    let digests: Vec<String> = image
        .references
        .iter()
        .map(|name| format!("{}@{}", name.familiar_name(), image.manifest_digest))
        .collect();
    Ok(json!({
        "Id": image.config_digest,
        "RepoTags": image.references.iter().map(Reference::familiar).collect::<Vec<_>>(),
        "RepoDigests": digests,
        "Comment": config.history.last().and_then(|entry| entry.comment.clone()).unwrap_or_default(),
        "Created": config.created,
        "Author": config.author.clone().unwrap_or_default(),
        "Config": config.config,
        "Architecture": config.architecture,
        "Variant": config.variant,
        "Os": config.os,
        "Size": size,
        "RootFS": { "Type": "layers", "Layers": image.diff_ids },
        "Digest": image.manifest_digest,
    }))
}
