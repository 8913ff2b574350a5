//! `kiln load`: images from an archive that docker, podman, skopeo, buildx or kiln wrote.

use crate::environment::Globals;
use crate::failure::Failure;
use crate::pflag::Takes;
use crate::render::{self, Shown};
use crate::tidy::tidy;
use crate::{catalog, session, table, transfer};
use clap::Args;
use kiln_engine::archive::{self, ArchiveError, LoadOptions, Taken};
use kiln_oci::Reference;
use kiln_oci::archive::{Input, damaged_part};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// Arguments of `kiln load`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Archive, first part of a split archive, or folder with an OCI layout; `-` for standard input [default: -]
    #[arg(short, long, value_name = "FILE", add = Takes::Single)]
    input: Option<PathBuf>,
    /// Load only images for this platform
    #[arg(long, value_name = "OS/ARCH", add = Takes::Single)]
    platform: Option<String>,
    #[command(flatten)]
    shown: Shown,
}

/// Loads.
///
/// # Errors
/// When the archive is damaged or hostile, and the store is as before; when it ends too early or the disk is full, and what was
/// taken is not read again next time.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let ending = transfer::ending(arguments.shown.progress());
    ending.tell(loaded(&arguments, globals))
}

fn loaded(arguments: &Arguments, globals: &Globals) -> Result<(), Failure> {
    let platform = catalog::platform(arguments.platform.as_deref())?;
    let path = arguments.input.as_deref();
    let (input, shows) = (input(path)?, (arguments.shown.progress(), "loading"));
    let mut taken = Vec::new();
    let loaded = transfer::worked(globals, shows, session::connected, |store| {
        let each = |image: &Taken| taken.push(image.clone());
        let loaded = archive::load(store, input, &LoadOptions { platform }, each);
        loaded.map_err(|error| blamed(error, path))
    });
    for image in &taken {
        report(image, arguments.shown.quiet);
    }
    let came = loaded?;
    for (layer, name) in came.climbing {
        render::warning(&format!(
            "the layer {layer} has a file {name:?}: docker accepts it, but other tools may refuse the image because of `..`"
        ));
    }
    if taken.iter().all(|image| !image.references.is_empty()) {
        tidy(globals);
    }
    Ok(())
}

fn input(path: Option<&Path>) -> Result<Input<'_>, Failure> {
    match path {
        Some(path) if path.as_os_str() != "-" => Ok(Input::File(path)),
        None if std::io::stdin().is_terminal() => Err(Failure::usage(
            "refusing to read an archive from a terminal",
        )
        .hint("name a file with -i FILE, or use a pipe")),
        _ => Ok(standard_input()),
    }
}

/// A file that stands for standard input can be read at any place, which a pipe cannot.
fn standard_input() -> Input<'static> {
    let path = Path::new("/proc/self/fd/0");
    let is_whole_file = std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file())
        && rustix::fs::tell(std::io::stdin()).is_ok_and(|position| position == 0);
    if is_whole_file {
        Input::File(path)
    } else {
        Input::Stream(Box::new(std::io::stdin()))
    }
}

/// A part that is missing or damaged explains what is wrong inside.
fn blamed(error: ArchiveError, path: Option<&Path>) -> Failure {
    match path.and_then(damaged_part) {
        Some(part) => ArchiveError::Load(part).into(),
        None => error.into(),
    }
}

fn report(taken: &Taken, quiet: bool) {
    let id = taken.id;
    let mut lines: Vec<String> = taken.references.iter().map(Reference::familiar).collect();
    lines
        .iter_mut()
        .for_each(|name| name.insert_str(0, "Loaded image: "));
    if lines.is_empty() {
        lines.push(format!("Loaded image ID: {id}"));
    }
    for line in lines.iter().filter(|_| !quiet) {
        table::line(line);
    }
    for name in &taken.unreadable {
        render::warning(&format!(
            "{name:?} is not a valid image name: {id} is loaded without it"
        ));
    }
}
