//! The trash: removal is a rename, and the slow part is done when there is time.
//!
//! Trees in it come from RUN steps: their directories may have any mode and any depth. So nothing is resolved by path, modes
//! are opened up where they are in the way, and a directory in another one is first renamed to the top of the trash: neither the
//! stack nor the number of open files depends on what is removed, and each directory is work for a thread of its own. Threads pay
//! because most disks wait for each file that goes (a journal, or `discard`), and can wait for many at once. Where there is little to
//! remove, as after a container that has changed nothing, renames and threads cost more than that: the first few directories are emptied
//! where they are.
//!
//! Nobody needs to wait for it: one thread sweeps beside a RUN what earlier ones have left, and what is little when a process ends stays
//! for the next one.

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::Builder;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, chmodat, openat, renameat, unlinkat};
use rustix::io::Errno;
use walkdir::WalkDir;

use crate::beneath::open_root;
use crate::listing::names;
use crate::store::folders::check_parent;
use crate::store::lease::random;
use crate::threads::{parallel, try_parallel};
use crate::{StoreError, Trash};

/// The folder.
const TRASH: &str = "trash";
/// How deep directories are emptied where they are: the first few, and all when the disk has no room to rename one.
const MAX_DEPTH: usize = 32;
/// Directories that are a few.
const FEW: usize = 32;
/// Threads that remove at once.
const AT_ONCE: usize = 16;
/// Things that are worth a thread.
const PER_THREAD: usize = 8;
/// The most things that are little, and bytes in them.
const LITTLE: (usize, u64) = (128, 1 << 20);

/// The sweeping of a store's trash beside other work, and that it is to end. Dropping it ends it.
#[derive(Debug, Default)]
pub(crate) struct Sweep {
    ends: Arc<AtomicBool>,
    runs: Arc<AtomicBool>,
}

impl Sweep {
    /// Begins to empty the trash in a thread of its own, unless one does. Without a thread it stays until somebody waits for it.
    pub(crate) fn begin(&self, root: &Path) {
        if self.runs.swap(true, Ordering::SeqCst) {
            return;
        }
        let (root, ends, runs) = (root.to_owned(), self.ends.clone(), self.runs.clone());
        let sweep = move || {
            // who empties it at the end says what is wrong with it
            let _ = empty(&root, 1, &ends);
            runs.store(false, Ordering::SeqCst);
        };
        let begun = Builder::new().name("sweep".to_owned()).spawn(sweep);
        if begun.is_err() {
            self.runs.store(false, Ordering::SeqCst);
        }
    }
}

impl Drop for Sweep {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
    }
}

impl Trash<'_> {
    /// Moves `path` into the trash; nothing happens when it is not there.
    pub(crate) fn put(&self, path: &Path) -> Result<(), StoreError> {
        put(self.store.root(), path)
    }

    /// The same for what may hold files of user ids that this process does not have; `false` when it stays, for a process that has
    /// them.
    pub(crate) fn try_put(&self, path: &Path) -> Result<bool, StoreError> {
        match self.put(path) {
            Ok(()) => Ok(true),
            Err(StoreError::Io { source, .. })
                if source.kind() == io::ErrorKind::PermissionDenied =>
            {
                // a directory that its own owner may not write to cannot be moved either
                let _ = rustix::fs::chmod(path, Mode::RWXU);
                Ok(self.put(path).is_ok())
            }
            Err(error) => Err(error),
        }
    }

    /// Empties the trash. Several processes may do it at once. What belongs to user ids that this process does not have stays for one
    /// that has them.
    pub(crate) fn empty(&self) -> Result<(), StoreError> {
        empty_now(self.store.root())
    }

    /// The same, but for so little that a process after this one may remove it beside its work.
    pub(crate) fn empty_of_much(&self) -> Result<(), StoreError> {
        match is_little(&self.store.root().join(TRASH)) {
            true => Ok(()),
            false => self.empty(),
        }
    }

    /// Empties it beside other work, as far as that takes.
    pub(crate) fn sweep(&self) {
        self.store.inner.sweep.begin(self.store.root());
    }
}

/// Whether nobody needs to wait until this is removed. What cannot be looked at may be anything.
fn is_little(trash: &Path) -> bool {
    let (mut things, mut bytes) = (0, 0);
    WalkDir::new(trash).into_iter().all(|entry| {
        let Ok(Ok(metadata)) = entry.map(|entry| entry.metadata()) else {
            return false;
        };
        things += 1;
        bytes += metadata.blocks() * 512;
        things <= LITTLE.0 && bytes <= LITTLE.1
    })
}

/// As [`Trash::put`], for a store that is not open.
pub(super) fn put(root: &Path, path: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::io("move to the trash", path, source);
    let target = root.join(TRASH).join(unique().map_err(failed)?);
    check_parent(path).map_err(failed)?;
    match std::fs::rename(path, target) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
        _ => Ok(()),
    }
}

/// As [`Trash::empty`], for a store that is not open.
pub(super) fn empty_now(root: &Path) -> Result<(), StoreError> {
    empty(root, AT_ONCE, &AtomicBool::new(false))
}

