//! Views and uppers: what can be mounted of layers, and what is written above them. Unaware of mounts.
//!
//! A view is derived from layers and may be thrown away while nobody holds it. A new kind of lower is a file in `view/`, a variant of
//! [`Lower`], and an arm where the engine mounts it. A kind is keyed by the layer, as directories are, or by the chain below it.

pub(crate) mod copy;
mod directory;
mod target;
pub(crate) mod unpack;

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use kiln_oci::Digest;

use crate::beneath::open_root;
use crate::view::target::Target;
use crate::view::unpack::unpack;
use crate::{Chain, StoreError, Views};

/// What can be stacked to a root file system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// What overlayfs takes as lowers, the topmost first. Empty for an image without layers: the mount then needs an empty directory.
    pub lowers: Vec<Lower>,
}

/// Something that overlayfs takes as a lower.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lower {
    /// One layer, unpacked to a directory.
    Directory(PathBuf),
}

impl Lower {
    /// Where it is on the disk.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Directory(path) => path,
        }
    }
}

/// The writable layer of one RUN, in this process's scratch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upper {
    /// What overlayfs calls `upperdir`. Its root has mode, owner, time and xattrs of the root below.
    pub upper: PathBuf,
    /// What overlayfs calls `workdir`.
    pub work: PathBuf,
}

impl Views<'_> {
    /// The layers, bottom first, as something that can be mounted; made on first use, pinned. Equal layers are there once.
    /// Not to be called from a worker thread of rayon.
    ///
    /// # Errors
    /// A layer is missing, or the disk is full.
    pub fn get(&self, diff_ids: &[Digest]) -> Result<View, StoreError> {
        let lowers = self.directories(diff_ids)?.into_iter();
        Ok(View {
            lowers: lowers.map(Lower::Directory).collect(),
        })
    }

    /// An empty upper for a RUN above `below`, in this process's scratch.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new_upper(&self, below: &Chain) -> Result<Upper, StoreError> {
        self.upper_in(&self.store.scratch().dir("upper")?, below)
    }

    /// The same in an empty directory of the caller's. While it is in use there is time for the trash.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn upper_in(&self, dir: &Path, below: &Chain) -> Result<Upper, StoreError> {
        self.store.trash().sweep();
        let upper = Upper {
            upper: dir.join("upper"),
            work: dir.join("work"),
        };
        for path in [&upper.upper, &upper.work] {
            std::fs::create_dir(path).map_err(|source| StoreError::io("make", path, source))?;
        }
        let root = open_root(&upper.upper)
            .map_err(|source| StoreError::io("open", &upper.upper, source))?;
        let applied = self.target().apply(root.as_fd(), below.root().entry);
        applied.map_err(|source| StoreError::io("prepare", &upper.upper, source))?;
        Ok(upper)
    }

    /// Unpacks a layer into an empty directory: a copy that nobody shares.
    pub(crate) fn unpack_into(&self, diff_id: &Digest, path: &Path) -> Result<(), StoreError> {
        let layer = self.store.layers().get(diff_id)?;
        unpack(&layer, path, self.target(), self.store).map(|_| ())
    }

    pub(crate) fn target(&self) -> Target {
        Target {
            rootless: self.store.inner.options.rootless,
            keep_owners: self.store.inner.options.single_id,
            is_lower: true,
        }
    }
}
