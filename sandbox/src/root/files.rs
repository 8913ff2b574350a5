//! Files and sockets in memory, each mounted by itself: `/etc/hosts`, secrets, an agent's socket. Unaware of what they are for.
//!
//! They stand in one tmpfs that is never in the run's tree: it is in the mount table only while the copies are made.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid, chmodat, chownat, openat};
use rustix::net::{SocketAddrUnix, bind, listen};
use rustix::process::{chdir, fchdir};

use crate::root::detached::{self, DATA, NO_DEV, NO_SUID, read_only};
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
        let (mode, uid, gid) = make(folder, &name, &mount.kind, sockets)?;
        // Nobody else sees the folder, so the name is what was made.
        if (uid, gid) != (0, 0) {
            let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
            chownat(
                folder,
                &name,
                Some(uid),
                Some(gid),
                AtFlags::SYMLINK_NOFOLLOW,
            )?;
        }
        chmodat(folder, &name, Mode::from_raw_mode(mode), AtFlags::empty())?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = openat(folder, &name, flags, Mode::empty())?;
        // A script given as a file must run; everything else is data.
        let kind = if mode & 0o111 == 0 {
            DATA
        } else {
            NO_SUID | NO_DEV
        };
        detached::copy(made, false, read_only(mount.read_only) | kind)
    }

    fn folder(&mut self) -> io::Result<&OwnedFd> {
        Ok(match &mut self.folder {
            Some(folder) => folder,
            none => {
                let folder = detached::tmpfs(None, 0o700, NO_SUID | NO_DEV)?;
                detached::attach_over_old_root(&folder)?;
                none.insert(folder)
            }
        })
    }

    /// Takes the folder out of the mount table; the copies of its files stay.
    pub fn close(self) -> io::Result<()> {
        self.folder.as_ref().map_or(Ok(()), detached::unmount_top)
    }
}

/// Makes it, and says which mode, owner and group it is to have.
fn make(
    folder: &OwnedFd,
    name: &str,
    kind: &MountKind,
    sockets: &[OwnedFd],
) -> io::Result<(u32, u32, u32)> {
    match kind {
        MountKind::File {
            content,
            mode,
            uid,
            gid,
        } => write(folder, name, content).map(|()| (*mode, *uid, *gid)),
        MountKind::Socket {
            index,
            mode,
            uid,
            gid,
        } => {
            let socket = sockets.get(*index).ok_or(io::ErrorKind::InvalidInput)?;
            listen_at(folder, name, socket).map(|()| (*mode, *uid, *gid))
        }
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}

fn write(folder: &OwnedFd, name: &str, mut content: &[u8]) -> io::Result<()> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = openat(folder, name, flags, Mode::from_raw_mode(0o600))?;
    io::copy(&mut content, &mut std::fs::File::from(file)).map(drop)
}

/// Gives the caller's socket a name here, and lets it listen: the holder of its other descriptor accepts.
fn listen_at(folder: &OwnedFd, name: &str, socket: &OwnedFd) -> io::Result<()> {
    // bind(2) takes a path and no folder.
    fchdir(folder)?;
    bind(socket, &SocketAddrUnix::new(name)?)?;
    chdir("/")?;
    Ok(listen(socket, BACKLOG)?)
}
