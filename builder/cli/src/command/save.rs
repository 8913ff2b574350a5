//! `kiln save`: images as an archive that docker, podman, skopeo and containerd read.

use crate::environment::Globals;
use crate::failure::{Failure, Kind};
use crate::session;
use clap::{Args, ValueEnum};
use kiln_engine::archive;
use kiln_oci::archive::Format;
use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FormatArgument {
    /// OCI layout and docker's manifest.json in one: every tool reads it
    Hybrid,
    /// OCI layout alone
    OciArchive,
    /// docker's own layout
    DockerArchive,
}

/// Arguments of `kiln save`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Image names or IDs
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
    /// File to write [default: standard output, if it is no terminal]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Layout of the archive
    #[arg(long, value_enum, default_value = "hybrid")]
    format: FormatArgument,
}

/// Saves.
///
/// # Errors
/// When an image is not there or the file cannot be written; no half-written file stays.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let store = session::store(globals)?;
    let format = match arguments.format {
        FormatArgument::Hybrid => Format::Hybrid,
        FormatArgument::OciArchive => Format::OciArchive,
        FormatArgument::DockerArchive => Format::DockerArchive,
    };
    let Some(path) = &arguments.output else {
        if std::io::stdout().is_terminal() {
            return Err(Failure::usage("an archive is not written to a terminal")
                .hint("name a file with -o FILE, or use a pipe"));
        }
        let mut out = BufWriter::with_capacity(1 << 20, std::io::stdout().lock());
        archive::save(&store, &arguments.images, &mut out, format)?;
        return out
            .flush()
            .map_err(|error| Failure::new(Kind::Environment, format!("standard output: {error}")));
    };
    to_file(path, |out| {
        Ok(archive::save(&store, &arguments.images, out, format)?)
    })
}

/// Writes beside the target and renames: whoever reads the name sees the whole archive or the one before. It is on the disk
/// before the name is.
fn to_file(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(Kind::Environment, format!("{}: {error}", path.display()))
    };
    if path.exists() && !path.is_file() {
        // A FIFO or device: there is nothing to rename.
        let mut out = BufWriter::with_capacity(
            1 << 20,
            File::options().write(true).open(path).map_err(failed)?,
        );
        write(&mut out)?;
        return out.flush().map_err(failed);
    }
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let temporary = tempfile::Builder::new()
        .prefix(".kiln-save")
        .tempfile_in(folder)
        .map_err(failed)?;
    let mut out = BufWriter::with_capacity(1 << 20, temporary);
    write(&mut out)?;
    let temporary = out
        .into_inner()
        .map_err(|error| failed(error.into_error()))?;
    temporary.as_file().sync_all().map_err(failed)?;
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o666 & !umask());
    temporary
        .as_file()
        .set_permissions(permissions)
        .map_err(failed)?;
    temporary
        .persist(path)
        .map_err(|error| failed(error.error))?;
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed)
}

/// What the user wants files to look like; a temporary file is private at first.
fn umask() -> u32 {
    let mask = rustix::process::umask(rustix::fs::Mode::from_bits_truncate(0o022));
    rustix::process::umask(mask);
    mask.bits()
}
