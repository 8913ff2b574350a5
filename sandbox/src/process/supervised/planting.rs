//! Puts into the tree what a run would mount: `/proc`, `/sys`, `/dev`, and the mounts of its spec. Unaware of who runs there.

use std::ffi::{OsStr, OsString};
use std::fs::{File, read_link};
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Uid, chmodat, chownat, makedev, mknodat, openat,
    symlinkat,
};
use rustix::io::Errno;
use rustix::net::{SocketAddrUnix, bind, listen};
use rustix::process::fchdir;

use super::confined::Job;
use super::secrets::Secrets;
use crate::path::open_parent;
use crate::process::prepare::{check, read_spec};
use crate::process::rights::groups_are_denied;
use crate::process::terminal::Borrowed;
use crate::process::wire::{Descriptors, Request};
use crate::root::detached::{open_folder, open_folder_at};
use crate::root::planted::{Planted, Seed};
use crate::root::workdir;
use crate::{Mount, MountKind, SpawnError, sys};

/// The devices of a run: name, and the numbers that Linux gives them (Documentation/admin-guide/devices.txt).
pub const DEVICES: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

const LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

/// Connections that wait to be accepted.
const BACKLOG: i32 = 64;

/// What the request asks for, and a tree in which nothing is planted yet.
pub fn unpack(request: &Request, fds: Vec<OwnedFd>) -> Result<(Job, Planted), SpawnError> {
    let mut fds = Descriptors::after_streams(fds)?;
    let (spec, root, aside) = (read_spec(fds.next()?)?, fds.next()?, fds.next()?);
    let stdin = fds.next_if(request.stdin)?;
    let borrowed = fds.next_if(request.borrowed)?;
    let mut roots: Vec<OwnedFd> = fds.0.collect();
    let sockets = roots.split_off(request.roots.min(roots.len()));
    check(&spec)?;
    workdir::make(root.as_fd(), &spec).map_err(SpawnError::at("make the folder", &spec.cwd))?;
    let job = Job {
        spec,
        root,
        stdin,
        roots,
        sockets,
        groups_are_denied: groups_are_denied(),
        ignored: sys::ignored_signals(),
        borrowed: borrowed.and_then(Borrowed::note),
    };
    Ok((job, Planted::new(aside)))
}

/// Plants everything, in the order in which it would be mounted.
pub fn plant(job: &Job, planted: &mut Planted, secrets: &mut Secrets) -> Result<(), SpawnError> {
    let mut folder = |path: &str, mode| {
        let planted = planted.plant(job.root.as_fd(), Path::new(path), Seed::Folder(mode));
        let opened = planted.and_then(|(folder, name)| open_folder_at(folder, name));
        opened.map_err(SpawnError::at("make", path))
    };
    folder("/proc", 0o555)?;
    folder("/sys", 0o555)?;
    fill(&folder("/dev", 0o755)?).map_err(SpawnError::at("fill", "/dev"))?;
    folder("/dev/shm", 0o1777)?;
    folder("/dev/mqueue", 0o1777)?;
    for mount in &job.spec.mounts {
        let done = plant_mount(job, planted, mount, secrets);
        done.map_err(SpawnError::at("put into the tree", &mount.target))?;
    }
    Ok(())
}

/// A device that may not be made is an empty file: who opens it by its name gets the device all the same.
fn fill(dev: &OwnedFd) -> io::Result<()> {
    let mode = Mode::from_raw_mode(0o666);
    for (name, major, minor) in DEVICES {
        let device = makedev(major, minor);
        match mknodat(dev, name, FileType::CharacterDevice, mode, device) {
            Err(Errno::PERM) => {
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
                openat(dev, name, flags, mode)?;
            }
            made => made?,
        }
        chmodat(dev, name, mode, AtFlags::empty())?;
    }
    for (name, target) in LINKS {
        symlinkat(target, dev, name)?;
    }
    Ok(())
}

