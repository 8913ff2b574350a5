//! Opens untrusted paths inside a root folder, so that no link, `..` or race leads out of it.
//! Unaware of what is opened.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, ResolveFlags, StatxFlags, fstat, openat, openat2, readlinkat,
    statat, statx,
};
use rustix::io::Errno;

use crate::{Disabled, Feature};

/// As the kernel: more links than this are ELOOP.
const MAX_LINKS: usize = 40;

/// Opens `path` below `root` as if `root` were `/` (absolute paths and links too). Always close-on-exec.
///
/// Without `openat2` every component is opened by itself and links are followed by hand. `..` goes back to the folder that
/// the walk came from, so that a folder that is moved meanwhile cannot lead out.
///
/// # Errors
/// As `openat2(2)`; a magic link (`/proc/self/exe`) gives ELOOP or is taken as the text that it shows.
pub fn open_in_root(
    root: BorrowedFd<'_>,
    path: &Path,
    flags: OFlags,
    mode: Mode,
    disabled: Disabled,
) -> io::Result<OwnedFd> {
    let flags = flags | OFlags::CLOEXEC;
    if disabled.has(Feature::Openat2) {
        return walk(root, path, flags, mode);
    }
    match resolve(root, path, flags, mode, ResolveFlags::empty()) {
        Err(Errno::NOSYS) => walk(root, path, flags, mode),
        answer => Ok(answer?),
    }
}

/// As [`open_in_root`], but follows only links on the mount that `root` is on. Other mounts may be shared with a process that runs now,
/// and that process must not decide where the path leads. The answer is a path handle; `make` makes what is missing.
///
/// # Errors
/// EXDEV for a link on another mount, else as `openat2(2)`.
pub fn open_without_foreign_links(
    root: BorrowedFd<'_>,
    path: &Path,
    disabled: Disabled,
    make: OnMissing<'_>,
) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    if !disabled.has(Feature::Openat2)
        && let Ok(opened) = resolve(root, path, flags, Mode::empty(), ResolveFlags::NO_XDEV)
    {
        return Ok(opened);
    }
    let place = find_place(root, path, Links::OfMount(mount_id(root)?), make)?;
    let opened = match (place.open(flags, Mode::empty()), &place.name) {
        (Err(Errno::NOENT), Some(name)) => {
            make(&place.missing(name, true))?;
            place.open(flags, Mode::empty())
        }
        (answer, _) => answer,
    }?;
    no_link(opened)
}

/// It was none a moment ago: another process is at work here if it is one now.
fn no_link(opened: OwnedFd) -> io::Result<OwnedFd> {
    match FileType::from_raw_mode(fstat(&opened)?.st_mode) {
        FileType::Symlink => Err(Errno::XDEV.into()),
        _ => Ok(opened),
    }
}

/// Makes `path` inside `root` with all its parents. What is there already is left alone, except for the last name, which must be missing.
pub fn make_missing(root: BorrowedFd<'_>, path: &Path, make: OnMissing<'_>) -> io::Result<()> {
    let place = find_place(root, path, Links::All, make)?;
    let Some(name) = &place.name else {
        return Ok(());
    };
    make(&place.missing(name, true))
}

/// Opens the folder in which `path` ends, with the real name of that end, which may be missing. `make` makes folders that are missing on the
/// way. Not for a path that leads to the root.
pub fn open_parent(
    root: BorrowedFd<'_>,
    path: &Path,
    make: OnMissing<'_>,
) -> io::Result<(OwnedFd, OsString)> {
    let place = find_place(root, path, Links::All, make)?;
    let name = place.name.clone().ok_or(Errno::BUSY)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok((openat(place.folder(), ".", flags, Mode::empty())?, name))
}

/// One `openat2` that stays below `root`.
fn resolve(
    root: BorrowedFd<'_>,
    path: &Path,
    flags: OFlags,
    mode: Mode,
    also: ResolveFlags,
) -> Result<OwnedFd, Errno> {
    // An empty path is the root itself, as for the walk.
    let named = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | also;
    // EAGAIN: something was renamed or mounted while the kernel followed `..`.
    for _ in 0..16 {
        match openat2(root, named, flags, mode, resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            answer => return answer,
        }
    }
    Err(Errno::AGAIN)
}

fn mount_id(fd: BorrowedFd<'_>) -> io::Result<u64> {
    Ok(statx(fd, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)?.stx_mnt_id)
}

