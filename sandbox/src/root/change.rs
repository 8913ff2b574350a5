//! The change of root: makes a mounted root the root of the mount namespace and lets go of the host's tree.
//! Unaware of what is mounted in the root.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags, open, statx};
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{chdir, chroot, fchdir, pivot_root};

use crate::root::detached;
use crate::{Disabled, Feature, SpawnError};

/// Makes `root` the root of the mount namespace and lets go of the host's tree.
///
/// Where pivot_root is refused (profiles of docker and containerd) or impossible (an initramfs), the root stays mounted over the old one,
/// as after switch_root(8). No path leads below it: `..` in it finds no parent, since it is mounted on the root of the namespace.
pub fn enter_root(root: &OwnedFd, disabled: Disabled) -> Result<(), SpawnError> {
    let of = SpawnError::of::<Errno>;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let old = open("/", flags, Mode::empty()).map_err(of("open the old root"))?;
    detached::attach_over_old_root(root).map_err(SpawnError::of("mount the root"))?;
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

/// Whether pivot_root is allowed, tried in a child: for a root that is mounted nowhere it fails, but not as if it were forbidden.
pub fn can_pivot(disabled: Disabled) -> bool {
    !matches!(pivot(disabled), Err(Errno::PERM | Errno::ACCESS))
}

/// The old root was mounted over the new one's root folder, where an absolute path does not see it, but `..` does. This checks that
/// it is really gone.
fn check_alone(root: &OwnedFd) -> Result<(), SpawnError> {
    let id = |path: &str| {
        let mask = StatxFlags::MNT_ID | StatxFlags::INO;
        let stat = statx(root.as_fd(), path, AtFlags::EMPTY_PATH, mask)
            .map_err(SpawnError::of("statx the root"))?;
        let device = (stat.stx_dev_major, stat.stx_dev_minor);
        Ok((stat.stx_mnt_id, device, stat.stx_ino))
    };
    if id("")? == id("..")? {
        return Ok(());
    }
    let busy = io::Error::from_raw_os_error(libc::EBUSY);
    Err(SpawnError::of("let go of the host's root")(busy))
}
