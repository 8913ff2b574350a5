//! Detached mounts: made as a new file system or as a copy of what is mounted, then attached to an open folder or file.
//! No function takes an untrusted path. Unaware of what belongs where.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, open, openat};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
    fsconfig_create, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree, unmount,
};
use rustix::process::{chdir, fchdir};

use crate::{MountError, sys};

pub const READ_ONLY: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_RDONLY;
pub const NO_SUID: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID;
pub const NO_DEV: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NODEV;
pub const NO_EXEC: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOEXEC;
/// nosuid, nodev, noexec: for what holds no programs.
pub const DATA: MountAttrFlags = NO_SUID.union(NO_DEV).union(NO_EXEC);

/// `READ_ONLY`, or nothing.
pub fn read_only(yes: bool) -> MountAttrFlags {
    if yes {
        READ_ONLY
    } else {
        MountAttrFlags::empty()
    }
}

/// A new file system in memory, `nosuid` and `nodev`; `size` in bytes.
pub fn tmpfs(size: Option<u64>, mode: u32, attributes: MountAttrFlags) -> io::Result<OwnedFd> {
    let (size, mode) = (size.map(|size| size.to_string()), format!("{mode:o}"));
    let mut options = vec![("mode", mode.as_str())];
    options.extend(size.as_ref().map(|size| ("size", size.as_str())));
    filesystem("tmpfs", &options, attributes | NO_SUID | NO_DEV)
}

/// A new file system of a type.
pub fn filesystem(
    kind: &str,
    options: &[(&str, &str)],
    attributes: MountAttrFlags,
) -> io::Result<OwnedFd> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in options {
        fsconfig_set_string(&context, *key, *value)?;
    }
    fsconfig_create(&context)?;
    let flags = FsMountFlags::FSMOUNT_CLOEXEC;
    Ok(fsmount(&context, flags, attributes)?)
}

/// A bind mount of an open file or folder of this mount namespace. `attributes` are added to those that it has.
pub fn copy(of: impl AsFd, recursive: bool, attributes: MountAttrFlags) -> io::Result<OwnedFd> {
    copy_at(of.as_fd(), Path::new(""), recursive, attributes)
}

/// A bind mount of a trusted path of the host.
pub fn copy_of_host(
    path: impl AsRef<Path>,
    recursive: bool,
    attributes: MountAttrFlags,
) -> io::Result<OwnedFd> {
    copy_at(CWD, path.as_ref(), recursive, attributes)
}

fn copy_at(
    folder: BorrowedFd<'_>,
    path: &Path,
    recursive: bool,
    attributes: MountAttrFlags,
) -> io::Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    let tree = open_tree(folder, path, flags)?;
    if !attributes.is_empty() {
        sys::set_mount_attributes(&tree, attributes, recursive)?;
    }
    Ok(tree)
}

/// Mounts a detached mount on an open file or folder.
pub fn attach(mount: impl AsFd, on: impl AsFd) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(move_mount(mount, "", on, "", flags)?)
}

/// Mounts a detached mount on a fixed name inside a file system that the kernel fills, or that we fill.
pub fn attach_below(mount: impl AsFd, folder: impl AsFd, name: impl AsRef<Path>) -> io::Result<()> {
    attach(mount, open_below(folder, name)?)
}

/// Opens a fixed name inside a file system that the kernel fills, or that we fill. It holds no links to beware of, and none is followed.
pub fn open_below(folder: impl AsFd, name: impl AsRef<Path>) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(folder, name.as_ref(), flags, Mode::empty())?)
}

/// Mounts a detached mount over the root of this namespace, where no absolute path sees it. This gives it a place in the mount table,
/// which is needed to copy parts of it and to pivot. The caller takes it away again.
pub fn attach_over_old_root(mount: impl AsFd) -> io::Result<()> {
    attach_at(mount, Path::new("/"))
}

/// Mounts a detached mount on a trusted path of the host.
pub fn attach_at(mount: impl AsFd, path: &Path) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    Ok(move_mount(mount, "", CWD, path, flags)?)
}

/// Unmounts a mount that nothing is mounted on.
pub fn unmount_top(mount: &OwnedFd) -> io::Result<()> {
    fchdir(mount)?;
    unmount(".", UnmountFlags::DETACH)?;
    Ok(chdir("/")?)
}

/// Opens a trusted folder of the host, to mount it or to name it by its descriptor.
pub fn open_folder(path: &Path) -> Result<OwnedFd, MountError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    open(path, flags, Mode::empty()).map_err(MountError::step("open", Some(path), None))
}

/// Opens a folder by its name in another one, to read and to change it. No link is followed.
pub fn open_folder_at(folder: impl AsFd, name: &OsStr) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(folder, name, flags, Mode::empty())?)
}
