//! A layer becomes a directory that overlayfs takes as a lower.
//!
//! Everything is made relative to directory descriptors, from an index whose parents are directories: no link is ever followed.
//! Directories first, then files on all cores, then further names of inodes, and the metadata of directories last, when nothing
//! is made in them any more. A device that may not be made here is left out; nothing else is.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

use rayon::prelude::*;
use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Uid, XattrFlags, chownat, fsetxattr, linkat, makedev,
    mkdirat, mknodat, openat, symlinkat, utimensat,
};
use rustix::io::Errno;

use crate::beneath::{open_dir, open_root};
use crate::path::{name, parent};
use crate::threads::start_pool;
use crate::view::target::{Target, times};
use crate::{
    ContentDigest, ContentHasher, Entry, EntryKind, Layer, Store, StoreError, Work, sparse,
};

/// Files that one thread makes before it takes the next batch.
const BATCH: usize = 128;
/// How much is copied at once: what stays in a processor's cache between the read, the digest and the write.
const PIECE: usize = 256 << 10;
/// What a file takes on disk beside its content, about.
const INODE: u64 = 256;

/// What is unpacked: an entry, and the number of the tar that holds its content.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) tar: usize,
}

/// Where the content of files is.
pub(crate) trait Contents: Sync {
    /// Calls `read` with the file that holds the content of a piece, and where in it.
    fn read(
        &self,
        piece: Piece<'_>,
        read: &mut dyn FnMut(&File, u64) -> io::Result<ContentDigest>,
    ) -> io::Result<ContentDigest>;

    /// The content was not what its entry says.
    fn damage(&self, piece: Piece<'_>) -> io::Error;
}

/// The tars of layers.
pub(crate) struct Tars<'a> {
    files: Vec<File>,
    layers: &'a [Layer],
}

impl<'a> Tars<'a> {
    pub(crate) fn open(layers: &'a [Layer]) -> Result<Self, StoreError> {
        let open = |layer: &Layer| {
            let path = layer.tar.path();
            File::open(path).map_err(|source| StoreError::io("open", path, source))
        };
        let files = layers.iter().map(open).collect::<Result<_, _>>()?;
        Ok(Self { files, layers })
    }
}

impl Contents for Tars<'_> {
    fn read(
        &self,
        Piece { entry, tar }: Piece<'_>,
        read: &mut dyn FnMut(&File, u64) -> io::Result<ContentDigest>,
    ) -> io::Result<ContentDigest> {
        read(&self.files[tar], entry.offset())
    }

    fn damage(&self, Piece { entry, tar }: Piece<'_>) -> io::Error {
        self.layers[tar].tar.damage(&entry.path)
    }
}

/// Unpacks into the empty directory `path`; returns about how many bytes that takes on disk.
pub(crate) fn unpack(
    layer: &Layer,
    path: &Path,
    target: Target,
    store: &Store,
) -> Result<u64, StoreError> {
    let entries = layer.index.tree.entries().iter();
    let pieces: Vec<_> = entries.map(|entry| Piece { entry, tar: 0 }).collect();
    let (name, size) = (layer.diff_id().to_string(), layer.index.tar_size);
    let meter = store.meter(Work::Unpack, name, size);
    let tars = Tars::open(std::slice::from_ref(layer))?;
    unpack_pieces(&pieces, &tars, path, target, &|bytes| meter.add(bytes))?;
    meter.end();
    let entries = pieces.iter().map(|piece| piece.entry);
    Ok(entries
        .map(|entry| INODE + entry.size().next_multiple_of(4096))
        .sum())
}

/// Unpacks entries, sorted by path, into the empty directory `path`; `copied` hears of bytes as they are written.
pub(crate) fn unpack_pieces(
    pieces: &[Piece<'_>],
    contents: &dyn Contents,
    path: &Path,
    target: Target,
    copied: &(dyn Fn(u64) + Sync),
) -> Result<(), StoreError> {
    let unpack = |root| Unpack {
        root,
        contents,
        target,
        copied,
    };
    let unpacked = open_root(path).and_then(|root| unpack(root).all(pieces));
    unpacked.map_err(|source| StoreError::io("unpack to", path, source))
}

struct Unpack<'l> {
    root: OwnedFd,
    contents: &'l dyn Contents,
    target: Target,
    copied: &'l (dyn Fn(u64) + Sync),
}

