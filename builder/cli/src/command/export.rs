//! `kiln export`: the file system of an image as one tar, merged from its layers without mounting anything.

use crate::environment::Globals;
use crate::failure::{Failure, Kind};
use crate::pflag::Takes;
use crate::{catalog, output, session, stdout};
use clap::Args;
use kiln_engine::archive::{FlattenError, write_tar};
use kiln_engine::chain_of_causes;
use kiln_oci::Platform;
use std::io::Write;
use std::path::PathBuf;

/// Arguments of `kiln export`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Image name or ID
    #[arg(value_name = "IMAGE")]
    image: String,
    /// File to write [default: standard output, if it is not a terminal]
    #[arg(short, long, value_name = "FILE", add = Takes::Single)]
    output: Option<PathBuf>,
    /// Platform of the image, if it has several
    #[arg(long, value_name = "OS/ARCH", add = Takes::Single)]
    platform: Option<Platform>,
}

/// Exports.
///
/// # Errors
/// When the image is not there or the file cannot be written; no half-written file stays.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let store = session::reading_all(globals)?;
    let image = catalog::find_for(&store, &arguments.image, arguments.platform.as_ref())?;
    let chain = store.layers().chain(&image.diff_ids)?;
    let write = |out: &mut dyn Write| write_tar(&chain, out).map_err(failure);
    let path = arguments
        .output
        .as_ref()
        .filter(|path| path.as_os_str() != "-");
    if let Some(path) = path {
        return output::file(path, write);
    }
    if arguments.output.is_none() && stdout::is_terminal() {
        return Err(Failure::usage("refusing to write a tar to a terminal")
            .hint("name a file with -o FILE, or use a pipe"));
    }
    stdout::stream(write)
}

fn failure(error: FlattenError) -> Failure {
    Failure::new(Kind::Environment, chain_of_causes(&error))
}
