//! Content of a chain's files: a slice of a layer's tar, whose bytes are checked as they are read, or a file of the host that is opened
//! with care.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{FileType, OFlags, fstat};

use crate::beneath;
use crate::path::{below, display};
use crate::sparse::{self, SparseReader};
use crate::{Chain, ContentDigest, ContentHasher, EntryKind, Found, LayerTar, Origin, ReadError};

/// How much is copied at once; holes are at least as long as a quarter of it.
const PIECE: u64 = 256 << 10;

/// Content of a regular file.
#[derive(Debug)]
pub struct FileReader {
    source: Source,
    /// What the bytes should be; none when that was seen, or is not asked for.
    check: Option<Check>,
}

#[derive(Debug)]
enum Source {
    Tar { tar: Arc<File>, at: u64, end: u64 },
    Host(SparseReader),
}

/// The bytes of a file of a layer's tar so far, and what they should be in the end.
#[derive(Debug)]
struct Check {
    hasher: ContentHasher,
    expected: ContentDigest,
    tar: Arc<LayerTar>,
    path: Box<[u8]>,
}

impl Read for FileReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (tar, at, end) = match &mut self.source {
            Source::Host(file) => return file.read(buffer),
            Source::Tar { tar, at, end } => (tar, at, end),
        };
        let most = usize::try_from(*end - *at)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        // who reads to the end asks once more
        let count = match most {
            0 => 0,
            _ => tar.read_at(&mut buffer[..most], *at)?,
        };
        *at += count as u64;
        let is_end = *at == *end || (count == 0 && most > 0);
        if let Some(check) = &mut self.check {
            check.hasher.update(&buffer[..count]);
        }
        match self.check.take_if(|_| is_end) {
            Some(check) if check.hasher.finish() != check.expected => {
                Err(check.tar.damage(&check.path))
            }
            _ => Ok(count),
        }
    }
}

impl FileReader {
    /// Copies up to `most` bytes to a file that is empty: what is all zeros becomes holes. How many there were.
    ///
    /// # Errors
    /// One of them cannot be read or written, or the bytes are damaged.
    pub fn copy_to(&mut self, file: &File, most: u64) -> io::Result<u64> {
        let room = usize::try_from(PIECE.min(most)).unwrap_or_default();
        let mut piece = Vec::with_capacity(room);
        let mut done = 0;
        while done < most {
            piece.clear();
            let count = self
                .by_ref()
                .take(PIECE.min(most - done))
                .read_to_end(&mut piece)?;
            if count == 0 {
                break;
            }
            sparse::write_at(file, &piece, done)?;
            done += count as u64;
        }
        sparse::finish(file, done)?;
        Ok(done)
    }
}

impl Chain {
    /// Opens the content of a regular file. Files of the host are opened without following links and without waiting for a
    /// FIFO; a file that is shorter or longer than its entry says gives what it has. The read that reaches the end of a file in a layer's
    /// tar fails when its bytes are not those that the layer's index says; a damaged blob is dropped ([`DamagedBlob`](crate::DamagedBlob)).
    ///
    /// # Errors
    /// It is no regular file, or cannot be opened.
    pub fn read(&self, found: &Found<'_>) -> Result<FileReader, ReadError> {
        let mut reader = self.read_unchecked(found)?;
        if let (Some(tar), EntryKind::File { content, .. }) = (self.tar(found), &found.entry.kind) {
            reader.check = Some(Check {
                hasher: ContentHasher::new(),
                expected: *content,
                tar: tar.clone(),
                path: found.entry.path.clone(),
            });
        }
        Ok(reader)
    }

    /// The tar in which the content of a file is.
    pub(crate) fn tar(&self, found: &Found<'_>) -> Option<&Arc<LayerTar>> {
        match self.layers.get(found.layer?)? {
            (_, Origin::Tar(tar)) => Some(tar),
            _ => None,
        }
    }

    /// The same tar, opened.
    pub(crate) fn opened_tar(&self, found: &Found<'_>) -> Option<Arc<File>> {
        let tar = self.tar(found)?;
        self.handle(found.layer?, || File::open(tar.path())).ok()
    }

    /// The same for who compares the content with its entry.
    pub(crate) fn read_unchecked(&self, found: &Found<'_>) -> Result<FileReader, ReadError> {
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
                let opened = self.handle(layer, || File::open(tar.path()));
                Source::Tar {
                    tar: opened.map_err(|source| open_error(tar.path(), source))?,
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
        let check = None;
        Ok(FileReader { source, check })
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
fn open_host(path: &Path) -> Result<SparseReader, ReadError> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let opened = rustix::fs::open(path, flags, rustix::fs::Mode::empty());
    regular(opened.map_err(Into::into), path)
}

/// Checks that what was opened is a regular file: a name may have become something else since it was scanned.
fn regular(opened: io::Result<OwnedFd>, path: &Path) -> Result<SparseReader, ReadError> {
    let fd = opened.map_err(|source| open_error(path, source))?;
    let stat = fstat(&fd).map_err(|errno| open_error(path, errno.into()))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(ReadError::NotAFile {
            path: path.display().to_string(),
        });
    }
    Ok(SparseReader::new(File::from(fd), &stat))
}

fn open_error(path: &Path, source: io::Error) -> ReadError {
    ReadError::Open {
        path: path.to_owned(),
        source,
    }
}
