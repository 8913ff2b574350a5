//! `docker buildx rm`: forgets a name that `create` remembered.

use super::{DEFAULT, file, known, named};
use crate::environment::Globals;
use crate::failure::{Failure, Kind};
use crate::pflag::Takes;
use crate::render;
use clap::Args;
use std::fs;

/// Arguments of `buildx rm`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Forget all
    #[arg(long, add = Takes::Switch)]
    all_inactive: bool,
    /// No effect
    #[arg(long, short, add = Takes::Switch)]
    force: bool,
    /// No effect: the store is kept in any case
    #[arg(long, add = Takes::Switch)]
    keep_state: bool,
    /// No effect
    #[arg(long, add = Takes::Switch)]
    keep_daemon: bool,
    /// Builders
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

/// Forgets.
///
/// # Errors
/// There is no such builder, or its file cannot be removed.
pub fn run(arguments: Arguments, _globals: &Globals) -> Result<(), Failure> {
    let names = match arguments.all_inactive {
        true => known(),
        false => arguments.names,
    };
    for name in names {
        let file = file(&named(Some(&name))?)?;
        match fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                let message = format!("cannot remove {}: {error}", file.display());
                return Err(Failure::new(Kind::Environment, message));
            }
            _ if name == DEFAULT => {}
            _ => render::note(&format!("{name} removed")),
        }
        // where it was the last one
        let _ = file.parent().map(fs::remove_dir);
    }
    Ok(())
}
