//! Content of a chain's files: a slice of a layer's tar, or a file of the host that is opened with care.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{FileType, OFlags, fstat};

use crate::beneath;
use crate::path::{below, display};
use crate::{Chain, EntryKind, Found, Origin, ReadError};

/// Content of a regular file.
#[derive(Debug)]
pub struct FileReader(Source);

#[derive(Debug)]
enum Source {
    Tar { tar: Arc<File>, at: u64, end: u64 },
    Host(File),
}

impl Read for FileReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Source::Host(file) => file.read(buffer),
            Source::Tar { tar, at, end } => {
                let most = usize::try_from(*end - *at)
                    .unwrap_or(usize::MAX)
                    .min(buffer.len());
                let count = tar.read_at(&mut buffer[..most], *at)?;
                *at += count as u64;
                Ok(count)
            }
        }
    }
}

impl Chain {
    /// Opens the content of a regular file. Files of the host are opened without following links and without waiting for a
    /// FIFO; a file that is shorter or longer than its entry says gives what it has.
    ///
    /// # Errors
    /// It is no regular file, or cannot be opened.
    pub fn read(&self, found: &Found<'_>) -> Result<FileReader, ReadError> {
        let entry = found.entry;
        let path = || display(&entry.path);
        let EntryKind::File { size, offset, .. } = entry.kind else {
            return Err(ReadError::NotAFile { path: path() });
        };
        let layer = found.layer.and_then(|at| Some((at, self.layers.get(at)?)));
        let Some((layer, (_, origin))) = layer else {
            return Err(ReadError::NoContent { path: path() });
        };
        let source = match origin {
            Origin::Tar(tar) => {
                let opened = self.handle(layer, || File::open(tar.as_path()));
                Source::Tar {
                    tar: opened.map_err(|source| open_error(tar, source))?,
                    at: offset,
                    end: offset.saturating_add(size),
                }
            }
            Origin::Directory(root) => {
                let opened = self.handle(layer, || beneath::open_root(root).map(File::from));
                let folder = opened.map_err(|source| open_error(root, source))?;
                let opened = beneath::open_file(folder.as_fd(), &entry.path);
                Source::Host(regular(opened, &below(root, &entry.path))?)
            }
            Origin::Files(files) => {
                let host = files.get(&entry.path);
                Source::Host(open_host(
                    host.ok_or_else(|| ReadError::NoContent { path: path() })?,
                )?)
            }
            Origin::Nowhere => return Err(ReadError::NoContent { path: path() }),
        };
        Ok(FileReader(source))
    }

    /// The opened tar or folder of a layer; opened once for all clones of the chain.
    fn handle(
        &self,
        layer: usize,
        open: impl FnOnce() -> io::Result<File>,
    ) -> io::Result<Arc<File>> {
        let Some(slot) = self.handles.get(layer) else {
            return open().map(Arc::new);
        };
        if let Some(file) = slot.get() {
            return Ok(file.clone());
        }
        let file = Arc::new(open()?);
        Ok(slot.get_or_init(|| file).clone())
    }
}

/// Opens a file of the host; its links are followed.
fn open_host(path: &Path) -> Result<File, ReadError> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let opened = rustix::fs::open(path, flags, rustix::fs::Mode::empty());
    regular(opened.map_err(Into::into), path)
}

/// Checks that what was opened is a regular file: a name may have become something else since it was scanned.
fn regular(opened: io::Result<OwnedFd>, path: &Path) -> Result<File, ReadError> {
    let fd = opened.map_err(|source| open_error(path, source))?;
    let stat = fstat(&fd).map_err(|errno| open_error(path, errno.into()))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(ReadError::NotAFile {
            path: path.display().to_string(),
        });
    }
    Ok(File::from(fd))
}

fn open_error(path: &Path, source: io::Error) -> ReadError {
    ReadError::Open {
        path: path.to_owned(),
        source,
    }
}
