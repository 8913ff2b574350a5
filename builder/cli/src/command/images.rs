//! `kiln images`: what is in the store, with docker's columns.

use crate::environment::Globals;
use crate::failure::Failure;
use crate::{session, table, units};
use clap::Args;
use kiln_cache::ImageSummary;
use kiln_engine::session::seconds;
use kiln_oci::Reference;
use std::time::SystemTime;

/// Arguments of `kiln images`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Only images of this repository, or this repository:tag
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Only image IDs
    #[arg(short, long)]
    quiet: bool,
    /// Manifest digests too
    #[arg(long)]
    digests: bool,
    /// Whole IDs
    #[arg(long)]
    no_trunc: bool,
}

/// Lists.
///
/// # Errors
/// When the store cannot be read.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let wanted = arguments
        .name
        .as_deref()
        .map(Reference::parse)
        .transpose()
        .map_err(|error| Failure::usage(error.to_string()))?;
    let now = seconds(SystemTime::now());
    let mut rows = Vec::new();
    for image in session::store(globals)?.images()? {
        let names: Vec<Option<&Reference>> = match (&wanted, image.references.is_empty()) {
            (None, true) => vec![None],
            (None, false) => image.references.iter().map(Some).collect(),
            (Some(wanted), _) => image
                .references
                .iter()
                .filter(|name| fits(name, wanted))
                .map(Some)
                .collect(),
        };
        rows.extend(
            names
                .into_iter()
                .map(|name| row(&arguments, &image, name, now)),
        );
    }
    if arguments.quiet {
        rows.dedup();
        rows.iter().for_each(|row| table::line(&row[0]));
        return Ok(());
    }
    let header: &[&str] = if arguments.digests {
        &["REPOSITORY", "TAG", "DIGEST", "IMAGE ID", "CREATED", "SIZE"]
    } else {
        &["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"]
    };
    table::print(header, &rows);
    Ok(())
}

fn fits(name: &Reference, wanted: &Reference) -> bool {
    name.name() == wanted.name() && (wanted.tag.is_none() || wanted.tag == name.tag)
}

fn row(
    arguments: &Arguments,
    image: &ImageSummary,
    name: Option<&Reference>,
    now: i64,
) -> Vec<String> {
    let id = if arguments.no_trunc {
        image.id.to_string()
    } else {
        image.id.short()
    };
    if arguments.quiet {
        return vec![id];
    }
    let none = || "<none>".to_owned();
    let mut row = vec![
        name.map_or_else(none, Reference::familiar_name),
        name.and_then(|name| name.tag.clone()).unwrap_or_else(none),
    ];
    if arguments.digests {
        row.push(image.manifest.to_string());
    }
    row.extend([id, units::ago(now - image.stored), units::bytes(image.size)]);
    row
}
