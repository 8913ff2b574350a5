//! `kiln pull`: images from registries.

use crate::command::build::flag::retry::Retry;
use crate::command::progress::Shown;
use crate::environment::Globals;
use crate::failure::Failure;
use crate::{table, transfer};
use clap::Args;
use kiln_cache::Store;
use kiln_engine::remote::{Pulled, Remote, RemoteError, pull};
use kiln_oci::{Platform, Reference};

/// Arguments of `kiln pull`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Image names; without a registry, those of docker.io
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
    /// What the image is for, such as linux/arm64 [default: this machine]
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<String>,
    /// Pull all tags of the repositories
    #[arg(short, long)]
    all_tags: bool,
    #[command(flatten)]
    retry: Retry,
    #[command(flatten)]
    shown: Shown,
}

/// Pulls.
///
/// # Errors
/// When an image is not there, or the registry does not give it. What came stays, and is not fetched again.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let platform = match &arguments.platform {
        None => Platform::host(),
        Some(text) => Platform::parse(text).map_err(|error| Failure::usage(error.to_string()))?,
    };
    let references = arguments.images.iter().map(|name| {
        Reference::parse(name).map_err(|error| Failure::usage(format!("{name}: {error}")))
    });
    let references = references.collect::<Result<Vec<_>, _>>()?;
    let progress = arguments.shown.progress();
    let globals = &arguments.retry.globals(globals);
    if arguments.all_tags
        && let Some(named) = references
            .iter()
            .find(|r| r.tag.is_some() || r.digest.is_some())
    {
        let named = named.familiar();
        return Err(Failure::usage(format!(
            "{named}: --all-tags takes a name without a tag"
        )));
    }
    for reference in references {
        let pulled = transfer::shown(globals, progress, |remote, store| {
            let references = match arguments.all_tags {
                true => tags(remote, &reference)?,
                false => vec![reference],
            };
            let pull = |reference| whole(remote, store, reference, &platform);
            references.iter().map(pull).collect::<Result<Vec<_>, _>>()
        })?;
        for pulled in pulled {
            report(&pulled, arguments.shown.quiet);
        }
    }
    Ok(())
}

/// The names of all tags of a repository.
fn tags(remote: &Remote, repository: &Reference) -> Result<Vec<Reference>, RemoteError> {
    let name = repository.name();
    let tags = remote.tags(repository)?.into_iter();
    // a tag is read as any other name: a registry may say what it likes
    let named = tags.map(|tag| Ok(Reference::parse(&format!("{name}:{tag}"))?));
    named.collect()
}

/// The image with all its layers, durable.
fn whole(
    remote: &Remote,
    store: &Store,
    reference: &Reference,
    platform: &Platform,
) -> Result<Pulled, RemoteError> {
    let pulled = pull(remote, store, reference, platform)?;
    let image = store.images().get(&pulled.manifest)?;
    store.fetch().layers(&image.diff_ids)?;
    if pulled.reference.digest.is_none() {
        store.images().tag(&pulled.reference, &pulled.digest)?;
    }
    Ok(pulled)
}

fn report(pulled: &Pulled, quiet: bool) {
    let name = pulled.reference.familiar();
    if !quiet {
        table::line(&format!("Digest: {}", pulled.digest));
        table::line(&if pulled.is_unchanged {
            format!("Status: Image is up to date for {name}")
        } else {
            format!("Status: Downloaded newer image for {name}")
        });
    }
    table::line(&pulled.reference.to_string());
}
