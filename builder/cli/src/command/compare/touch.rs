//! The rebuild after a file of the context changed. The change is made in a copy of the context, so that the user's files stay as they
//! are whatever happens. Unaware of what the build does with the file.

use crate::building::{Builder, Order};
use crate::failure::{Failure, Kind};
use crate::flag::context::context_folder;
use crate::render::Progress;
use kiln_engine::{ContextSource, MainSource};
use kiln_oci::Digest;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// A rebuild.
#[derive(Debug)]
pub struct Touched {
    /// How long it took.
    pub took: Duration,
    /// Manifest of the image of before.
    pub before: Digest,
    /// Manifest of the image of after.
    pub after: Digest,
}

/// Builds, changes `file` of the context by one more line, and builds again.
///
/// # Errors
/// The context is no folder or has no such file; the builds fail.
pub fn measure(
    builder: &Builder,
    order: &Order,
    context: &Path,
    file: &Path,
) -> Result<Touched, Failure> {
    let context = context_folder(context)?;
    let inside = below(&context, file)?;
    let copy = copy_of(&context).map_err(failed)?;
    let folder = ContextSource::Directory(copy.path().to_owned());
    let order = order.changed(|request| request.sources.context = MainSource::Named(folder));
    let before = builder.build(&order, Progress::Quiet)?.built.manifest;
    append(&copy.path().join(inside)).map_err(failed)?;
    let made = builder.build(&order, Progress::Quiet)?;
    Ok(Touched {
        took: made.took,
        before,
        after: made.built.manifest,
    })
}

fn failed(error: io::Error) -> Failure {
    let what = format!("the context cannot be copied for --touch: {error}");
    Failure::new(Kind::Environment, what)
}

fn append(file: &Path) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().append(true).open(file)?;
    file.write_all(b"\n")
}

fn copy_of(context: &Path) -> io::Result<TempDir> {
    let copy = tempfile::Builder::new().prefix("kiln-touch").tempdir()?;
    copied(context, copy.path())?;
    Ok(copy)
}

/// Where a regular file is below the context; named from there or from the current folder.
fn below(context: &Path, file: &Path) -> Result<PathBuf, Failure> {
    let candidates = [context.join(file), file.to_owned()];
    let inside = candidates.iter().find_map(|path| {
        let path = path.canonicalize().ok().filter(|path| path.is_file())?;
        path.strip_prefix(context).ok().map(Path::to_owned)
    });
    inside.ok_or_else(|| {
        let (file, context) = (file.display(), context.display());
        Failure::usage(format!("--touch {file}: {context} has no such file"))
    })
}

/// Copies folders, files with their modes, and links; what is neither is left out.
fn copied(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, to) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            fs::create_dir(&to)?;
            copied(&entry.path(), &to)?;
            fs::set_permissions(&to, entry.metadata()?.permissions())?;
        } else if kind.is_symlink() {
            symlink(fs::read_link(entry.path())?, &to)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), &to)?;
        }
    }
    Ok(())
}
