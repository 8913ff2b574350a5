//! Where the changes of a run can go: into a folder of the store, into memory, or into a copy of the whole tree. This is what file system
//! and kernel say of themselves; only the mount shows the rest. Unaware of what is run.

use std::path::Path;

use rustix::fs::statfs;
use rustix::system::uname;

use crate::{Disabled, Feature};

/// Where they go, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangesIn {
    /// The upper folder of an overlay, in the store.
    Store,
    /// The upper folder of an overlay, in a [`MemoryFolder`](crate::MemoryFolder).
    Memory,
    /// A copy of the tree; there is no overlay.
    Copy,
}

/// `OVERLAYFS_SUPER_MAGIC` of linux/magic.h.
const OVERLAY: i128 = 0x794c_7630;
/// The first Linux whose overlayfs accepts files as whiteouts: another overlay cannot hold the devices that were used before.
const WHITEOUT_FILES: (u32, u32) = (6, 7);

/// Whether `store`, which need not exist yet, is on overlayfs, as the root of most containers is.
#[must_use]
pub fn is_on_overlay(store: &Path) -> bool {
    // the field is signed or 32 bits wide on some architectures
    statfs(existing(store)).is_ok_and(|stat| i128::from(stat.f_type) & 0xffff_ffff == OVERLAY)
}

/// The best place for the changes of runs with this store, as far as that is known without trying.
#[must_use]
pub fn best_place(store: &Path, disabled: Disabled) -> ChangesIn {
    let on_overlay = is_on_overlay(store);
    if !on_overlay && !disabled.has(Feature::OverlayUpper) {
        ChangesIn::Store
    } else if disabled.has(Feature::TmpfsUpper) || (on_overlay && version() < WHITEOUT_FILES) {
        ChangesIn::Copy
    } else {
        ChangesIn::Memory
    }
}

/// The kernel's version, its first two numbers.
pub fn version() -> (u32, u32) {
    let uname = uname();
    let release = uname.release().to_string_lossy();
    let mut numbers = release
        .split(['.', '-'])
        .map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// The folder itself, or the first one above it that exists.
pub fn existing(store: &Path) -> &Path {
    store
        .ancestors()
        .find(|folder| folder.is_dir())
        .unwrap_or(Path::new("/"))
}