fn plant_mount(
    job: &Job,
    planted: &mut Planted,
    mount: &Mount,
    secrets: &mut Secrets,
) -> io::Result<()> {
    let (root, target) = (job.root.as_fd(), Path::new(&mount.target));
    let (is_kept, place) = match &mount.kind {
        MountKind::Tmpfs { mode, .. } => {
            let seed = Seed::Folder(*mode);
            return planted.plant(root, target, seed).map(drop);
        }
        MountKind::File { .. } | MountKind::Socket { .. } => {
            return plant_made(job, planted, mount, secrets);
        }
        MountKind::Bind { base, .. } => (true, place_of(base)?),
        MountKind::Root { index, path } => (false, part(job, *index, path)?),
    };
    let (from, name) = (place.0, &place.1);
    let seed = Seed::Moved {
        from,
        name,
        is_kept,
    };
    planted.plant(root, target, seed).map(drop)
}

/// The folder that holds a trusted path, and its name there.
fn place_of(path: &Path) -> io::Result<(OwnedFd, OsString)> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let parent = open_folder(parent).map_err(|_| io::ErrorKind::NotFound)?;
    Ok((parent, name.to_owned()))
}

/// Where an untrusted path leads in a tree that is given away.
fn part(job: &Job, index: usize, path: &str) -> io::Result<(OwnedFd, OsString)> {
    let root = job.roots.get(index).ok_or(io::ErrorKind::InvalidInput)?;
    if path.trim_matches('/').is_empty() {
        return place_of(&path_of(root.as_fd())?);
    }
    let mut missing = |_: &crate::path::Missing<'_>| Err(Errno::NOENT.into());
    open_parent(root.as_fd(), Path::new(path), &mut missing)
}

/// Where an open folder is, as this process sees it.
pub fn path_of(folder: BorrowedFd<'_>) -> io::Result<PathBuf> {
    read_link(format!("/proc/self/fd/{}", folder.as_raw_fd()))
}

/// Makes what it is in its place. A file that nobody may write is a secret, which is on no disk.
fn plant_made(
    job: &Job,
    planted: &mut Planted,
    mount: &Mount,
    secrets: &mut Secrets,
) -> io::Result<()> {
    let make = |folder: BorrowedFd<'_>, name: &OsStr| match &mount.kind {
        MountKind::File {
            content,
            mode,
            uid,
            gid,
        } if mount.read_only => secrets.plant(folder, name, content, (*mode, *uid, *gid)),
        kind => make(folder, Path::new(name), kind, job),
    };
    planted.make(job.root.as_fd(), Path::new(&mount.target), make)
}

/// Makes a file or a socket with its mode and owner.
fn make(folder: BorrowedFd<'_>, name: &Path, kind: &MountKind, job: &Job) -> io::Result<()> {
    let (mode, uid, gid) = match kind {
        MountKind::File {
            content,
            mode,
            uid,
            gid,
        } => write(folder, name, content).map(|()| (*mode, *uid, *gid))?,
        MountKind::Socket {
            index,
            mode,
            uid,
            gid,
        } => {
            let socket = job.sockets.get(*index).ok_or(io::ErrorKind::InvalidInput)?;
            listen_at(folder, name, socket).map(|()| (*mode, *uid, *gid))?
        }
        _ => return Err(io::ErrorKind::InvalidInput.into()),
    };
    own(folder, name, (uid, gid))?;
    let mode = Mode::from_raw_mode(mode);
    Ok(chmodat(folder, name, mode, AtFlags::empty())?)
}

fn own(folder: BorrowedFd<'_>, name: &Path, (uid, gid): (u32, u32)) -> io::Result<()> {
    if (uid, gid) == (0, 0) {
        return Ok(());
    }
    let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
    Ok(chownat(folder, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?)
}

fn write(folder: BorrowedFd<'_>, name: &Path, content: &[u8]) -> io::Result<()> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = openat(folder, name, flags, Mode::RUSR | Mode::WUSR)?;
    File::from(file).write_all(content)
}

fn listen_at(folder: BorrowedFd<'_>, name: &Path, socket: &OwnedFd) -> io::Result<()> {
    // bind(2) takes a path and no folder.
    fchdir(folder)?;
    bind(socket, &SocketAddrUnix::new(name)?)?;
    rustix::process::chdir("/")?;
    Ok(listen(socket, BACKLOG)?)
}
