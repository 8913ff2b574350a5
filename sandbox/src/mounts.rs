//! The mounts that a spec asks for, and the change of root. Unaware of `/proc`, `/sys` and `/dev`.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags, mkdirat, open, openat, statx};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, UnmountFlags, unmount};
use rustix::process::{chdir, chroot, fchdir, pivot_root};

use crate::detached::{self, NO_DEV, NO_SUID, READ_ONLY};
use crate::files::Files;
use crate::init::{Given, Source};
use crate::path::open_without_foreign_links;
use crate::supervisor::open_source;
use crate::wire::Failure;
use crate::{Disabled, Feature, Mount, MountKind, RunSpec};

/// All mounts of the spec, open and not yet attached.
#[derive(Debug)]
pub struct Detached(Vec<OwnedFd>);

impl Detached {
    /// Opens them while the host's tree is still there.
    pub fn open(spec: &RunSpec, sources: Vec<Source>, given: &Given) -> Result<Self, Failure> {
        let mut files = Files::default();
        let mut mounts = Vec::new();
        for (mount, source) in spec.mounts.iter().zip(sources) {
            mounts.push(match (&mount.kind, source) {
                (_, Source::Opened(tree)) => tree,
                (MountKind::Tmpfs { size, mode }, _) => tmpfs(*size, *mode, read_only(mount))?,
                (MountKind::File { .. } | MountKind::Socket { .. }, _) => files
                    .add(mount, &given.sockets)
                    .map_err(Failure::at("make the file", &mount.target))?,
                (MountKind::Root { index, path }, _) => {
                    let root = given
                        .roots
                        .get(*index)
                        .ok_or_else(|| Failure::Invalid(format!("no extra root mount {index}")))?;
                    part_of_root(root, path, spec, mount)
                        .map_err(Failure::at("open the mount source", path))?
                }
                (MountKind::Bind { .. }, Source::Made) => {
                    return Err(Failure::Invalid(format!("{} was not opened", mount.target)));
                }
            });
        }
        files
            .close()
            .map_err(Failure::of("unmount the folder of files"))?;
        Ok(Self(mounts))
    }

    /// Attaches them in the spec's order. A mount point that an earlier mount covers is made in that mount.
    pub fn attach(self, root: BorrowedFd<'_>, spec: &RunSpec) -> Result<(), Failure> {
        for (mount, tree) in spec.mounts.iter().zip(self.0) {
            let point = mount_point(root, mount, &tree, spec)
                .map_err(|error| explained(error, &mount.target))?;
            detached::attach(tree, point).map_err(Failure::at("mount", &mount.target))?;
        }
        Ok(())
    }
}

pub fn read_only(mount: &Mount) -> MountAttrFlags {
    if mount.read_only {
        READ_ONLY
    } else {
        MountAttrFlags::empty()
    }
}

fn mount_point(
    root: BorrowedFd<'_>,
    mount: &Mount,
    tree: &OwnedFd,
    spec: &RunSpec,
) -> io::Result<OwnedFd> {
    let is_folder = crate::path::is_folder(tree)?;
    // The supervisor has made the mount points of the root itself, so this is inside an earlier mount, which is not part of any layer.
    // Another process may be in it, in a cache that several runs use.
    let mut make = |folder: BorrowedFd<'_>, name: &OsStr, last: bool| {
        let made = if is_folder || !last {
            mkdirat(folder, name, Mode::from_raw_mode(0o755))
        } else {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
            openat(folder, name, flags, Mode::from_raw_mode(0o644)).map(drop)
        };
        match made {
            Err(Errno::EXIST) | Ok(()) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    };
    open_without_foreign_links(root, Path::new(&mount.target), spec.disabled, &mut make)
}

/// A link inside an earlier mount would let whoever fills that mount, perhaps right now, choose what is mounted over.
fn explained(error: io::Error, target: &str) -> Failure {
    let linked = error.raw_os_error() == Some(libc::EXDEV);
    let failure = Failure::at("open the mount point", target)(error);
    if linked {
        failure.with_hint("inside another mount no symbolic link may lead to a mount point")
    } else {
        failure
    }
}

