//! Mount points that an image lacks: made in the mounted root before a run and removed after it, without a trace in the upper layer.
//! Unaware of what is mounted on them.
//!
//! Making a file in `/etc` copies the folder `/etc` into the upper layer and changes its times. So its times are put back at once. After
//! the run, stubs that are still empty are removed (and times are put back again), and a folder that is in the upper only because of a
//! stub is removed from it, unless something has touched it since.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat, Timespec, Timestamps, fstat, mkdirat,
    openat, openat2, statat, unlinkat, utimensat,
};
use rustix::io::Errno;

use crate::Disabled;
use crate::path::{Missing, make_missing, open_in_root};

/// What was made for one run.
#[derive(Debug)]
pub struct Stubs {
    upper: Option<OwnedFd>,
    disabled: Disabled,
    made: Vec<Stub>,
    /// Folders that were not in the upper before a stub was made in them, by their names from its root.
    copied: BTreeSet<PathBuf>,
    untouched: Vec<(PathBuf, Look)>,
}

#[derive(Debug)]
struct Stub {
    folder: OwnedFd,
    name: OsString,
    is_folder: bool,
}

/// What shows that a folder was touched. The ctime alone would do, as nothing can put it back, but before Linux 6.13 it counts in ticks
/// of some milliseconds, and a fast command may fall into the tick of the stub.
#[derive(Debug, PartialEq, Eq)]
struct Look {
    changed: (i64, i64),
    modified: (i64, i64),
    mode: u32,
    owner: (u32, u32),
}

impl Stubs {
    /// `upper` is the upper folder of the root, when it has one.
    pub fn new(upper: Option<OwnedFd>, disabled: Disabled) -> Self {
        Self {
            upper,
            disabled,
            made: Vec::new(),
            copied: BTreeSet::new(),
            untouched: Vec::new(),
        }
    }

    /// Makes `target` inside `root` with all its parents, where it is missing.
    pub fn ensure(
        &mut self,
        root: BorrowedFd<'_>,
        target: &Path,
        is_folder: bool,
    ) -> io::Result<()> {
        match open_in_root(root, target, OFlags::PATH, Mode::empty(), self.disabled) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_missing(root, target, &mut |missing| {
                    self.make(missing, is_folder || !missing.is_last)
                })
            }
            answer => answer.map(drop),
        }
    }

    fn make(&mut self, missing: &Missing<'_>, is_folder: bool) -> io::Result<()> {
        let (folder, name) = (missing.folder, missing.name);
        self.remember_copies(missing.parents);
        let before = times(&fstat(folder)?);
        if is_folder {
            mkdirat(folder, name, Mode::from_raw_mode(0o755))?;
        } else {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
            openat(folder, name, flags, Mode::from_raw_mode(0o644))?;
        }
        put_back(folder, &before)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        self.made.push(Stub {
            folder: openat(folder, ".", flags, Mode::empty())?,
            name: name.to_owned(),
            is_folder,
        });
        Ok(())
    }

    fn remember_copies(&mut self, parents: &[OsString]) {
        let Some(upper) = &self.upper else { return };
        let mut path = PathBuf::new();
        for name in parents {
            path.push(name);
            if open_folder_below(upper, &path).is_err() {
                self.copied.insert(path.clone());
            }
        }
    }

    /// Call when all are made: remembers how the copied folders look now.
    pub fn seal(&mut self) {
        let Some(upper) = &self.upper else { return };
        let now = |path: &PathBuf| Some((path.clone(), look(upper, path).ok()?));
        self.untouched = self.copied.iter().filter_map(now).collect();
    }

    /// Removes what is still empty. Call when no process of the run is left.
    pub fn remove(self) -> io::Result<()> {
        let Some(upper) = &self.upper else {
            return Ok(());
        };
        // Looked at before the removals, which change it. A stub that is a folder may be listed too: it is removed as a stub.
        let same =
            |(path, before): &&(PathBuf, Look)| look(upper, path).is_ok_and(|now| now == *before);
        let untouched: Vec<_> = self
            .untouched
            .iter()
            .filter(same)
            .map(|(path, _)| path)
            .collect();
        for stub in self.made.iter().rev() {
            remove_stub(stub)?;
        }
        // The set is sorted, so a folder comes before what is in it.
        for path in untouched.into_iter().rev() {
            remove_copy(upper, path)?;
        }
        Ok(())
    }
}

/// A file that the run wrote to, a folder that it filled, and what it removed or replaced stay as they are.
fn remove_stub(stub: &Stub) -> io::Result<()> {
    let Ok(stat) = statat(&stub.folder, &stub.name, AtFlags::SYMLINK_NOFOLLOW) else {
        return Ok(());
    };
    let kind = FileType::from_raw_mode(stat.st_mode);
    let before = times(&fstat(&stub.folder)?);
    let flags = match (stub.is_folder, kind) {
        (true, FileType::Directory) => AtFlags::REMOVEDIR,
        (false, FileType::RegularFile) if stat.st_size == 0 => AtFlags::empty(),
        _ => return Ok(()),
    };
    match unlinkat(&stub.folder, &stub.name, flags) {
        Ok(()) => put_back(stub.folder.as_fd(), &before),
        Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Removes a folder from the upper that equals the one below it. One that holds something stays.
fn remove_copy(upper: &OwnedFd, path: &Path) -> io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(());
    };
    let parent = open_folder_below(upper, parent)?;
    let before = times(&fstat(&parent)?);
    match unlinkat(&parent, name, AtFlags::REMOVEDIR) {
        Ok(()) => put_back(parent.as_fd(), &before),
        Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The names are real ones: a link among them means that the upper was changed meanwhile.
fn open_folder_below(upper: &OwnedFd, path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut folder = openat(upper, ".", flags, Mode::empty())?;
    if let Ok(folder) = openat2(
        upper,
        path,
        flags,
        Mode::empty(),
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
    ) {
        return Ok(folder);
    }
    for name in path.iter().filter(|name| *name != OsStr::new(".")) {
        folder = openat(&folder, name, flags, Mode::empty())?;
    }
    Ok(folder)
}

pub(super) fn times(stat: &Stat) -> Timestamps {
    let time = |seconds, nanoseconds: u64| Timespec {
        tv_sec: seconds,
        tv_nsec: i64::try_from(nanoseconds).unwrap_or(0),
    };
    Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
    }
}

fn look(upper: &OwnedFd, path: &Path) -> io::Result<Look> {
    let stat = fstat(open_folder_below(upper, path)?)?;
    let times = times(&stat);
    Ok(Look {
        changed: (
            stat.st_ctime,
            i64::try_from(stat.st_ctime_nsec).unwrap_or(0),
        ),
        modified: (
            times.last_modification.tv_sec,
            times.last_modification.tv_nsec,
        ),
        mode: stat.st_mode,
        owner: (stat.st_uid, stat.st_gid),
    })
}

pub(super) fn put_back(folder: BorrowedFd<'_>, times: &Timestamps) -> io::Result<()> {
    Ok(utimensat(folder, ".", times, AtFlags::empty())?)
}
