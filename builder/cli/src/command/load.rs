//! `kiln load`: images from an archive that docker, podman, skopeo, buildx or kiln wrote.

use crate::environment::Globals;
use crate::failure::Failure;
use crate::{session, table};
use clap::Args;
use kiln_engine::archive::{self, Taken};
use kiln_oci::Reference;
use kiln_oci::archive::Input;
use std::io::IsTerminal;
use std::path::PathBuf;

/// Arguments of `kiln load`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The archive [default: standard input]
    #[arg(short, long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Print nothing
    #[arg(short, long)]
    quiet: bool,
}

/// Loads.
///
/// # Errors
/// When the archive is damaged or hostile; the store is as before, but for whole images before the damage.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let store = session::store(globals)?;
    let input = match &arguments.input {
        Some(path) => Input::File(path),
        None if std::io::stdin().is_terminal() => {
            return Err(Failure::usage("an archive is not read from a terminal")
                .hint("name a file with -i FILE, or use a pipe"));
        }
        None => Input::Stream(Box::new(std::io::stdin())),
    };
    archive::load(&store, input, |taken| {
        if !arguments.quiet {
            report(taken);
        }
    })?;
    Ok(())
}

fn report(taken: &Taken) {
    if taken.references.is_empty() {
        table::line(&format!("Loaded image ID: {}", taken.id));
    }
    for reference in &taken.references {
        table::line(&format!("Loaded image: {}", Reference::familiar(reference)));
    }
}
