//! `kiln import`: an image of one layer from a root file system.

use crate::environment::Globals;
use crate::failure::{Failure, Fault, Kind};
use crate::pflag::Takes;
use crate::tidy::tidy;
use crate::{catalog, network, session, table};
use clap::Args;
use kiln_cache::Store;
use kiln_engine::archive::{self, ImportOptions, ImportSource};
use kiln_engine::event::{Cancel, Events};
use kiln_engine::web::download;
use kiln_engine::{chain_of_causes, seconds};
use kiln_oci::Platform;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Arguments of `kiln import`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// A tar (plain, or compressed with gzip, zstd, xz or bzip2), its http(s) address, a folder, or - for standard input
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
    let is_named = reference.is_some();
    let path = arguments.rootfs.as_path();
    let name = path.file_name().unwrap_or(path.as_os_str());
    let from = || format!("Imported from {}", name.to_string_lossy());
    let platform = catalog::platform(arguments.platform.as_deref())?;
    let store = session::store(globals)?;
    let fetched = fetched(globals, &store, path)?;
    let source = source(path, fetched.as_deref())?;
    let options = ImportOptions {
        reference,
        message: arguments.message.unwrap_or_else(from),
        platform: platform.unwrap_or_else(Platform::host),
        changes: arguments.change,
        now: seconds(SystemTime::now()),
    };
    let taken = archive::import(&store, source, &options)?;
    table::line(&taken.id.to_string());
    if is_named {
        tidy(globals);
    }
    Ok(())
}

/// Where the file of an address is, once it is here; none for what is no address. It goes with this process.
fn fetched(globals: &Globals, store: &Store, path: &Path) -> Result<Option<PathBuf>, Failure> {
    let text = path.to_string_lossy();
    let is_address = ["http://", "https://"]
        .iter()
        .any(|scheme| text.starts_with(scheme));
    if !is_address {
        return Ok(None);
    }
    let remote = network::remote(globals, &Events::ignored(), &Cancel::default())?;
    let into = store.scratch().dir("import")?.join("rootfs");
    download(&remote, &text, &into).map_err(|error| {
        let hint = error.hint();
        let failure = Failure::new(Kind::Build, chain_of_causes(&error));
        failure.hints(hint).for_fault(Fault::among(&error))
    })?;
    Ok(Some(into))
}

fn source<'a>(path: &'a Path, fetched: Option<&Path>) -> Result<ImportSource<'a>, Failure> {
    if path.as_os_str() == "-" {
        return Ok(ImportSource::Tar(Box::new(std::io::stdin()), path));
    }
    if path.is_dir() {
        return Ok(ImportSource::Folder(path));
    }
    let file = File::open(fetched.unwrap_or(path))
        .map_err(|error| Failure::new(Kind::Usage, format!("{}: {error}", path.display())))?;
    Ok(ImportSource::Tar(Box::new(file), path))
}