fn walk(root: BorrowedFd<'_>, path: &Path, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
    let links = if flags.contains(OFlags::NOFOLLOW) {
        Links::ButTheLast
    } else {
        Links::All
    };
    let place = find_place(root, path, links, &mut |_| Err(Errno::NOENT.into()))?;
    Ok(place.open(flags, mode)?)
}

/// Which symbolic links are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Links {
    All,
    /// All but one at the end of the path, which is taken as it is.
    ButTheLast,
    /// Those on the mount with this id; any other is EXDEV.
    OfMount(u64),
}

/// A name that is missing on the way.
#[derive(Debug)]
pub struct Missing<'a> {
    /// Where it is missing.
    pub folder: BorrowedFd<'a>,
    /// The real names of that folder, from the root on.
    pub parents: &'a [OsString],
    /// What is missing.
    pub name: &'a OsStr,
    /// Whether the path ends with it; otherwise a folder is needed.
    pub is_last: bool,
}

/// Makes what is missing.
pub type OnMissing<'a> = &'a mut dyn FnMut(&Missing<'_>) -> io::Result<()>;

/// Where a path leads: a name, which may be missing, in a folder, which exists.
struct Place<'a> {
    root: BorrowedFd<'a>,
    /// The folders from the root to here, open, and their real names.
    folders: Vec<OwnedFd>,
    names: Vec<OsString>,
    /// None: the path leads to the folder itself.
    name: Option<OsString>,
}

impl Place<'_> {
    fn folder(&self) -> BorrowedFd<'_> {
        self.folders.last().map_or(self.root, AsFd::as_fd)
    }

    fn missing<'a>(&'a self, name: &'a OsStr, is_last: bool) -> Missing<'a> {
        Missing {
            folder: self.folder(),
            parents: &self.names,
            name,
            is_last,
        }
    }

    fn open(&self, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
        match &self.name {
            Some(name) => openat(self.folder(), name, flags | OFlags::NOFOLLOW, mode),
            None => openat(self.folder(), ".", flags, mode),
        }
    }

    /// Where the link `name` leads from here; none where it is no link. A missing name is no link: the open that follows reports it.
    fn link(&self, name: &OsStr, follow: Links) -> io::Result<Option<OsString>> {
        let folder = self.folder();
        let is_link = match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => false,
            stat => FileType::from_raw_mode(stat?.st_mode) == FileType::Symlink,
        };
        if !is_link {
            return Ok(None);
        }
        if matches!(follow, Links::OfMount(id) if mount_id(folder)? != id) {
            return Err(Errno::XDEV.into());
        }
        let target = readlinkat(folder, name, Vec::new())?;
        Ok(Some(OsString::from_vec(target.into_bytes())))
    }

    fn enter(&mut self, name: OsString, make: OnMissing<'_>) -> io::Result<()> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = || openat(self.folder(), &name, flags, Mode::empty());
        let folder = match open() {
            Err(Errno::NOENT) => {
                make(&self.missing(&name, false))?;
                open()
            }
            answer => answer,
        }?;
        self.folders.push(folder);
        self.names.push(name);
        Ok(())
    }
}

/// Follows `path` component by component. `make` makes a folder that is missing on the way.
fn find_place<'a>(
    root: BorrowedFd<'a>,
    path: &Path,
    follow: Links,
    make: OnMissing<'_>,
) -> io::Result<Place<'a>> {
    let mut place = Place {
        root,
        folders: Vec::new(),
        names: Vec::new(),
        name: None,
    };
    let mut left = components(path.as_os_str());
    let mut links = 0;
    while let Some(name) = left.pop_front() {
        let is_last = left.is_empty();
        let is_taken = is_last && follow == Links::ButTheLast;
        if name == ".." {
            place.folders.pop();
            place.names.pop();
        } else if !is_taken && let Some(target) = place.link(&name, follow)? {
            links += 1;
            if links > MAX_LINKS {
                return Err(Errno::LOOP.into());
            }
            if target.as_bytes().starts_with(b"/") {
                place.folders.clear();
                place.names.clear();
            }
            left = components(&target).into_iter().chain(left).collect();
        } else if is_last {
            place.name = Some(name);
        } else {
            place.enter(name, make)?;
        }
    }
    Ok(place)
}

fn components(path: &OsStr) -> VecDeque<OsString> {
    let keep = |component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    Path::new(path).components().filter_map(keep).collect()
}

/// Whether `fd` is a folder.
pub fn is_folder(fd: impl AsFd) -> io::Result<bool> {
    Ok(FileType::from_raw_mode(fstat(fd)?.st_mode) == FileType::Directory)
}

#[cfg(test)]
mod tests;
