//! `kiln load`: images from an archive that docker, podman, skopeo, buildx or kiln wrote.

use crate::environment::Globals;
use crate::failure::Failure;
use crate::{session, table};
use clap::Args;
use kiln_engine::archive::{self, ArchiveError, LoadOptions, Taken};
use kiln_oci::archive::{Input, damaged_part};
use kiln_oci::{Platform, Reference};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// Arguments of `kiln load`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The archive, the first part of a split one, or a folder with an OCI layout; `-` for standard input [default: -]
    #[arg(short, long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Only images for this platform
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<String>,
    /// Print nothing
    #[arg(short, long)]
    quiet: bool,
}

/// Loads.
///
/// # Errors
/// When the archive is damaged or hostile, and the store is as before; when it ends too early or the disk is full, and what was
/// taken is not read again next time.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let platform = arguments.platform.as_deref().map(Platform::parse);
    let platform = platform
        .transpose()
        .map_err(|error| Failure::usage(format!("--platform: {error}")))?;
    let input = match &arguments.input {
        Some(path) if path.as_os_str() == "-" => standard_input(),
        Some(path) => Input::File(path),
        None if std::io::stdin().is_terminal() => {
            return Err(Failure::usage("an archive is not read from a terminal")
                .hint("name a file with -i FILE, or use a pipe"));
        }
        None => standard_input(),
    };
    let store = session::store(globals)?;
    let loaded = archive::load(&store, input, &LoadOptions { platform }, |taken| {
        if !arguments.quiet {
            report(taken);
        }
        for name in &taken.unreadable {
            let id = taken.id;
            table::warning(&format!("{name:?} is no image name: {id} goes without it"));
        }
    });
    match (loaded, &arguments.input) {
        (Ok(came), _) => {
            for (layer, name) in came.climbing {
                table::warning(&format!(
                    "the layer {layer} has a file {name:?}: docker takes it, other tools may refuse the image for its `..`"
                ));
            }
            Ok(())
        }
        (Err(error), Some(path)) => Err(blamed(error, path)),
        (Err(error), None) => Err(error.into()),
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
fn blamed(error: ArchiveError, path: &Path) -> Failure {
    match damaged_part(path) {
        Some(part) => ArchiveError::Load(part).into(),
        None => error.into(),
    }
}

fn report(taken: &Taken) {
    if taken.references.is_empty() {
        table::line(&format!("Loaded image ID: {}", taken.id));
    }
    for reference in &taken.references {
        table::line(&format!("Loaded image: {}", Reference::familiar(reference)));
    }
}
