//! Layers unpacked to directories, one for each layer and id map.
//!
//! A directory is not synced. One that another boot made is made anew, since nothing tells cheaply whether it survived a power cut whole.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use kiln_oci::{Digest, locked};
use rustix::fs::{AtFlags, unlinkat};

use crate::beneath::{open_dir, open_root};
use crate::lazy::fetch::AT_ONCE;
use crate::path::{name, parent};
use crate::store::database::signed;
use crate::store::lock::wait_for_file;
use crate::store::used::Thing;
use crate::threads::try_parallel;
use crate::view::unpack::unpack;
use crate::{Excess, StoreError, Upper, Views};

impl Views<'_> {
    /// The directories of layers, the topmost first, each once.
    pub(super) fn directories(&self, diff_ids: &[Digest]) -> Result<Vec<PathBuf>, StoreError> {
        self.store.leases().pin(diff_ids)?;
        self.make(diff_ids)?;
        let mut lowers: Vec<PathBuf> = Vec::with_capacity(diff_ids.len());
        for diff_id in diff_ids.iter().rev() {
            let lower = self.of_layer(diff_id)?;
            // overlayfs refuses a lower that is given twice; the upper one of two equal layers already says all that both do
            if !lowers.contains(&lower) {
                lowers.push(lower);
            }
        }
        Ok(lowers)
    }

    /// Makes the directories that are not there, each when its layer has come: while one is fetched another one is unpacked.
    fn make(&self, diff_ids: &[Digest]) -> Result<(), StoreError> {
        let mut missing = Vec::new();
        for diff_id in diff_ids {
            if !missing.contains(diff_id) && !self.is_sound(diff_id)? {
                missing.push(*diff_id);
            }
        }
        // One after the other: each is made on all cores, and a worker thread of rayon that waited for a view's lock could have the
        // thread that holds it below itself on its own stack.
        let unpacks = Mutex::new(());
        try_parallel(&missing, AT_ONCE, |diff_id| {
            self.store.fetch().layers(&[*diff_id])?;
            let _turn = locked(&unpacks);
            self.of_layer(diff_id).map(|_| ())
        })?;
        Ok(())
    }

    /// Makes an upper the view of the layer that was committed from it, by a rename; mounts that use it go on. When the view
    /// exists already, the upper stays in this process's scratch: a step may have it mounted, and who empties the trash does not know
    /// of mounts. What it shows beside the layer is removed, which overlayfs forbids below a mount: nothing may have it mounted where
    /// there is any. Returns where the view is.
    ///
    /// # Errors
    /// Something cannot be removed, or the rename fails.
    pub fn adopt(
        &self,
        upper: &Upper,
        excess: &[Excess],
        diff_id: &Digest,
    ) -> Result<PathBuf, StoreError> {
        self.store.leases().pin(&[*diff_id])?;
        let path = self.path(diff_id);
        let _turn = self.turn(diff_id)?;
        if self.is_sound(diff_id)? {
            return Ok(path);
        }
        remove(excess, &upper.upper)?;
        let size = self.store.layers().index(diff_id)?.tar_size;
        self.install(&upper.upper, diff_id, size)?;
        if let Some(scratch) = upper.work.parent() {
            self.store.trash().put(scratch)?;
        }
        Ok(path)
    }

    pub(crate) fn path(&self, diff_id: &Digest) -> PathBuf {
        let id_map = &self.store.inner.options.id_map_key;
        let views = self.store.root().join("views");
        views.join(id_map).join(diff_id.hex())
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
        let made = unpack(&layer, &scratch, self.target(), self.store);
        let installed = made.and_then(|size| self.install(&scratch, diff_id, size));
        if installed.is_err() {
            // the error that is reported is the first one
            let _ = self.store.trash().put(&scratch);
        }
        installed.map(|()| path)
    }

    /// One process at a time makes a view or throws a stale one away.
    fn turn(&self, diff_id: &Digest) -> Result<impl Drop + use<>, StoreError> {
        let name = format!("view-{}", diff_id.hex());
        let path = self.store.root().join("locks").join(name);
        wait_for_file(&path, self.store.waiter(), "it unpacks a layer")
    }

    /// Whether there is a view that this boot made.
    fn is_sound(&self, diff_id: &Digest) -> Result<bool, StoreError> {
        let options = &self.store.inner.options;
        let query = "SELECT boot = ?3 FROM views WHERE id_map = ?1 AND diff_id = ?2";
        let known: Option<bool> = self.store.db().row(
            query,
            (&options.id_map_key, diff_id.as_bytes(), &options.boot_id),
            |row| row.get(0),
        )?;
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
        self.store.db().execute(upsert, row)
    }
}

fn remove(excess: &[Excess], upper: &Path) -> Result<(), StoreError> {
    if excess.is_empty() {
        return Ok(());
    }
    let failed = |source| StoreError::io("clear", upper, source);
    let root = open_root(upper).map_err(failed)?;
    let mut each = excess.iter();
    each.try_for_each(|excess| remove_beneath(root.as_fd(), excess))
        .map_err(failed)
}

fn remove_beneath(root: BorrowedFd<'_>, excess: &Excess) -> io::Result<()> {
    let above = open_dir(root, parent(&excess.path).unwrap_or_default())?;
    let flags = match excess.is_directory {
        true => AtFlags::REMOVEDIR,
        false => AtFlags::empty(),
    };
    Ok(unlinkat(above, name(&excess.path), flags)?)
}
