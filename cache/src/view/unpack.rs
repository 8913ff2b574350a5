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
    AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags, chownat, fchmod,
    fchown, fsetxattr, futimens, linkat, makedev, mkdirat, mknodat, openat, symlinkat, utimensat,
};
use rustix::io::Errno;

use crate::beneath::{open_dir, open_root};
use crate::path::{name, parent};
use crate::{Entry, EntryKind, Layer, StoreError};

/// Files that one thread makes before it takes the next batch.
const BATCH: usize = 128;
/// Larger files are copied within the kernel; for smaller ones one read and one write are faster.
const IN_KERNEL: u64 = 256 << 10;
/// What a file takes on disk beside its content, about.
const INODE: u64 = 256;

/// Where a view is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    /// Overlayfs will be mounted with `userxattr`.
    pub(crate) rootless: bool,
    /// There is one id: files keep the owner that they are made with.
    pub(crate) keep_owners: bool,
}

/// Unpacks into the empty directory `path`; returns about how many bytes that takes on disk.
pub(crate) fn unpack(layer: &Layer, path: &Path, target: Target) -> Result<u64, StoreError> {
    let tar =
        File::open(&layer.tar).map_err(|source| StoreError::io("open", &layer.tar, source))?;
    let unpacked = open_root(path)
        .and_then(|root| Unpack { root, tar, target }.all(layer.index.tree.entries()));
    unpacked.map_err(|source| StoreError::io("unpack a layer to", path, source))?;
    Ok(layer
        .index
        .tree
        .entries()
        .iter()
        .map(|entry| INODE + entry.size().next_multiple_of(4096))
        .sum())
}

struct Unpack {
    root: OwnedFd,
    tar: File,
    target: Target,
}

impl Unpack {
    fn all(&self, entries: &[Entry]) -> io::Result<()> {
        let mut parents = Parents::new(self);
        for entry in entries
            .iter()
            .filter(|entry| entry.is_directory() && !entry.path.is_empty())
        {
            mkdirat(parents.of(entry)?, name(&entry.path), Mode::RWXU)?;
        }
        let (first_names, later_names) = first_of_groups(entries);
        let batches = first_names.par_chunks(BATCH);
        batches.try_for_each(|batch| {
            let (mut parents, mut buffer) = (Parents::new(self), Vec::new());
            batch
                .iter()
                .try_for_each(|entry| self.make(parents.of(entry)?, entry, &mut buffer))
        })?;
        let mut targets = Parents::new(self);
        for (entry, first) in later_names {
            let linked = linkat(
                targets.of(first)?,
                name(&first.path),
                parents.of(entry)?,
                name(&entry.path),
                AtFlags::empty(),
            );
            absent_is_fine(linked, first)?;
        }
        for entry in entries.iter().rev().filter(|entry| entry.is_directory()) {
            let directory = open_dir(self.root.as_fd(), &entry.path)?;
            if entry.kind == (EntryKind::Directory { opaque: true }) {
                let mark = if self.target.rootless {
                    "user.overlay.opaque"
                } else {
                    "trusted.overlay.opaque"
                };
                fsetxattr(&directory, mark, b"y", XattrFlags::empty())?;
            }
            self.target.apply(directory.as_fd(), entry)?;
        }
        if entries.first().is_none_or(|first| !first.path.is_empty()) {
            self.target
                .apply(self.root.as_fd(), &Entry::implied_directory(b""))?;
        }
        Ok(())
    }

    fn make(&self, at: BorrowedFd<'_>, entry: &Entry, buffer: &mut Vec<u8>) -> io::Result<()> {
        let base = name(&entry.path);
        match &entry.kind {
            EntryKind::Directory { .. } => Ok(()),
            EntryKind::Whiteout => Ok(mknodat(
                at,
                base,
                FileType::CharacterDevice,
                Mode::empty(),
                0,
            )?),
            EntryKind::File { size, offset, .. } => {
                let flags = OFlags::CREATE
                    | OFlags::EXCL
                    | OFlags::WRONLY
                    | OFlags::NOFOLLOW
                    | OFlags::CLOEXEC;
                let file = File::from(openat(at, base, flags, Mode::RUSR | Mode::WUSR)?);
                self.copy(&file, *size, *offset, buffer)?;
                self.target.apply(file.as_fd(), entry)
            }
            EntryKind::Symlink { target } => {
                symlinkat(&**target, at, base)?;
                self.apply_by_name(at, base, entry)
            }
            EntryKind::Fifo => self.node(at, base, entry, FileType::Fifo, 0),
            EntryKind::Char { major, minor } => self.node(
                at,
                base,
                entry,
                FileType::CharacterDevice,
                makedev(*major, *minor),
            ),
            EntryKind::Block { major, minor } => self.node(
                at,
                base,
                entry,
                FileType::BlockDevice,
                makedev(*major, *minor),
            ),
        }
    }

