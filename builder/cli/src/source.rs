//! The image that a command looks at: of the store, of an archive or a folder, of a registry, of docker or podman, of standard input. None
//! is loaded: of what is not in the store, each layer is read once and only its index is kept. Unaware of what is asked about it.
//!
//! A name means, in this order: `-`; a path, where it starts with `/`, `./` or `../`; an image of the store; `docker:NAME` and
//! `podman:NAME`; a path that exists; an image of a registry. `PATH#NAME` is one of several images of an archive.

mod program;
mod registry;

use crate::environment::Globals;
use crate::failure::{Failure, Kind};
use crate::pflag::Takes;
use crate::{catalog, network, session};
use clap::Args;
use kiln_cache::{ImageError, Store, StoredImage};
use kiln_engine::chain_of_causes;
use kiln_engine::event::{Cancel, Events};
use kiln_oci::archive::{Input, damaged_part};
use kiln_oci::{Platform, Reference};
use kiln_report::compressed::Effort;
use kiln_report::image::{self, Image};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// The image that a command is about.
#[derive(Debug, Args)]
pub struct Named {
    /// Image of the store, archive or folder (PATH#NAME for one of several), docker:NAME, podman:NAME, image of a registry, or - for an
    /// archive on standard input
    #[arg(value_name = "IMAGE")]
    pub image: String,
    /// Platform of the image, if it has several
    #[arg(long, value_name = "OS/ARCH", add = Takes::Single)]
    pub platform: Option<Platform>,
}

impl Named {
    /// Finds it.
    ///
    /// # Errors
    /// As [`find`].
    pub fn find(&self, globals: &Globals, effort: Effort) -> Result<Found, Failure> {
        let wanted = Wanted {
            name: &self.image,
            platform: self.platform.as_ref(),
            effort,
        };
        find(globals, wanted)
    }
}

/// What is looked for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// As a person names it.
    pub name: &'a str,
    /// Of several platforms the one that is wanted.
    pub platform: Option<&'a Platform>,
    /// Whether what is not in the store is compressed while it passes by.
    pub effort: Effort,
}

/// An image that was found.
#[derive(Debug)]
pub struct Found {
    /// How it is called.
    pub name: String,
    /// Its layers.
    pub image: Image,
    /// The store, where the image is in it.
    pub store: Option<Store>,
}

/// Finds an image. The base of one in the store is looked for there.
///
/// # Errors
/// There is none, or it cannot be read.
pub fn find(globals: &Globals, wanted: Wanted<'_>) -> Result<Found, Failure> {
    let name = wanted.name;
    if name == "-" {
        return archived(standard_input()?, None, wanted);
    }
    if is_path(name) {
        return of_path(wanted);
    }
    if let Some((store, image)) = in_store(globals, wanted)? {
        return of_store(store, &image, wanted);
    }
    if let Some((program, name)) = program::named(name) {
        return program::saved(program, name, |input| archived(input, None, wanted));
    }
    if split(name).0.exists() {
        return of_path(wanted);
    }
    if globals.offline {
        let message = format!("{name} is neither an image of the store nor a file");
        return Err(Failure::new(Kind::Build, message)
            .hint("registries are not asked, because of --offline or KILN_OFFLINE"));
    }
    registry::find(globals, wanted)
}

/// Whether it can only be a path.
fn is_path(name: &str) -> bool {
    let starts = ["/", "./", "../"];
    starts.iter().any(|start| name.starts_with(start))
}

/// The image of the store that is meant, if there is a store and it has one.
fn in_store(
    globals: &Globals,
    wanted: Wanted<'_>,
) -> Result<Option<(Store, StoredImage)>, Failure> {
    if !globals.store()?.join("version").exists() {
        return Ok(None);
    }
    let remote = network::remote(globals, &Events::ignored(), &Cancel::default())?;
    let store = remote.with_store(&session::reading(globals)?);
    match store.images().find_named(wanted.name) {
        Err(ImageError::NotFound { .. } | ImageError::BadName { .. }) => Ok(None),
        _ => {
            let image = catalog::find_for(&store, wanted.name, wanted.platform)?;
            Ok(Some((store, image)))
        }
    }
}

/// Layers that the store knows only by their description are fetched.
fn of_store(store: Store, found: &StoredImage, wanted: Wanted<'_>) -> Result<Found, Failure> {
    store.fetch().layers(&found.diff_ids)?;
    let mut image = image::stored(&store, found)?;
    image.base = image::base(&store, &found.diff_ids)?;
    Ok(Found {
        name: wanted.name.to_owned(),
        image,
        store: Some(store),
    })
}

/// The path and the name of an image in it.
fn split(name: &str) -> (PathBuf, Option<&str>) {
    match name.rsplit_once('#') {
        Some((path, image)) if !Path::new(name).exists() => (path.into(), Some(image)),
        _ => (name.into(), None),
    }
}

fn of_path(wanted: Wanted<'_>) -> Result<Found, Failure> {
    let (path, image) = split(wanted.name);
    let reference = image.map(|name| {
        let parsed = Reference::parse(name);
        parsed.map_err(|error| Failure::usage(format!("{name}: {error}")))
    });
    let reference = reference.transpose()?.map(Reference::with_default_tag);
    let found = archived(Input::File(&path), reference.as_ref(), wanted);
    found.map_err(|failure| match damaged_part(&path) {
        Some(part) => Failure::new(Kind::Build, chain_of_causes(&part)),
        None => failure,
    })
}

fn archived(
    input: Input<'_>,
    name: Option<&Reference>,
    wanted: Wanted<'_>,
) -> Result<Found, Failure> {
    let platform = wanted.platform.cloned().unwrap_or_else(Platform::host);
    let read = image::read_archive(input, name, &platform, wanted.effort).map_err(|error| {
        let hint = matches!(error, image::ImageError::Several(_));
        let failure = Failure::from(error);
        let example = format!("name one of them: {}#NAME", wanted.name);
        failure.hints(hint.then_some(example))
    })?;
    let own_name = read.references.first().map(Reference::familiar);
    Ok(Found {
        name: own_name.unwrap_or_else(|| wanted.name.to_owned()),
        image: read.image,
        store: None,
    })
}

/// A file that stands for standard input can be read at any place, which a pipe cannot.
fn standard_input() -> Result<Input<'static>, Failure> {
    let path = Path::new("/proc/self/fd/0");
    if std::io::stdin().is_terminal() {
        let message = "refusing to read an archive from a terminal";
        return Err(Failure::usage(message).hint("use a pipe, or name a file"));
    }
    let is_whole_file = std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file())
        && rustix::fs::tell(std::io::stdin()).is_ok_and(|position| position == 0);
    Ok(match is_whole_file {
        true => Input::File(path),
        false => Input::Stream(Box::new(std::io::stdin())),
    })
}
