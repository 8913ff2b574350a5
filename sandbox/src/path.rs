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
/// Without `openat2` every component is opened by itself and links are followed by hand; `..` goes back to the folder that
/// was come from, so that a folder that is moved meanwhile cannot lead out.
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

/// As [`open_in_root`], but only links of the mount that `root` lies on are followed: whoever fills another mount, which may be shared
/// with a process that runs now, has no say in where the path leads. `make` is called for what is missing, with a folder, a name, and
/// whether it is the last one.
///
/// # Errors
/// EXDEV for a link on another mount, else as `openat2(2)`.
pub fn open_without_foreign_links(
    root: BorrowedFd<'_>,
    path: &Path,
    disabled: Disabled,
    make: &mut dyn FnMut(BorrowedFd<'_>, &OsStr, bool) -> io::Result<()>,
) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    if !disabled.has(Feature::Openat2)
        && let Ok(opened) = resolve(root, path, flags, Mode::empty(), ResolveFlags::NO_XDEV)
    {
        return Ok(opened);
    }
    let links = Links::OfMount(mount_id(root)?);
    let place = find_place(root, path, links, &mut |folder, names| {
        make(
            folder,
            names.last().map_or(OsStr::new("."), OsString::as_os_str),
            false,
        )
    })?;
    let folder = place.folder.as_ref().map_or(root, AsFd::as_fd);
    let Some(name) = place.name else {
        return Ok(openat(folder, ".", flags, Mode::empty())?);
    };
    let open = || openat(folder, &name, flags | OFlags::NOFOLLOW, Mode::empty());
    let opened = match open() {
        Err(Errno::NOENT) => {
            make(folder, &name, true)?;
            open()
        }
        answer => answer,
    }?;
    // It was none a moment ago; somebody is at work here.
    if FileType::from_raw_mode(fstat(&opened)?.st_mode) == FileType::Symlink {
        return Err(Errno::XDEV.into());
    }
    Ok(opened)
}

/// One `openat2` that stays below `root`.
fn resolve(
    root: BorrowedFd<'_>,
    path: &Path,
    flags: OFlags,
    mode: Mode,
    also: ResolveFlags,
) -> Result<OwnedFd, Errno> {
    // An empty path is the root itself, as it is for the walk.
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
    let place = find_place(root, path, links, &mut |_, _| Err(Errno::NOENT.into()))?;
    let folder = place.folder.as_ref().map_or(root, AsFd::as_fd);
    match place.name {
        Some(name) => Ok(openat(folder, name, flags | OFlags::NOFOLLOW, mode)?),
        None => Ok(openat(folder, ".", flags, mode)?),
    }
}

/// Where a path leads: a name, which may be missing, in a folder, which is there.
#[derive(Debug, Default)]
pub struct Place {
    /// None: the root.
    pub folder: Option<OwnedFd>,
    /// The real names of `folder`, from the root on.
    pub names: Vec<OsString>,
    /// None: the path leads to `folder` itself.
    pub name: Option<OsString>,
}

/// Which symbolic links are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// All.
    All,
    /// All but one at the end of the path, which is taken as it is.
    ButTheLast,
    /// Those on the mount of this id; another one is EXDEV.
    OfMount(u64),
}

/// Called with a folder and the real names of what is missing in it; when it succeeds, the last of them is there.
pub type OnMissing<'a> = &'a mut dyn FnMut(BorrowedFd<'_>, &[OsString]) -> io::Result<()>;

/// Follows `path` by component. A missing folder on the way is left to `missing`.
pub fn find_place(
    root: BorrowedFd<'_>,
    path: &Path,
    follow: Links,
    missing: OnMissing<'_>,
) -> io::Result<Place> {
    let mut folders: Vec<OwnedFd> = Vec::new();
    let mut names: Vec<OsString> = Vec::new();
    let mut left = components(path.as_os_str());
    let mut links = 0;
    while let Some(name) = left.pop_front() {
        if name == ".." {
            folders.pop();
            names.pop();
            continue;
        }
        let folder = folders.last().map_or(root, AsFd::as_fd);
        let last = left.is_empty();
        if !(last && follow == Links::ButTheLast) && is_link(folder, &name)? {
            if matches!(follow, Links::OfMount(id) if mount_id(folder)? != id) {
                return Err(Errno::XDEV.into());
            }
            links += 1;
            if links > MAX_LINKS {
                return Err(Errno::LOOP.into());
            }
            let target = OsString::from_vec(readlinkat(folder, &name, Vec::new())?.into_bytes());
            if target.as_bytes().starts_with(b"/") {
                folders.clear();
                names.clear();
            }
            components(&target)
                .into_iter()
                .rev()
                .for_each(|component| left.push_front(component));
            continue;
        }
        if last {
            return Ok(Place {
                folder: folders.pop(),
                names,
                name: Some(name),
            });
        }
        names.push(name);
        let next = enter_folder(folder, &names, missing)?;
        folders.push(next);
    }
    Ok(Place {
        folder: folders.pop(),
        names,
        name: None,
    })
}

fn enter_folder(
    folder: BorrowedFd<'_>,
    names: &[OsString],
    missing: OnMissing<'_>,
) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let name = names.last().map_or(OsStr::new("."), OsString::as_os_str);
    match openat(folder, name, flags, Mode::empty()) {
        Err(Errno::NOENT) => {
            missing(folder, names)?;
            Ok(openat(folder, name, flags, Mode::empty())?)
        }
        answer => Ok(answer?),
    }
}

/// A name that is not there is no link: the open that follows says so, or makes it.
fn is_link(folder: BorrowedFd<'_>, name: &OsStr) -> io::Result<bool> {
    match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Symlink),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
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