impl Unpack<'_> {
    fn all(&self, pieces: &[Piece<'_>]) -> io::Result<()> {
        let mut parents = Parents::new(self);
        let entries = || pieces.iter().map(|piece| piece.entry);
        for entry in entries().filter(|entry| entry.is_directory() && !entry.path.is_empty()) {
            mkdirat(parents.of(entry)?, name(&entry.path), Mode::RWXU)?;
        }
        start_pool()?;
        let (first_names, later_names) = first_of_groups(pieces);
        let batches = first_names.par_chunks(BATCH);
        batches.try_for_each(|batch| {
            let (mut parents, mut buffer) = (Parents::new(self), Vec::new());
            let mut batch = batch.iter();
            batch.try_for_each(|piece| self.make(parents.of(piece.entry)?, *piece, &mut buffer))
        })?;
        let mut targets = Parents::new(self);
        for (entry, first) in later_names {
            let (from, to) = (targets.of(first)?, parents.of(entry)?);
            let (first_name, name) = (name(&first.path), name(&entry.path));
            absent_is_fine(linkat(from, first_name, to, name, AtFlags::empty()), first)?;
        }
        for entry in entries().rev().filter(|entry| entry.is_directory()) {
            self.finish_directory(entry)?;
        }
        if entries().next().is_none_or(|first| !first.path.is_empty()) {
            let root = Entry::implied_directory(b"");
            self.target.apply(self.root.as_fd(), &root)?;
        }
        Ok(())
    }

    fn finish_directory(&self, entry: &Entry) -> io::Result<()> {
        let directory = open_dir(self.root.as_fd(), &entry.path)?;
        if self.target.is_lower && entry.kind == (EntryKind::Directory { opaque: true }) {
            fsetxattr(&directory, self.target.opaque(), b"y", XattrFlags::empty())?;
        }
        self.target.apply(directory.as_fd(), entry)
    }

    fn make(&self, at: BorrowedFd<'_>, piece: Piece<'_>, buffer: &mut Vec<u8>) -> io::Result<()> {
        let entry = piece.entry;
        let base = name(&entry.path);
        let node = |kind, device| self.node(at, entry, kind, device);
        match &entry.kind {
            EntryKind::Directory { .. } => Ok(()),
            EntryKind::Whiteout => {
                match mknodat(at, base, FileType::CharacterDevice, Mode::empty(), 0) {
                    Err(Errno::PERM) => self.whiteout_file(at, base),
                    made => Ok(made?),
                }
            }
            EntryKind::File { size, content, .. } => {
                let file = File::from(create(at, base)?);
                let mut read =
                    |from: &File, offset| copy((from, offset), &file, *size, buffer, self.copied);
                if self.contents.read(piece, &mut read)? != *content {
                    return Err(self.contents.damage(piece));
                }
                self.target.apply(file.as_fd(), entry)
            }
            EntryKind::Symlink { target } => {
                symlinkat(&**target, at, base)?;
                self.apply_by_name(at, base, entry)
            }
            EntryKind::Fifo => node(FileType::Fifo, 0),
            EntryKind::Char { major, minor } => {
                node(FileType::CharacterDevice, makedev(*major, *minor))
            }
            EntryKind::Block { major, minor } => {
                node(FileType::BlockDevice, makedev(*major, *minor))
            }
        }
    }

    fn node(
        &self,
        at: BorrowedFd<'_>,
        entry: &Entry,
        kind: FileType,
        device: u64,
    ) -> io::Result<()> {
        let base = name(&entry.path);
        match mknodat(at, base, kind, Mode::RUSR | Mode::WUSR, device) {
            Err(Errno::PERM) if kind != FileType::Fifo => return Ok(()),
            outcome => outcome?,
        }
        self.apply_by_name(at, base, entry)?;
        let mode = Mode::from_raw_mode(entry.mode);
        Ok(rustix::fs::chmodat(at, base, mode, AtFlags::empty())?)
    }

    /// What hides a file where overlayfs is the store's own file system, which takes no device for it (Linux 6.7): an empty file with a
    /// mark, in directories with a mark that there are such files.
    fn whiteout_file(&self, at: BorrowedFd<'_>, base: &[u8]) -> io::Result<()> {
        let file = create(at, base)?;
        fsetxattr(&file, self.target.whiteout(), b"y", XattrFlags::empty())?;
        for directory in [at, self.root.as_fd()] {
            fsetxattr(directory, self.target.opaque(), b"x", XattrFlags::empty())?;
        }
        Ok(())
    }

    /// Owner and time of what cannot be opened.
    fn apply_by_name(&self, at: BorrowedFd<'_>, base: &[u8], entry: &Entry) -> io::Result<()> {
        if !self.target.keep_owners && (entry.uid, entry.gid) != (0, 0) {
            let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
            chownat(at, base, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
        }
        let times = times(entry.mtime);
        Ok(utimensat(at, base, &times, AtFlags::SYMLINK_NOFOLLOW)?)
    }
}

/// A new file that only its owner may use until it has its mode.
fn create(at: BorrowedFd<'_>, base: &[u8]) -> io::Result<OwnedFd> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(at, base, flags, Mode::RUSR | Mode::WUSR)?)
}

/// Copies `size` bytes from an offset of a tar; the digest of what was copied.
fn copy(
    (tar, offset): (&File, u64),
    file: &File,
    size: u64,
    buffer: &mut Vec<u8>,
    copied: &dyn Fn(u64),
) -> io::Result<ContentDigest> {
    let mut hasher = ContentHasher::new();
    let mut done = 0;
    while done < size {
        let count = usize::try_from(size - done).unwrap_or(PIECE).min(PIECE);
        buffer.resize(count, 0);
        tar.read_exact_at(buffer, offset + done)?;
        hasher.update(buffer);
        sparse::write_at(file, buffer, done)?;
        done += count as u64;
        copied(count as u64);
    }
    sparse::finish(file, size)?;
    Ok(hasher.finish())
}

/// What is made on its own, and further names with the entry that they are links of.
fn first_of_groups<'a>(pieces: &[Piece<'a>]) -> (Vec<Piece<'a>>, Vec<(&'a Entry, &'a Entry)>) {
    let mut firsts = std::collections::HashMap::new();
    let (mut made, mut links) = (Vec::with_capacity(pieces.len()), Vec::new());
    for piece in pieces.iter().filter(|piece| !piece.entry.is_directory()) {
        let (entry, group) = (piece.entry, (piece.tar, piece.entry.links));
        match firsts.get(&group).filter(|_| entry.links != 0) {
            Some(&first) => links.push((entry, first)),
            None => {
                firsts.insert(group, entry);
                made.push(*piece);
            }
        }
    }
    (made, links)
}

/// A device that could not be made has no other names either.
fn absent_is_fine(linked: Result<(), Errno>, first: &Entry) -> io::Result<()> {
    match linked {
        Err(Errno::NOENT)
            if matches!(first.kind, EntryKind::Char { .. } | EntryKind::Block { .. }) =>
        {
            Ok(())
        }
        outcome => Ok(outcome?),
    }
}

/// The directory that was opened last: neighbours in path order mostly share it.
struct Parents<'a> {
    unpack: &'a Unpack<'a>,
    last: Option<(&'a [u8], OwnedFd)>,
}

impl<'a> Parents<'a> {
    fn new(unpack: &'a Unpack<'_>) -> Self {
        Self { unpack, last: None }
    }

    fn of(&mut self, entry: &'a Entry) -> io::Result<BorrowedFd<'_>> {
        let path = parent(&entry.path).unwrap_or_default();
        if self.last.as_ref().is_none_or(|(last, _)| *last != path) {
            self.last = Some((path, open_dir(self.unpack.root.as_fd(), path)?));
        }
        let (root, last) = (&self.unpack.root, self.last.as_ref());
        Ok(last.map_or(root.as_fd(), |(_, directory)| directory.as_fd()))
    }
}
