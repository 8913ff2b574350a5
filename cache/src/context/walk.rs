//! The walk over a context: parallel by directory, getdents and stat relative to directory descriptors.
//!
//! No crate's walker is used here: they stat by path, which costs 1.6 times as much on 100,000 files, and hand out paths that
//! would have to be opened by string. What a thread finds is sorted later, so the outcome does not depend on their number.

use crate::threads::start_pool;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;
use rustix::fs::{AtFlags, FileType, Stat, fstat, major, minor, readlinkat, statat};

use crate::beneath::{open_dir, open_root};
use crate::context::digest::digest;
use crate::context::stat_index::{Listing, Signature, StatIndex};
use crate::context::{Decision, Filter};
use crate::listing::names;
use crate::path::{MAX_PATH, display, join};
use crate::{ContentDigest, ContextError, Entry, EntryKind, Meta};

/// Names that one thread takes at once.
const BATCH: usize = 256;

/// Something in the context.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) entry: Entry,
    /// Device and inode of what has several names.
    pub(crate) inode: Option<(u64, u64)>,
    /// Of regular files.
    pub(crate) signature: Option<Signature>,
    pub(crate) was_digested: bool,
    /// A directory that was only entered for what may be in it.
    pub(crate) only_as_parent: bool,
}

/// What a walk found, in no order.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) items: Vec<Item>,
    /// Files that were not looked at, and directories that were not entered.
    pub(crate) unvisited: Vec<Box<[u8]>>,
    errors: Vec<(Box<[u8]>, ContextError)>,
}

impl Found {
    fn append(&mut self, mut other: Self) {
        self.items.append(&mut other.items);
        self.unvisited.append(&mut other.unvisited);
        self.errors.append(&mut other.errors);
    }
}

/// Walks the context. Of several errors the one with the first path is reported.
pub(crate) fn walk(
    root: &Path,
    filter: &dyn Filter,
    index: &StatIndex,
) -> Result<Found, ContextError> {
    let opened = open_root(root).map_err(|source| ContextError::Io {
        action: "open",
        path: root.to_owned(),
        source,
    })?;
    let walk = Walk {
        root,
        fd: opened,
        filter,
        index,
        found: Mutex::default(),
    };
    start_pool().map_err(ContextError::Thread)?;
    rayon::scope(|scope| walk.enter(scope, Vec::new(), false));
    let mut found = walk
        .found
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    found.errors.sort_by(|(a, _), (b, _)| a.cmp(b));
    if found.errors.is_empty() {
        Ok(found)
    } else {
        Err(found.errors.swap_remove(0).1)
    }
}

/// Names in a directory, with their types.
type Names = Vec<(Vec<u8>, FileType)>;

struct Walk<'a> {
    root: &'a Path,
    fd: OwnedFd,
    filter: &'a dyn Filter,
    index: &'a StatIndex,
    found: Mutex<Found>,
}

