//! The walk over a context: parallel by directory, getdents and stat relative to directory descriptors.
//!
//! No crate's walker is used here: they stat by path, which costs 1.6 times as much on 100,000 files, and hand out paths that
//! would have to be opened by string. What a thread finds is sorted later, so the outcome does not depend on their number.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use kiln_oci::locked;
use rayon::prelude::*;
use rustix::fs::{AtFlags, FileType, Stat, fstat, major, minor, readlinkat, statat};

use crate::beneath::{open_dir, open_root};
use crate::context::digest::digest;
use crate::context::stat_index::{Listing, Signature, StatIndex};
use crate::context::{Decision, Filter};
use crate::listing::names;
use crate::path::{MAX_PATH, below, display, join};
use crate::threads::start_pool;
use crate::{ContentDigest, ContextError, Entry, EntryKind, Meta};

/// Names that one thread takes at once.
const BATCH: usize = 256;

/// Looks at names that take as long as it does to start threads for them.
const LITTLE: u64 = 512;
/// Bytes that are digested in the time that a look takes.
const BYTES_A_LOOK: u64 = 4096;

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
    ahead: Vec<Ahead>,
}

impl Found {
    /// What it took to find this, in looks at a name.
    fn effort(&self) -> u64 {
        let digested = self.items.iter().filter(|item| item.was_digested);
        let bytes: u64 = digested.map(|item| item.entry.size()).sum();
        (self.items.len() + self.unvisited.len()) as u64 + bytes / BYTES_A_LOOK
    }

    fn append(&mut self, mut other: Self) {
        self.items.append(&mut other.items);
        self.unvisited.append(&mut other.unvisited);
        self.errors.append(&mut other.errors);
        self.ahead.append(&mut other.ahead);
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
    walk.all()?;
    let mut found = std::mem::take(&mut *locked(&walk.found));
    found.errors.sort_by(|(a, _), (b, _)| a.cmp(b));
    match found.errors.is_empty() {
        true => Ok(found),
        false => Err(found.errors.swap_remove(0).1),
    }
}

/// Names in a directory, with their types, sorted.
type Names = Vec<(Vec<u8>, FileType)>;

struct Walk<'a> {
    root: &'a Path,
    fd: OwnedFd,
    filter: &'a dyn Filter,
    index: &'a StatIndex,
    found: Mutex<Found>,
}

/// A directory that is to be read.
#[derive(Debug)]
struct Ahead {
    path: Vec<u8>,
    only_as_parent: bool,
}

