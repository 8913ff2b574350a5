//! The mounts that a spec asks for. Unaware of `/proc`, `/sys` and `/dev`.
//!
//! Sources on the host are opened in the caller's mount namespace ([`Source::open`]), everything else is made in the run's own
//! ([`Detached::open`]); both while the host's tree is still there.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, mkdirat, open, openat};
use rustix::io::Errno;

use crate::path::{Missing, is_folder, open_in_root, open_without_foreign_links};
use crate::root::detached::{self, NO_DEV, NO_SUID, read_only};
use crate::root::files::Files;
use crate::{Mount, MountKind, RunSpec, SpawnError};

/// What mounts refer to, as in [`Extra`](crate::Extra).
#[derive(Debug)]
pub struct Given {
    pub roots: Vec<OwnedFd>,
    pub sockets: Vec<OwnedFd>,
}

impl Given {
    fn root(&self, index: usize) -> Result<&OwnedFd, SpawnError> {
        let missing = || SpawnError::Invalid(format!("there is no extra root mount {index}"));
        self.roots.get(index).ok_or_else(missing)
    }
}

/// What is mounted, as far as it can be prepared outside of the run's namespaces.
#[derive(Debug)]
pub enum Source {
    /// A detached copy.
    Opened(OwnedFd),
    /// Made in the new namespaces.
    Made,
}

impl Source {
    /// Opens a mount's source while this process is in the caller's mount namespace. Also says whether its mount point is a folder.
    pub fn open(mount: &Mount, spec: &RunSpec, given: &Given) -> Result<(Self, bool), SpawnError> {
        match &mount.kind {
            MountKind::Tmpfs { .. } => Ok((Self::Made, true)),
            MountKind::File { .. } | MountKind::Socket { .. } => Ok((Self::Made, false)),
            MountKind::Root { index, path } => {
                let opened = open_below(given.root(*index)?, path, spec);
                let folder = opened.and_then(is_folder);
                let folder = folder.map_err(SpawnError::at("open the mount source", path))?;
                Ok((Self::Made, folder))
            }
            MountKind::Bind { base, path } => {
                let copy = || {
                    let mut opened = open(base, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
                    if !path.is_empty() {
                        opened = open_below(&opened, path, spec)?;
                    }
                    let attributes = NO_SUID | NO_DEV | read_only(mount.read_only);
                    let folder = is_folder(&opened)?;
                    let tree = detached::copy(&opened, true, attributes)?;
                    Ok::<_, io::Error>((Self::Opened(tree), folder))
                };
                let shown = base.join(path.trim_start_matches('/'));
                let shown = shown.to_string_lossy();
                copy().map_err(SpawnError::at("open the mount source", &shown))
            }
        }
    }
}

/// Opens an untrusted path inside a source.
fn open_below(root: &OwnedFd, path: &str, spec: &RunSpec) -> io::Result<OwnedFd> {
    let (path, flags) = (Path::new(path), OFlags::PATH);
    open_in_root(root.as_fd(), path, flags, Mode::empty(), spec.disabled)
}

/// All mounts of the spec, open and not yet attached.
#[derive(Debug)]
pub struct Detached(Vec<OwnedFd>);

impl Detached {
    /// Opens them while the host's tree is still there.
    pub fn open(spec: &RunSpec, sources: Vec<Source>, given: &Given) -> Result<Self, SpawnError> {
        let mut files = Files::default();
        let mut mounts = Vec::new();
        for (mount, source) in spec.mounts.iter().zip(sources) {
            mounts.push(match (&mount.kind, source) {
                (_, Source::Opened(tree)) => tree,
                (MountKind::Tmpfs { size, mode }, _) => {
                    detached::tmpfs(*size, *mode, read_only(mount.read_only))
                        .map_err(SpawnError::of("mount a tmpfs"))?
                }
                (MountKind::Root { index, path }, _) => {
                    part_of_root(given.root(*index)?, path, spec, mount)
                        .map_err(SpawnError::at("open the mount source", path))?
                }
                _ => files
                    .add(mount, &given.sockets)
                    .map_err(SpawnError::at("make the file", &mount.target))?,
            });
        }
        files
            .close()
            .map_err(SpawnError::of("unmount the folder of files"))?;
        Ok(Self(mounts))
    }

    /// Attaches them in the spec's order. A mount point that an earlier mount covers is made in that mount.
    pub fn attach(self, root: BorrowedFd<'_>, spec: &RunSpec) -> Result<(), SpawnError> {
        // A link inside an earlier mount would let the process that fills that mount, perhaps right now, choose what is mounted over.
        let advice = "inside another mount no symbolic link may lead to a mount point";
        for (mount, tree) in spec.mounts.iter().zip(self.0) {
            let point = mount_point(root, mount, &tree, spec)
                .map_err(SpawnError::at("open the mount point", &mount.target))
                .map_err(|error| error.with_hint(libc::EXDEV, advice))?;
            detached::attach(tree, point).map_err(SpawnError::at("mount", &mount.target))?;
        }
        Ok(())
    }
}

fn mount_point(
    root: BorrowedFd<'_>,
    mount: &Mount,
    tree: &OwnedFd,
    spec: &RunSpec,
) -> io::Result<OwnedFd> {
    let is_folder = is_folder(tree)?;
    // The mount points in the root itself exist, so this is inside an earlier mount, which is not part of any layer.
    // Another process may be in it, when it is a cache that several runs use.
    let mut make = |missing: &Missing<'_>| {
        let (folder, name) = (missing.folder, missing.name);
        let made = if is_folder || !missing.is_last {
            mkdirat(folder, name, Mode::from_raw_mode(0o755))
        } else {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
            openat(folder, name, flags, Mode::from_raw_mode(0o644)).map(drop)
        };
        match made {
            Err(Errno::EXIST) => Ok(()),
            made => Ok(made?),
        }
    };
    open_without_foreign_links(root, Path::new(&mount.target), spec.disabled, &mut make)
}

fn part_of_root(root: &OwnedFd, path: &str, spec: &RunSpec, mount: &Mount) -> io::Result<OwnedFd> {
    detached::attach_over_old_root(root)?;
    let part = open_below(root, path, spec)?;
    let attributes = NO_SUID | NO_DEV | read_only(mount.read_only);
    let copy = detached::copy(part, false, attributes)?;
    detached::unmount_top(root)?;
    Ok(copy)
}
