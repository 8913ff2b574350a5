//! `kiln pull`: images from registries.

use crate::environment::Globals;
use crate::failure::Failure;
use crate::pflag::Takes;
use crate::render::Shown;
use crate::retry::Retry;
use crate::tidy::tidy;
use crate::{catalog, table, transfer};
use clap::Args;
use kiln_cache::Store;
use kiln_engine::remote::{Pulled, Remote, RemoteError, pull};
use kiln_oci::{Platform, Reference};

/// Arguments of `kiln pull`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Image names; without a registry, they are on docker.io
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
    /// Platform of the image, such as linux/arm64 [default: this machine]
    #[arg(long, value_name = "PLATFORM", add = Takes::Single)]
    platform: Option<String>,
    /// Pull all tags of the repositories
    #[arg(short, long, add = Takes::Switch)]
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
    let ending = transfer::ending(arguments.shown.progress());
    ending.tell(pulled(&arguments, globals))
}

fn pulled(arguments: &Arguments, globals: &Globals) -> Result<(), Failure> {
    let mut globals = globals.clone();
    arguments.retry.change(&mut globals.patience);
    let platform = catalog::platform(arguments.platform.as_deref())?;
    let platform = platform.unwrap_or_else(Platform::host);
    let references = arguments.references()?;
    for reference in references {
        let shows = (arguments.shown.progress(), "pulling");
        let pulled = transfer::shown(&globals, shows, |remote, store| {
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
    tidy(&globals);
    Ok(())
}

impl Arguments {
    fn references(&self) -> Result<Vec<Reference>, Failure> {
        let parse = |name: &String| {
            let wrong = |why: &dyn std::fmt::Display| Failure::usage(format!("{name}: {why}"));
            let reference = Reference::parse(name).map_err(|error| wrong(&error))?;
            if self.all_tags && (reference.tag.is_some() || reference.digest.is_some()) {
                return Err(wrong(&"--all-tags takes a name without a tag"));
            }
            Ok(reference)
        };
        self.images.iter().map(parse).collect()
    }
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
