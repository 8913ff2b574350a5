//! Leases: what a living process has in the store and nobody else may touch.
//!
//! A lease is a file that its process holds locked, a folder of scratch beside it, and rows in the table `pins`. The kernel
//! unlocks the file when the process ends, however it ends; the next process to take a lease throws the rest away. A lease is
//! taken with the first thing written or pinned: reading costs none.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use kiln_oci::{Digest, locked};

use crate::inventory::list;
use crate::store::database::execute_each;
use crate::store::lock::{LockedFile, is_locked, lock_file};
use crate::store::trash;
use crate::{Leases, StoreError};

/// The lease of this process.
#[derive(Debug)]
pub(crate) struct Lease {
    /// Names the lock file, the folder and the pins.
    pub(crate) id: String,
    scratch: Mutex<Folder>,
    pinned: Mutex<HashSet<Digest>>,
    _lock: LockedFile,
}

/// The scratch of a lease: made with the first thing in it.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    /// How many names were given out.
    names: u64,
}

impl Lease {
    fn take(leases: &Path) -> io::Result<Self> {
        loop {
            let id = format!("{}-{:08x}", std::process::id(), random()?);
            let lock_path = leases.join(format!("{id}.lock"));
            let Some(lock) = lock_file(&lock_path)? else {
                continue;
            };
            let path = leases.join(&id);
            return Ok(Self {
                id,
                scratch: Mutex::new(Folder { path, names: 0 }),
                pinned: Mutex::default(),
                _lock: lock,
            });
        }
    }

    /// A new name in the scratch folder.
    pub(crate) fn scratch(&self, prefix: &str) -> Result<PathBuf, StoreError> {
        let mut folder = locked(&self.scratch);
        if folder.names == 0 {
            let made = std::fs::create_dir(&folder.path);
            made.map_err(|source| StoreError::io("make", &folder.path, source))?;
        }
        folder.names += 1;
        Ok(folder.path.join(format!("{prefix}-{}", folder.names)))
    }

    /// Throws the scratch folder away, which is a rename: most disks take longer to remove a folder. The next thing in it makes it anew.
    pub(crate) fn discard(&self, root: &Path) -> Result<(), StoreError> {
        let mut folder = locked(&self.scratch);
        if folder.names > 0 {
            trash::put(root, &folder.path)?;
            folder.names = 0;
        }
        Ok(())
    }
}

/// Random bits for names that must not meet those of another process.
pub(crate) fn random() -> io::Result<u32> {
    let mut bytes = [0; 4];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(u32::from_ne_bytes(bytes))
}

impl Leases<'_> {
    /// This process's lease, taken on first use.
    pub(crate) fn own(&self) -> Result<Arc<Lease>, StoreError> {
        self.store.writable()?;
        let mut slot = locked(&self.store.inner.lease);
        if let Some(lease) = &*slot {
            return Ok(lease.clone());
        }
        let leases = self.folder();
        self.collect_dead()?;
        let lease = Lease::take(&leases);
        let lease = lease.map_err(|source| StoreError::io("make a lease in", &leases, source))?;
        Ok(slot.insert(Arc::new(lease)).clone())
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.store.root().join("leases")
    }

    /// Throws away what processes left behind that are gone.
    pub(crate) fn collect_dead(&self) -> Result<(), StoreError> {
        for id in self.ids()? {
            let lock_path = self.folder().join(format!("{id}.lock"));
            let failed = |source| StoreError::io("lock", &lock_path, source);
            let Some(_dead) = lock_file(&lock_path).map_err(failed)? else {
                continue;
            };
            let scratch = self.folder().join(&id);
            self.store.trash().put(&scratch)?;
            self.unpin(&id)?;
        }
        Ok(())
    }

    /// Throws away what this process has left behind itself.
    pub(crate) fn discard_own(&self) -> Result<(), StoreError> {
        let own = locked(&self.store.inner.lease).clone();
        own.map_or(Ok(()), |lease| lease.discard(self.store.root()))
    }

    pub(crate) fn unpin(&self, lease: &str) -> Result<(), StoreError> {
        let delete = "DELETE FROM pins WHERE lease = ?1";
        self.store.db().execute(delete, [lease])
    }

    /// Names of all leases, living or dead, sorted.
    pub(crate) fn ids(&self) -> Result<Vec<String>, StoreError> {
        let mut ids = std::collections::BTreeSet::new();
        for entry in list(&self.folder())? {
            let name = entry.file_name().to_string_lossy().into_owned();
            ids.insert(name.strip_suffix(".lock").unwrap_or(&name).to_owned());
        }
        Ok(ids.into_iter().collect())
    }

    /// Names of the leases whose process lives.
    pub(crate) fn living(&self) -> Result<Vec<String>, StoreError> {
        let own = locked(&self.store.inner.lease).clone();
        let is_own = |id: &String| own.as_ref().is_some_and(|own| own.id == *id);
        let mut living = Vec::new();
        for id in self.ids()? {
            let path = self.folder().join(format!("{id}.lock"));
            let is_held =
                || is_locked(&path).map_err(|source| StoreError::io("lock", &path, source));
            if is_own(&id) || is_held()? {
                living.push(id);
            }
        }
        Ok(living)
    }

    /// Protects blobs, layers and views from removal for the life of this process. Look afterwards whether the thing is still there:
    /// what a prune removed before is gone, what is there after the pin stays.
    ///
    /// # Errors
    /// The database fails.
    pub fn pin(&self, digests: &[Digest]) -> Result<(), StoreError> {
        if self.store.inner.options.read_only {
            return Ok(());
        }
        let lease = self.own()?;
        let mut pinned = locked(&lease.pinned);
        let new = digests.iter().filter(|digest| !pinned.contains(digest));
        let new: Vec<Digest> = new.copied().collect();
        if !new.is_empty() {
            let insert = "INSERT OR IGNORE INTO pins (lease, digest) VALUES (?1, ?2)";
            self.each(insert, &lease.id, &new)?;
            pinned.extend(new);
        }
        Ok(())
    }

    /// Gives up all of this process's own pins.
    pub(crate) fn release_all(&self) -> Result<(), StoreError> {
        let Some(lease) = locked(&self.store.inner.lease).clone() else {
            return Ok(());
        };
        let pinned: Vec<Digest> = locked(&lease.pinned).iter().copied().collect();
        self.release(&pinned)
    }

    /// Gives up this process's own pins on these.
    pub(crate) fn release(&self, digests: &[Digest]) -> Result<(), StoreError> {
        let lease = self.own()?;
        let mut pinned = locked(&lease.pinned);
        let delete = "DELETE FROM pins WHERE lease = ?1 AND digest = ?2";
        self.each(delete, &lease.id, digests)?;
        pinned.retain(|digest| !digests.contains(digest));
        Ok(())
    }

    fn each(&self, statement: &str, lease: &str, digests: &[Digest]) -> Result<(), StoreError> {
        let rows = digests.iter().map(|digest| (lease, digest.as_bytes()));
        let database = self.store.db();
        database.write_lightly(|transaction| execute_each(transaction, statement, rows))
    }
}