/// A file system in memory; `size` in bytes.
pub fn tmpfs(size: Option<u64>, mode: u32, attributes: MountAttrFlags) -> Result<OwnedFd, Failure> {
    let (size, mode) = (size.map(|size| size.to_string()), format!("{mode:o}"));
    let mut options = vec![("mode", mode.as_str())];
    options.extend(size.as_ref().map(|size| ("size", size.as_str())));
    detached::filesystem("tmpfs", &options, attributes | NO_SUID | NO_DEV)
        .map_err(Failure::of("mount a tmpfs"))
}

fn part_of_root(root: &OwnedFd, path: &str, spec: &RunSpec, mount: &Mount) -> io::Result<OwnedFd> {
    detached::attach_over_old_root(root)?;
    let part = open_source(root.as_fd(), path, spec)?;
    let copy = detached::copy(part, false, NO_SUID | NO_DEV | read_only(mount))?;
    unmount_top(root)?;
    Ok(copy)
}

/// Unmounts a mount that nothing is mounted on.
pub fn unmount_top(mount: &OwnedFd) -> io::Result<()> {
    fchdir(mount)?;
    unmount(".", UnmountFlags::DETACH)?;
    Ok(chdir("/")?)
}

/// Makes `root` the root of the mount namespace and lets go of the host's tree.
///
/// Where pivot_root is refused (profiles of docker and containerd) or impossible (an initramfs), the root stays mounted over the old one,
/// as after switch_root(8). No path leads below it: `..` in it finds no parent, since it is mounted on the root of the namespace.
pub fn enter_root(root: &OwnedFd, disabled: Disabled) -> Result<(), Failure> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let old = open("/", flags, Mode::empty()).map_err(of("open the old root"))?;
    detached::attach_over_old_root(root).map_err(Failure::of("mount the root"))?;
    fchdir(root).map_err(of("fchdir to the root"))?;
    match pivot(disabled) {
        Ok(()) => {
            fchdir(&old).map_err(of("fchdir to the old root"))?;
            unmount(".", UnmountFlags::DETACH).map_err(of("unmount the old root"))?;
        }
        Err(Errno::PERM | Errno::ACCESS | Errno::INVAL) => {
            check_alone(root)?;
            chroot(".").map_err(of("chroot to the root"))?;
        }
        Err(errno) => return Err(of("pivot_root")(errno)),
    }
    chdir("/").map_err(of("chdir to the root"))?;
    check_alone(root)
}

fn pivot(disabled: Disabled) -> Result<(), Errno> {
    if disabled.has(Feature::PivotRoot) {
        return Err(Errno::PERM);
    }
    pivot_root(".", ".")
}

/// Whether pivot_root works, tried in a child: its answer on a root that is mounted nowhere is another one than a refusal.
pub fn can_pivot(disabled: Disabled) -> bool {
    !matches!(pivot(disabled), Err(Errno::PERM | Errno::ACCESS))
}

fn of(step: &'static str) -> impl FnOnce(Errno) -> Failure {
    move |errno| Failure::of(step)(errno.into())
}

/// The old root was mounted over the new one's root folder, where an absolute path does not see it, but `..` does. This looks whether
/// it is really gone.
fn check_alone(root: &OwnedFd) -> Result<(), Failure> {
    let id = |folder: BorrowedFd<'_>, path: &str| {
        let stat = statx(
            folder,
            path,
            AtFlags::EMPTY_PATH,
            StatxFlags::MNT_ID | StatxFlags::INO,
        )?;
        Ok((
            stat.stx_mnt_id,
            stat.stx_dev_major,
            stat.stx_dev_minor,
            stat.stx_ino,
        ))
    };
    let of = |errno: rustix::io::Errno| Failure::of("statx the root")(errno.into());
    if id(root.as_fd(), "").map_err(of)? == id(root.as_fd(), "..").map_err(of)? {
        return Ok(());
    }
    Err(Failure::of("let go of the host's root")(
        io::Error::from_raw_os_error(libc::EBUSY),
    ))
}