impl<'a> Walk<'a> {
    /// Reads one directory; its subdirectories become tasks.
    fn enter<'scope>(
        &'scope self,
        scope: &rayon::Scope<'scope>,
        path: Vec<u8>,
        only_as_parent: bool,
    ) {
        let mut found = Found::default();
        match self.read(&path) {
            Ok((directory, stat, names)) => {
                if !path.is_empty() {
                    let kind = EntryKind::Directory { opaque: false };
                    found.items.push(Item {
                        only_as_parent,
                        ..item(&path, kind, &stat)
                    });
                }
                let listing = self.index.directory(&path);
                let batches = names
                    .par_chunks(BATCH)
                    .map(|batch| self.batch(scope, &directory, &path, listing, batch));
                batches
                    .collect::<Vec<_>>()
                    .into_iter()
                    .for_each(|batch| found.append(batch));
            }
            Err(source) => found
                .errors
                .push((path.as_slice().into(), self.io("read", &path, source))),
        }
        self.found
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .append(found);
    }

    fn read(&self, path: &[u8]) -> io::Result<(OwnedFd, Stat, Names)> {
        let directory = open_dir(self.fd.as_fd(), path)?;
        let stat = fstat(&directory)?;
        let names = names(directory.as_fd())?;
        Ok((directory, stat, names))
    }

    fn batch<'scope>(
        &'scope self,
        scope: &rayon::Scope<'scope>,
        directory: &OwnedFd,
        path: &[u8],
        listing: Listing<'_>,
        names: &[(Vec<u8>, FileType)],
    ) -> Found {
        let (mut found, mut buffer) = (Found::default(), Vec::new());
        for (name, kind) in names {
            let child = join(path, name);
            match self.child(directory, &child, name, *kind, listing, &mut buffer) {
                Ok(Child::Directory { only_as_parent }) => {
                    scope.spawn(move |scope| self.enter(scope, child, only_as_parent))
                }
                Ok(Child::Item(item)) => found.items.push(*item),
                Ok(Child::Unvisited) => found.unvisited.push(child.into()),
                Ok(Child::Nothing) => {}
                Err(error) => found.errors.push((child.into(), error)),
            }
        }
        found
    }

    fn child(
        &self,
        directory: &OwnedFd,
        path: &[u8],
        name: &[u8],
        kind: FileType,
        listing: Listing<'_>,
        buffer: &mut Vec<u8>,
    ) -> Result<Child, ContextError> {
        let look = || {
            statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|errno| self.io("look at", path, errno.into()))
        };
        let mut stat = None;
        let kind = match kind {
            FileType::Unknown => FileType::from_raw_mode(stat.insert(look()?).st_mode),
            kind => kind,
        };
        let decision = self.filter.decide(path, kind == FileType::Directory);
        match (kind, decision) {
            (FileType::Socket, _) => return Ok(Child::Nothing),
            (FileType::Directory, Decision::Keep | Decision::Skip) => {
                check_length(path)?;
                return Ok(Child::Directory {
                    only_as_parent: decision == Decision::Skip,
                });
            }
            (_, Decision::Skip | Decision::Prune) => return Ok(Child::Unvisited),
            (_, Decision::Keep) => check_length(path)?,
        }
        let stat = match stat {
            Some(stat) => stat,
            None => look()?,
        };
        let (major, minor) = (major(stat.st_rdev), minor(stat.st_rdev));
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {
                return self.file(directory, path, name, &stat, listing, buffer);
            }
            FileType::Symlink => {
                let target = readlinkat(directory, name, Vec::new())
                    .map_err(|errno| self.io("read", path, errno.into()))?;
                EntryKind::Symlink {
                    target: target.into_bytes().into(),
                }
            }
            FileType::Fifo => EntryKind::Fifo,
            FileType::CharacterDevice => EntryKind::Char { major, minor },
            FileType::BlockDevice => EntryKind::Block { major, minor },
            // it became something else between the two looks
            _ => {
                return Err(ContextError::Unstable {
                    path: self.host(path),
                });
            }
        };
        Ok(Child::Item(Box::new(item(path, kind, &stat))))
    }

    fn file(
        &self,
        directory: &OwnedFd,
        path: &[u8],
        name: &[u8],
        stat: &Stat,
        listing: Listing<'_>,
        buffer: &mut Vec<u8>,
    ) -> Result<Child, ContextError> {
        let signature = Signature::of(stat);
        let known = listing.content(name, &signature);
        let (signature, content) = match known {
            Some(content) => (signature, content),
            None => digest(directory.as_fd(), name, buffer)
                .map_err(|source| self.io("read", path, source))?
                .ok_or_else(|| ContextError::Unstable {
                    path: self.host(path),
                })?,
        };
        let kind = file_kind(&signature, content);
        Ok(Child::Item(Box::new(Item {
            signature: Some(signature),
            was_digested: known.is_none(),
            ..item(path, kind, stat)
        })))
    }

    fn io(&self, action: &'static str, path: &[u8], source: io::Error) -> ContextError {
        ContextError::Io {
            action,
            path: self.host(path),
            source,
        }
    }

    fn host(&self, path: &[u8]) -> PathBuf {
        self.root.join(std::ffi::OsStr::from_bytes(path))
    }
}

enum Child {
    Directory { only_as_parent: bool },
    Item(Box<Item>),
    Unvisited,
    Nothing,
}

pub(crate) fn file_kind(signature: &Signature, content: ContentDigest) -> EntryKind {
    EntryKind::File {
        size: signature.size,
        offset: 0,
        content,
    }
}

/// Root owns everything in a context, and extended attributes stay outside, as in docker.
fn item(path: &[u8], kind: EntryKind, stat: &Stat) -> Item {
    let many_names = stat.st_nlink > 1 && !matches!(kind, EntryKind::Directory { .. });
    let mode = if matches!(kind, EntryKind::Symlink { .. }) {
        0o777
    } else {
        stat.st_mode & 0o7777
    };
    Item {
        entry: Entry::new(path, kind, Meta::root(mode, stat.st_mtime)),
        inode: many_names.then_some((stat.st_dev, stat.st_ino)),
        signature: None,
        was_digested: false,
        only_as_parent: false,
    }
}

fn check_length(path: &[u8]) -> Result<(), ContextError> {
    if path.len() > MAX_PATH {
        return Err(ContextError::PathTooLong {
            path: display(&path[..128]),
        });
    }
    Ok(())
}
