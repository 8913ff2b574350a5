//! Files and sockets in memory, each mounted by itself: `/etc/hosts`, secrets, an agent's socket. Unaware of what they are for.
//!
//! They stand in one tmpfs that never is in the run's tree: it is in the mount table only while the copies are made.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid, chmodat, chownat, fchmod, fchown, openat};
use rustix::net::{SocketAddrUnix, bind, listen};
use rustix::process::{chdir, fchdir};

use crate::detached::{self, DATA, NO_DEV, NO_SUID};
use crate::mounts::{read_only, tmpfs, unmount_top};
use crate::{Mount, MountKind};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 64;

/// The file system of all files of a spec, made for the first of them.
#[derive(Debug, Default)]
pub struct Files {
    folder: Option<OwnedFd>,
    count: u32,
}

impl Files {
    /// Makes what `mount` describes, and a detached mount of it.
    pub fn add(&mut self, mount: &Mount, sockets: &[OwnedFd]) -> io::Result<OwnedFd> {
        self.count += 1;
        let name = self.count.to_string();
        let folder = self.folder()?;
        match &mount.kind {
            MountKind::File {
                content,
                mode,
                uid,
                gid,
            } => {
                let made = file(folder, &name, content)?;
                if (*uid, *gid) != (0, 0) {
                    let owner = (Uid::from_raw(*uid), Gid::from_raw(*gid));
                    fchown(&made, Some(owner.0), Some(owner.1))?;
                }
                fchmod(&made, Mode::from_raw_mode(*mode))?;
                // A script given as a file must run; everything else is data.
                let kind = if mode & 0o111 == 0 {
                    DATA
                } else {
                    NO_SUID.union(NO_DEV)
                };
                detached::copy(made, false, read_only(mount) | kind)
            }
            MountKind::Socket {
                index,
                mode,
                uid,
                gid,
            } => {
                let socket = sockets.get(*index).ok_or(io::ErrorKind::InvalidInput)?;
                let made = listening(folder, &name, socket, *mode, (*uid, *gid))?;
                detached::copy(made, false, read_only(mount) | DATA)
            }
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    fn folder(&mut self) -> io::Result<&OwnedFd> {
        Ok(match &mut self.folder {
            Some(folder) => folder,
            none => {
                let folder = tmpfs(None, 0o700, NO_SUID.union(NO_DEV))
                    .map_err(|_| io::Error::from_raw_os_error(libc::ENOMEM))?;
                detached::attach_over_old_root(&folder)?;
                none.insert(folder)
            }
        })
    }

    /// Takes the folder out of the mount table; the copies of its files stay.
    pub fn close(self) -> io::Result<()> {
        self.folder.as_ref().map_or(Ok(()), unmount_top)
    }
}

fn file(folder: &OwnedFd, name: &str, content: &[u8]) -> io::Result<OwnedFd> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
    let file = openat(folder, name, flags, Mode::from_raw_mode(0o600))?;
    let mut left = content;
    while !left.is_empty() {
        let written = rustix::io::write(&file, left)?;
        left = left.get(written..).unwrap_or_default();
    }
    Ok(file)
}

/// Gives the caller's socket a name here, and lets it listen: whoever holds the other descriptor of it accepts.
fn listening(
    folder: &OwnedFd,
    name: &str,
    socket: &OwnedFd,
    mode: u32,
    owner: (u32, u32),
) -> io::Result<OwnedFd> {
    // bind(2) takes a path and no folder.
    fchdir(folder)?;
    bind(socket, &SocketAddrUnix::new(name)?)?;
    chdir("/")?;
    // Nobody else sees the folder, so the name is what was made.
    let owner = (Uid::from_raw(owner.0), Gid::from_raw(owner.1));
    if !owner.0.is_root() || !owner.1.is_root() {
        chownat(
            folder,
            name,
            Some(owner.0),
            Some(owner.1),
            AtFlags::SYMLINK_NOFOLLOW,
        )?;
    }
    chmodat(folder, name, Mode::from_raw_mode(mode), AtFlags::empty())?;
    listen(socket, BACKLOG)?;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(folder.as_fd(), name, flags, Mode::empty())?)
}
