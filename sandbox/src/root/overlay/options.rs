//! What both ways of mounting an overlay share: its options and the advice for their errors. Unaware of the system calls.

use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use rustix::io::Errno;

use super::OverlaySpec;
use crate::MountError;

/// The options of an overlay besides its folders: names, and values where there is one.
pub fn options(
    spec: &OverlaySpec<'_>,
) -> impl Iterator<Item = (&'static str, Option<&'static str>)> {
    let is_volatile = spec.upper.is_some() && !spec.keeps;
    let volatile = is_volatile.then_some(("volatile", None));
    let userxattr = spec.rootless.then_some(("userxattr", None));
    // `nofollow` rather than `off`: together with `userxattr` the kernel accepts nothing else.
    let values = [
        ("redirect_dir", Some("nofollow")),
        ("metacopy", Some("off")),
        ("index", Some("off")),
        ("xino", Some("off")),
    ];
    volatile.into_iter().chain(userxattr).chain(values)
}

/// The name of an open file or folder, for options: it is short, and has no characters that options escape.
pub fn descriptor_name(fd: impl AsFd) -> String {
    format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())
}

/// A failed step, with advice where its error number allows any.
pub fn at(step: &'static str, path: Option<&Path>) -> impl FnOnce(Errno) -> MountError {
    move |errno| MountError::step(step, path, hint(errno))(errno)
}

pub fn hint(errno: Errno) -> Option<String> {
    let hint = match errno {
        Errno::NODEV => "the kernel has no overlay file system (modprobe overlay)",
        Errno::INVAL => {
            "the store may be on a file system that cannot hold an upper layer (overlay, NFS, FAT); put it on a local disk or a tmpfs"
        }
        Errno::PERM => "overlay in a user namespace needs Linux 5.11",
        _ => return None,
    };
    Some(hint.to_owned())
}