impl Walk<'_> {
    /// Reads all directories: on one thread while there is little to do, which is done before others are started.
    fn all(&self) -> Result<(), ContextError> {
        let root = Ahead {
            path: Vec::new(),
            only_as_parent: false,
        };
        let mut ahead = vec![root];
        let mut effort = 0;
        while effort < LITTLE {
            let Some(next) = ahead.pop() else {
                return Ok(());
            };
            ahead.extend(self.enter(next));
            effort = locked(&self.found).effort();
        }
        start_pool().map_err(ContextError::Thread)?;
        rayon::scope(|scope| self.spawn(scope, ahead));
        Ok(())
    }

    fn spawn<'scope>(&'scope self, scope: &rayon::Scope<'scope>, ahead: Vec<Ahead>) {
        for next in ahead {
            scope.spawn(move |scope| self.spawn(scope, self.enter(next)));
        }
    }

    /// Reads one directory; the directories in it.
    fn enter(
        &self,
        Ahead {
            path,
            only_as_parent,
        }: Ahead,
    ) -> Vec<Ahead> {
        let mut found = Found::default();
        match self.read(&path) {
            Ok((directory, stat, names)) => {
                if !path.is_empty() {
                    let kind = EntryKind::Directory { opaque: false };
                    let directory = item(&path, kind, &stat);
                    found.items.push(Item {
                        only_as_parent,
                        ..directory
                    });
                }
                let listing = self.index.directory(&path);
                let batch = |names| self.batch(&directory, &path, listing, names);
                // where no thread can be started, this one does it
                let batches: Vec<_> = match names.len() > BATCH && start_pool().is_ok() {
                    true => names.par_chunks(BATCH).map(batch).collect(),
                    false => names.chunks(BATCH).map(batch).collect(),
                };
                return self.keep(found, batches);
            }
            Err(source) if source.kind() == io::ErrorKind::NotFound && !path.is_empty() => {}
            Err(source) => {
                let error = self.io("read", &path, source);
                found.errors.push((path.into(), error));
            }
        }
        self.keep(found, Vec::new())
    }

    /// What was found of a directory and in it; the directories in it.
    fn keep(&self, directory: Found, batches: Vec<Found>) -> Vec<Ahead> {
        let mut all = locked(&self.found);
        all.append(directory);
        batches.into_iter().for_each(|batch| all.append(batch));
        std::mem::take(&mut all.ahead)
    }

    fn read(&self, path: &[u8]) -> io::Result<(OwnedFd, Stat, Names)> {
        let directory = open_dir(self.fd.as_fd(), path)?;
        let stat = fstat(&directory)?;
        let mut names = names(directory.as_fd())?;
        names.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        Ok((directory, stat, names))
    }

    fn batch(
        &self,
        directory: &OwnedFd,
        path: &[u8],
        mut listing: Listing<'_>,
        names: &[(Vec<u8>, FileType)],
    ) -> Found {
        let (mut found, mut buffer) = (Found::default(), Vec::new());
        found.items.reserve_exact(names.len());
        for (name, kind) in names {
            let path = join(path, name);
            let at = Place {
                directory,
                path: &path,
                name,
            };
            match self.child(&at, *kind, &mut found, (&mut listing, &mut buffer)) {
                Err(error) if !is_gone(&error) => found.errors.push((path.into(), error)),
                _ => {}
            }
        }
        found
    }

    fn child(
        &self,
        at: &Place<'_>,
        kind: FileType,
        found: &mut Found,
        (listing, buffer): (&mut Listing<'_>, &mut Vec<u8>),
    ) -> Result<(), ContextError> {
        let mut stat = None;
        let kind = match kind {
            FileType::Unknown => FileType::from_raw_mode(stat.insert(self.stat(at)?).st_mode),
            kind => kind,
        };
        match (
            kind,
            self.filter.decide(at.path, kind == FileType::Directory),
        ) {
            (FileType::Socket, _) => return Ok(()),
            (FileType::Directory, decision @ (Decision::Keep | Decision::Skip)) => {
                check_length(at.path)?;
                found.ahead.push(Ahead {
                    path: at.path.into(),
                    only_as_parent: decision == Decision::Skip,
                });
                return Ok(());
            }
            (_, Decision::Skip | Decision::Prune) => {
                found.unvisited.push(at.path.into());
                return Ok(());
            }
            (_, Decision::Keep) => check_length(at.path)?,
        }
        let stat = stat.map_or_else(|| self.stat(at), Ok)?;
        let item = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => self.file(at, &stat, listing, buffer)?,
            kind => item(at.path, self.special(at, kind, &stat)?, &stat),
        };
        found.items.push(item);
        Ok(())
    }

    /// What is neither file nor directory.
    fn special(
        &self,
        at: &Place<'_>,
        kind: FileType,
        stat: &Stat,
    ) -> Result<EntryKind, ContextError> {
        let (major, minor) = (major(stat.st_rdev), minor(stat.st_rdev));
        match kind {
            FileType::Symlink => {
                let target = readlinkat(at.directory, at.name, Vec::new());
                let target = target.map_err(|errno| self.io("read", at.path, errno.into()))?;
                let target = target.into_bytes().into();
                Ok(EntryKind::Symlink { target })
            }
            FileType::Fifo => Ok(EntryKind::Fifo),
            FileType::CharacterDevice => Ok(EntryKind::Char { major, minor }),
            FileType::BlockDevice => Ok(EntryKind::Block { major, minor }),
            // it became something else between the two looks
            _ => Err(self.unstable(at)),
        }
    }

    fn file(
        &self,
        at: &Place<'_>,
        stat: &Stat,
        listing: &mut Listing<'_>,
        buffer: &mut Vec<u8>,
    ) -> Result<Item, ContextError> {
        let signature = Signature::of(stat);
        let known = listing.content(at.name, &signature);
        let (signature, content) = match known {
            Some(content) => (signature, content),
            None => digest(at.directory.as_fd(), at.name, buffer)
                .map_err(|source| self.io("read", at.path, source))?
                .ok_or_else(|| self.unstable(at))?,
        };
        Ok(Item {
            signature: Some(signature),
            was_digested: known.is_none(),
            ..item(at.path, file_kind(&signature, content), stat)
        })
    }

    fn stat(&self, at: &Place<'_>) -> Result<Stat, ContextError> {
        let stat = statat(at.directory, at.name, AtFlags::SYMLINK_NOFOLLOW);
        stat.map_err(|errno| self.io("look at", at.path, errno.into()))
    }

    fn unstable(&self, at: &Place<'_>) -> ContextError {
        ContextError::Unstable {
            path: self.host(at.path),
        }
    }

    fn io(&self, action: &'static str, path: &[u8], source: io::Error) -> ContextError {
        ContextError::Io {
            action,
            path: self.host(path),
            source,
        }
    }

    fn host(&self, path: &[u8]) -> PathBuf {
        below(self.root, path)
    }
}

/// A name in an open directory, and its path in the context.
struct Place<'a> {
    directory: &'a OwnedFd,
    path: &'a [u8],
    name: &'a [u8],
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
    let mode = match kind {
        EntryKind::Symlink { .. } => 0o777,
        _ => stat.st_mode & 0o7777,
    };
    Item {
        entry: Entry::new(path, kind, Meta::root(mode, stat.st_mtime)),
        inode: many_names.then_some((stat.st_dev, stat.st_ino)),
        signature: None,
        was_digested: false,
        only_as_parent: false,
    }
}

/// Whether something was removed after its folder was listed: then it is not in the context.
fn is_gone(error: &ContextError) -> bool {
    matches!(error, ContextError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
}

fn check_length(path: &[u8]) -> Result<(), ContextError> {
    if path.len() > MAX_PATH {
        return Err(ContextError::PathTooLong {
            path: display(&path[..128]),
        });
    }
    Ok(())
}
