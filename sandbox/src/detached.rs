//! Detached mounts, made by file system type or as copies of what is mounted, and their attaching to open folders and files.
//! No function takes a path that is not trusted. Unaware of what belongs where.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::CWD;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

use crate::sys;

pub const READ_ONLY: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_RDONLY;
pub const NO_SUID: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID;
pub const NO_DEV: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NODEV;
pub const NO_EXEC: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOEXEC;
/// nosuid, nodev, noexec: for what holds no programs.
pub const DATA: MountAttrFlags = NO_SUID.union(NO_DEV).union(NO_EXEC);

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
    Ok(fsmount(
        &context,
        FsMountFlags::FSMOUNT_CLOEXEC,
        attributes,
    )?)
}

/// A bind mount of an open file or folder of this mount namespace. `attributes` are added to those that it has.
pub fn copy(of: impl AsFd, recursive: bool, attributes: MountAttrFlags) -> io::Result<OwnedFd> {
    copy_at(of.as_fd(), Path::new(""), recursive, attributes)
}

/// A bind mount of a trusted path of the host.
pub fn copy_of_host(
    path: &str,
    recursive: bool,
    attributes: MountAttrFlags,
) -> io::Result<OwnedFd> {
    copy_at(CWD, Path::new(path), recursive, attributes)
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

/// Mounts a detached mount over the root of this namespace, where an absolute path does not see it: it gets a place in the mount table,
/// which copying its parts and pivoting need. Who calls takes it away again.
pub fn attach_over_old_root(mount: impl AsFd) -> io::Result<()> {
    Ok(move_mount(
        mount,
        "",
        CWD,
        "/",
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    )?)
}