    fn node(
        &self,
        at: BorrowedFd<'_>,
        base: &[u8],
        entry: &Entry,
        kind: FileType,
        device: u64,
    ) -> io::Result<()> {
        match mknodat(at, base, kind, Mode::RUSR | Mode::WUSR, device) {
            Err(Errno::PERM) if kind != FileType::Fifo => return Ok(()),
            outcome => outcome?,
        }
        self.apply_by_name(at, base, entry)?;
        Ok(rustix::fs::chmodat(
            at,
            base,
            Mode::from_raw_mode(entry.mode),
            AtFlags::empty(),
        )?)
    }

    fn copy(&self, file: &File, size: u64, offset: u64, buffer: &mut Vec<u8>) -> io::Result<()> {
        if size > IN_KERNEL {
            return self.copy_in_kernel(file, size, offset);
        }
        buffer.resize(usize::try_from(size).unwrap_or(0), 0);
        self.tar.read_exact_at(buffer, offset)?;
        file.write_all_at(buffer, 0)
    }

    /// sendfile(2): twice as fast as copy_file_range here, and it takes any two file systems.
    fn copy_in_kernel(&self, file: &File, size: u64, offset: u64) -> io::Result<()> {
        let (mut at, end) = (offset, offset + size);
        while at < end {
            let most = usize::try_from(end - at).unwrap_or(usize::MAX).min(1 << 30);
            match rustix::fs::sendfile(file, &self.tar, Some(&mut at), most) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    /// Owner and time of what cannot be opened.
    fn apply_by_name(&self, at: BorrowedFd<'_>, base: &[u8], entry: &Entry) -> io::Result<()> {
        if !self.target.keep_owners && (entry.uid, entry.gid) != (0, 0) {
            chownat(
                at,
                base,
                Some(Uid::from_raw(entry.uid)),
                Some(Gid::from_raw(entry.gid)),
                AtFlags::SYMLINK_NOFOLLOW,
            )?;
        }
        Ok(utimensat(
            at,
            base,
            &times(entry.mtime),
            AtFlags::SYMLINK_NOFOLLOW,
        )?)
    }
}

impl Target {
    /// Gives an open file or directory the entry's owner, mode, attributes and time, in the order that keeps them: chown(2) clears
    /// setuid bits and capabilities.
    pub(crate) fn apply(self, file: BorrowedFd<'_>, entry: &Entry) -> io::Result<()> {
        if !self.keep_owners && (entry.uid, entry.gid) != (0, 0) {
            fchown(
                file,
                Some(Uid::from_raw(entry.uid)),
                Some(Gid::from_raw(entry.gid)),
            )?;
        }
        fchmod(file, Mode::from_raw_mode(entry.mode))?;
        for (name, value) in &entry.xattrs {
            match fsetxattr(file, &**name, value, XattrFlags::empty()) {
                // a file system without them, or a namespace that may not give capabilities: the index still has them
                Err(Errno::NOTSUP | Errno::PERM) => {
                    tracing::warn!(path = %crate::path::display(&entry.path), "an extended attribute cannot be set here")
                }
                outcome => outcome?,
            }
        }
        Ok(futimens(file, &times(entry.mtime))?)
    }
}

fn times(mtime: i64) -> Timestamps {
    let time = Timespec {
        tv_sec: mtime,
        tv_nsec: 0,
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

/// What is made on its own, and further names with the entry that they are links of.
fn first_of_groups(entries: &[Entry]) -> (Vec<&Entry>, Vec<(&Entry, &Entry)>) {
    let mut firsts = std::collections::HashMap::new();
    let (mut made, mut links) = (Vec::with_capacity(entries.len()), Vec::new());
    for entry in entries.iter().filter(|entry| !entry.is_directory()) {
        match firsts.get(&entry.links).filter(|_| entry.links != 0) {
            Some(&first) => links.push((entry, first)),
            None => {
                firsts.insert(entry.links, entry);
                made.push(entry);
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
    unpack: &'a Unpack,
    last: Option<(&'a [u8], OwnedFd)>,
}

impl<'a> Parents<'a> {
    fn new(unpack: &'a Unpack) -> Self {
        Self { unpack, last: None }
    }

    fn of(&mut self, entry: &'a Entry) -> io::Result<BorrowedFd<'_>> {
        let path = parent(&entry.path).unwrap_or_default();
        if self.last.as_ref().is_none_or(|(last, _)| *last != path) {
            self.last = Some((path, open_dir(self.unpack.root.as_fd(), path)?));
        }
        Ok(self
            .last
            .as_ref()
            .map_or(self.unpack.root.as_fd(), |(_, directory)| directory.as_fd()))
    }
}
