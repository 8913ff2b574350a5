//! Views and uppers: directories that somebody else mounts.
//!
//! A view is derived from a layer and may be thrown away while nobody holds it. It is not synced: one that another boot made is
//! made anew, since nothing tells cheaply whether it survived a power cut whole.

pub(crate) mod copy;
mod target;
mod unpack;

use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use kiln_oci::Digest;
use rusqlite::OptionalExtension;

use crate::beneath::open_root;
use crate::store::database::signed;
use crate::store::lock::lock_file;
use crate::store::used::Thing;
use crate::view::target::Target;
use crate::view::unpack::unpack;
use crate::{Chain, StoreError, Views};

/// What can be stacked to a root file system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// One directory for each different layer, the topmost first, as overlayfs wants them. Empty for an image without layers: the mount then
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

impl Views<'_> {
    /// The layers, bottom first, as directories that can be mounted; made on first use, pinned. Equal layers are there once.
    /// Not to be called from a worker thread of rayon.
    ///
    /// # Errors
    /// A layer is missing, or the disk is full.
    pub fn get(&self, diff_ids: &[Digest]) -> Result<View, StoreError> {
        self.store.leases().pin(diff_ids)?;
        let mut to_unpack = Vec::new();
        for diff_id in diff_ids {
            if !self.is_sound(diff_id)? {
                to_unpack.push(*diff_id);
            }
        }
        self.store.fetch().layers(&to_unpack)?;
        let mut lowers: Vec<PathBuf> = Vec::with_capacity(diff_ids.len());
        // One after the other: each is made on all cores, and a worker thread of rayon that waited for a view's lock could have the
        // thread that holds it below itself on its own stack.
        for diff_id in diff_ids.iter().rev() {
            let lower = self.of_layer(diff_id)?;
            // overlayfs refuses a lower that is given twice; the upper one of two equal layers already says all that both do
            if !lowers.contains(&lower) {
                lowers.push(lower);
            }
        }
        Ok(View { lowers })
    }

    /// An empty upper for a RUN above `below`, in this process's scratch.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new_upper(&self, below: &Chain) -> Result<Upper, StoreError> {
        self.upper_in(&self.store.scratch().dir("upper")?, below)
    }

    /// The same in an empty directory of the caller's.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn upper_in(&self, dir: &Path, below: &Chain) -> Result<Upper, StoreError> {
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

    /// Makes an upper the view of the layer that was committed from it, by a rename; mounts that use it go on. When the view
    /// exists already, the upper goes to the trash. Returns where the view is.
    ///
    /// # Errors
    /// The rename fails.
    pub fn adopt(&self, upper: &Upper, diff_id: &Digest) -> Result<PathBuf, StoreError> {
        self.store.leases().pin(&[*diff_id])?;
        let path = self.path(diff_id);
        let _turn = self.turn(diff_id)?;
        if self.is_sound(diff_id)? {
            self.store.trash().put(&upper.upper)?;
        } else {
            let size = self.store.layers().index(diff_id)?.tar_size;
            self.install(&upper.upper, diff_id, size)?;
        }
        if let Some(scratch) = upper.work.parent() {
            self.store.trash().put(scratch)?;
        }
        Ok(path)
    }

    pub(crate) fn path(&self, diff_id: &Digest) -> PathBuf {
        self.store
            .root()
            .join("views")
            .join(&self.store.inner.options.id_map_key)
            .join(diff_id.hex())
    }

    fn of_layer(&self, diff_id: &Digest) -> Result<PathBuf, StoreError> {
        let path = self.path(diff_id);
        self.store.touch(Thing::View, diff_id);
        if self.is_sound(diff_id)? {
            self.store.touch(Thing::Layer, diff_id);
            return Ok(path);
        }
        self.store.writable()?;
        let _turn = self.turn(diff_id)?;
        if self.is_sound(diff_id)? {
            return Ok(path);
        }
        let layer = self.store.layers().get(diff_id)?;
        let scratch = self.store.scratch().dir("view")?;
        let made = unpack(&layer, &scratch, self.target());
        let installed = made.and_then(|size| self.install(&scratch, diff_id, size));
        if installed.is_err() {
            // the error that is reported is the first one
            let _ = self.store.trash().put(&scratch);
        }
        installed.map(|()| path)
    }

    /// Unpacks a layer into an empty directory: a copy that nobody shares.
    pub(crate) fn unpack_into(&self, diff_id: &Digest, path: &Path) -> Result<(), StoreError> {
        unpack(&self.store.layers().get(diff_id)?, path, self.target()).map(|_| ())
    }

    pub(crate) fn target(&self) -> Target {
        Target {
            rootless: self.store.inner.options.rootless,
            keep_owners: self.store.inner.options.single_id,
            is_lower: true,
        }
    }

    /// One process at a time makes a view or throws a stale one away.
    fn turn(&self, diff_id: &Digest) -> Result<impl Drop + use<>, StoreError> {
        let path = self
            .store
            .root()
            .join("locks")
            .join(format!("view-{}", diff_id.hex()));
        let locked =
            lock_file(&path, true).map_err(|source| StoreError::io("lock", &path, source))?;
        locked.ok_or_else(|| StoreError::io("lock", &path, io::ErrorKind::WouldBlock.into()))
    }

    /// Whether there is a view that this boot made.
    fn is_sound(&self, diff_id: &Digest) -> Result<bool, StoreError> {
        let options = &self.store.inner.options;
        let query = "SELECT boot = ?3 FROM views WHERE id_map = ?1 AND diff_id = ?2";
        let known: Option<bool> = self.store.db().query(|connection| {
            let mut statement = connection.prepare_cached(query)?;
            statement
                .query_row(
                    (&options.id_map_key, diff_id.as_bytes(), &options.boot_id),
                    |row| row.get(0),
                )
                .optional()
        })?;
        Ok(known == Some(true) && self.path(diff_id).is_dir())
    }

    /// Moves a finished directory to the view's name; what stood there is stale.
    fn install(&self, made: &Path, diff_id: &Digest, size: u64) -> Result<(), StoreError> {
        let path = self.path(diff_id);
        self.store.trash().put(&path)?;
        self.store.scratch().put_in_place(made, &path)?;
        let options = &self.store.inner.options;
        let upsert = "INSERT INTO views (id_map, diff_id, size, boot, used) VALUES (?1, ?2, ?3, ?4, ?5) \
                      ON CONFLICT DO UPDATE SET size = ?3, boot = ?4, used = ?5";
        let row = (
            &options.id_map_key,
            diff_id.as_bytes(),
            signed(size),
            &options.boot_id,
            self.store.now(),
        );
        self.store
            .db()
            .query(|connection| connection.prepare_cached(upsert)?.execute(row).map(drop))
    }
}
