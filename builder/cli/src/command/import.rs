//! `kiln import`: an image of one layer from a root file system.

use crate::environment::Globals;
use crate::failure::{Failure, Kind};
use crate::pflag::Takes;
use crate::{catalog, session, table};
use clap::Args;
use kiln_engine::archive::{self, ImportOptions, ImportSource};
use kiln_engine::seconds;
use kiln_oci::Platform;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Arguments of `kiln import`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// A tar (plain, or compressed with gzip, zstd, xz or bzip2), a folder, or - for standard input
    #[arg(value_name = "ROOTFS")]
    rootfs: PathBuf,
    /// Name of the image
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Comment in the history of the image
    #[arg(short, long, value_name = "TEXT", add = Takes::Single)]
    message: Option<String>,
    /// Instruction to apply to the image, such as 'CMD ["/bin/sh"]' (may be repeated)
    #[arg(short, long, value_name = "INSTRUCTION", add = Takes::List)]
    change: Vec<String>,
    /// Platform of the image [default: this machine's]
    #[arg(long, value_name = "OS/ARCH", add = Takes::Single)]
    platform: Option<String>,
}

/// Imports.
///
/// # Errors
/// When the root file system cannot be read.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let reference = arguments.name.as_deref().map(catalog::new_name);
    let reference = reference.transpose()?;
    let path = arguments.rootfs.as_path();
    let name = path.file_name().unwrap_or(path.as_os_str());
    let from = || format!("Imported from {}", name.to_string_lossy());
    let platform = catalog::platform(arguments.platform.as_deref())?;
    let source = source(path)?;
    let options = ImportOptions {
        reference,
        message: arguments.message.unwrap_or_else(from),
        platform: platform.unwrap_or_else(Platform::host),
        changes: arguments.change,
        now: seconds(SystemTime::now()),
    };
    let store = session::store(globals)?;
    let taken = archive::import(&store, source, &options)?;
    table::line(&taken.id.to_string());
    Ok(())
}

fn source(path: &Path) -> Result<ImportSource<'_>, Failure> {
    if path.as_os_str() == "-" {
        return Ok(ImportSource::Tar(Box::new(std::io::stdin()), path));
    }
    if path.is_dir() {
        return Ok(ImportSource::Folder(path));
    }
    let file = File::open(path)
        .map_err(|error| Failure::new(Kind::Usage, format!("{}: {error}", path.display())))?;
    Ok(ImportSource::Tar(Box::new(file), path))
}
