//! The file or stream that an exporter writes to. A file appears whole and durable, or not at all. Unaware of what is written.

use super::handover::Handover;
use crate::event::cancel::Cancel;
use crate::failure::ExportError;
use crate::host::temporary::Temporary;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// How much is written at once.
const BUFFER: usize = 1 << 20;

/// Where the bytes go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Destination {
    /// A file; a pipe or device is written as it is.
    File(PathBuf),
    /// The standard output, which the caller has kept free for it.
    Stdout,
}

impl Destination {
    /// What `dest=` says; the standard output where there is none.
    pub(super) fn of(text: Option<String>) -> Self {
        match text {
            Some(path) if path != "-" => Self::File(path.into()),
            _ => Self::Stdout,
        }
    }

    /// Writes what `write` writes. The reader of a pipe may let it wait; `cancel` ends that.
    pub(super) fn write(
        &self,
        cancel: &Cancel,
        write: impl FnOnce(&mut dyn Write) -> Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        match self {
            Self::Stdout => {
                let out = Handover::new(cancel, standard_output);
                stream(out, Path::new("standard output"), write)
            }
            Self::File(path) if path.exists() && !path.is_file() && !path.is_dir() => {
                let opened = path.clone();
                let open = move || File::options().write(true).open(opened);
                stream(Handover::new(cancel, open), path, write)
            }
            Self::File(path) => file(path, write),
        }
    }
}

/// By its descriptor: the standard library's buffer takes some failures for success.
fn standard_output() -> io::Result<File> {
    if kiln_sandbox::stdout_was_closed() {
        return Err(io::Error::other("standard output is closed"));
    }
    Ok(io::stdout().as_fd().try_clone_to_owned()?.into())
}

/// Writes to what may let it wait; messages call it `path`.
pub(super) fn stream(
    out: io::Result<Handover<'_>>,
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<(), ExportError>,
) -> Result<(), ExportError> {
    let out = out.map_err(ExportError::io("start a thread for", path))?;
    let mut out = BufWriter::with_capacity(BUFFER, out);
    write(&mut out)?;
    out.flush().map_err(ExportError::io("write", path))
}

/// Writes a file without a name, then gives it its own: a reader of the name sees all of it, or what was there before.
fn file(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<(), ExportError>,
) -> Result<(), ExportError> {
    let folder = folder_of(path);
    let temporary = Temporary::new(folder).map_err(ExportError::io("make a file for", path))?;
    let mut out = BufWriter::with_capacity(BUFFER, temporary);
    write(&mut out)?;
    let failed = ExportError::io("write", path);
    let persisted = out
        .into_inner()
        .map_err(|error| error.into_error())
        .and_then(|temporary| temporary.persist(path));
    persisted.map_err(failed)?;
    sync(path)
}

/// Makes a name durable.
pub(super) fn sync(path: &Path) -> Result<(), ExportError> {
    let synced = File::open(folder_of(path)).and_then(|folder| folder.sync_all());
    synced.map_err(ExportError::io("sync the folder of", path))
}

/// The folder that a path is in.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}
