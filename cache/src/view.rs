//! Views and uppers: directories that somebody else mounts.
//!
//! A view is derived from a layer and may be thrown away at any time while nobody holds it.

use std::path::PathBuf;

/// What can be stacked to a root file system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// One directory a layer, the topmost first, as overlayfs wants them. Empty for an image without layers: the mount then
    /// needs an empty directory.
    pub lowers: Vec<PathBuf>,
}

/// The writable layer of one RUN, in this process's scratch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upper {
    /// What overlayfs calls `upperdir`. Its root has mode, owner, time and xattrs of the root below.
    pub upper: PathBuf,
    /// What overlayfs calls `workdir`.
    pub work: PathBuf,
}