/// Empties the trash on up to `most` threads, until it `ends`.
fn empty(root: &Path, most: usize, ends: &AtomicBool) -> Result<(), StoreError> {
    let path = root.join(TRASH);
    let failed = |source: io::Error| StoreError::io("empty", &path, source);
    let mut foreign = HashSet::new();
    // emptying moves directories to the top: look again until there is nothing
    loop {
        let trash = open_root(&path).map_err(failed)?;
        let mut found = names(trash.as_fd()).map_err(failed)?;
        found.retain(|(name, _)| !foreign.contains(name));
        if found.is_empty() || ends.load(Ordering::Relaxed) {
            return Ok(());
        }
        let removed = remove_all(trash.as_fd(), &found, most, ends);
        for ((name, _), removed) in found.into_iter().zip(removed) {
            match removed {
                Err(Errno::ACCESS | Errno::PERM) => {
                    foreign.insert(name);
                }
                outcome => outcome.map_err(|errno| failed(errno.into()))?,
            }
        }
    }
}

/// Removes what lies at the top of the trash. A thread alone has the others for the files of one directory.
fn remove_all(
    trash: BorrowedFd<'_>,
    found: &[Named],
    most: usize,
    ends: &AtomicBool,
) -> Vec<Result<(), Errno>> {
    let at_once = most.min(found.len().div_ceil(PER_THREAD));
    let emptying = Emptying {
        trash,
        files_at_once: most / at_once.max(1),
        in_place: AtomicUsize::new(0),
        ends,
    };
    parallel(found, at_once, |named| emptying.remove(trash, named, 0))
}

/// The name of a thing, and its type where the disk tells it.
type Named = (Vec<u8>, FileType);

struct Emptying<'a> {
    trash: BorrowedFd<'a>,
    /// Threads for the files of one directory.
    files_at_once: usize,
    /// Directories in others that are emptied where they are.
    in_place: AtomicUsize,
    /// Nothing more is to be removed.
    ends: &'a AtomicBool,
}

impl Emptying<'_> {
    fn remove(&self, at: BorrowedFd<'_>, named: &Named, depth: usize) -> Result<(), Errno> {
        match self.ends.load(Ordering::Relaxed) {
            true => Ok(()),
            false => self.remove_tree(at, named, depth),
        }
    }

    fn remove_tree(&self, at: BorrowedFd<'_>, named: &Named, depth: usize) -> Result<(), Errno> {
        let (name, kind) = named;
        if *kind != FileType::Directory {
            match gone_is_fine(unlinkat(at, name, AtFlags::empty())) {
                Err(Errno::ISDIR) => {} // the type was unknown or has changed
                outcome => return outcome,
            }
        }
        if depth > 0 && !self.is_one_of_few(depth) {
            match self.move_to_top(at, name) {
                Err(Errno::NOSPC | Errno::DQUOT) if depth < MAX_DEPTH => {}
                outcome => return outcome,
            }
        }
        let directory = match open_to_empty(at, name) {
            Err(Errno::NOENT) => return Ok(()),
            opened => opened?,
        };
        self.remove_content(&directory, depth)?;
        match unlinkat(at, name, AtFlags::REMOVEDIR) {
            // names that were passed over, while another process removed others or at the end: the next look finds them
            Err(Errno::NOTEMPTY) => Ok(()),
            removed => gone_is_fine(removed),
        }
    }

    fn is_one_of_few(&self, depth: usize) -> bool {
        depth < MAX_DEPTH && self.in_place.fetch_add(1, Ordering::Relaxed) < FEW
    }

    fn move_to_top(&self, at: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
        let top = format!("deep-{}", unique().map_err(|_| Errno::IO)?);
        let _ = chmodat(at, name, Mode::RWXU, AtFlags::empty());
        gone_is_fine(renameat(at, name, self.trash, top))
    }

    fn remove_content(&self, directory: &OwnedFd, depth: usize) -> Result<(), Errno> {
        let errno = |error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
        let content = match names(directory.as_fd()).map_err(errno) {
            Err(Errno::NOENT) => return Ok(()),
            content => content?,
        };
        let at_once = self.files_at_once.min(content.len().div_ceil(PER_THREAD));
        let remove = |named: &Named| self.remove(directory.as_fd(), named, depth + 1);
        try_parallel(&content, at_once, remove).map(drop)
    }
}

/// Opens a directory so that it can be read and emptied, whatever its mode.
fn open_to_empty(at: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = openat(at, name, flags, Mode::empty());
    match &opened {
        Ok(directory) => {
            let mode = Mode::from_raw_mode(rustix::fs::fstat(directory)?.st_mode);
            if mode.contains(Mode::RWXU) {
                return opened;
            }
        }
        Err(Errno::ACCESS) => {}
        Err(_) => return opened,
    }
    chmodat(at, name, Mode::RWXU, AtFlags::empty())?;
    openat(at, name, flags, Mode::empty())
}

/// A name that nothing in the trash has.
fn unique() -> io::Result<String> {
    Ok(format!("{:08x}{:08x}", random()?, random()?))
}

/// Another process may empty the trash too.
fn gone_is_fine(outcome: Result<(), Errno>) -> Result<(), Errno> {
    match outcome {
        Err(Errno::NOENT) => Ok(()),
        outcome => outcome,
    }
}
