//! The store: opening it. What it does is in the files below and in those of the things it keeps.
//!
//! Unaware of images, layers and contexts here.

pub(crate) mod blobs;
pub(crate) mod damage;
pub(crate) mod database;
pub(crate) mod facets;
pub(crate) mod folders;
pub(crate) mod layers;
pub(crate) mod lease;
pub(crate) mod lock;
pub(crate) mod open;
pub(crate) mod room;
mod scratch;
pub(crate) mod sink;
#[cfg(test)]
mod tests;
pub(crate) mod totals;
mod trash;
pub(crate) mod used;
pub(crate) mod waiting;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use kiln_oci::{Digest, locked};

use crate::exchange::Imports;
use crate::store::database::Database;
use crate::store::lease::Lease;
use crate::store::trash::Sweep;
use crate::store::used::{Thing, Used};
use crate::store::waiting::Waiter;
use crate::{Fetcher, Isolation, LayerIndex, StoreError};

pub use crate::store::lock::KeyLock;

/// How to open a store. Everything that the environment knows is given here.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// The store's folder; made when it does not exist.
    pub root: PathBuf,
    /// Names the id map that views are made for: a file name such as `0-0-4294967295` or `single-1000`.
    pub id_map_key: String,
    /// Overlays are mounted with `userxattr`, so opaque directories are marked with `user.overlay.opaque`.
    pub rootless: bool,
    /// The user namespace maps one id: owners of unpacked files are left alone.
    pub single_id: bool,
    /// `/proc/sys/kernel/random/boot_id`: what another boot wrote is not trusted before it is digested.
    pub boot_id: String,
    /// Nothing is written.
    pub read_only: bool,
    /// The clock.
    pub now: fn() -> SystemTime,
    /// What is done about waits for other processes.
    pub waiter: Arc<dyn Waiter>,
}

/// An open store. Cheap to clone, usable from all threads.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
    /// Fetches blobs that are not here.
    pub(crate) fetcher: Option<Arc<dyn Fetcher>>,
    /// The shared caches that the build imports.
    pub(crate) imports: Arc<Imports>,
    /// The weakest isolation whose results count.
    pub(crate) isolation: Isolation,
}

/// What all clones share. Dropping the last one ends the process's lease.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) options: OpenOptions,
    pub(crate) database: Database,
    pub(crate) lease: Mutex<Option<Arc<Lease>>>,
    /// Blobs that this process has found whole.
    pub(crate) trusted: Mutex<HashSet<Digest>>,
    pub(crate) indexes: Mutex<HashMap<Digest, Arc<LayerIndex>>>,
    pub(crate) used: Used,
    /// Cache mounts that this process has used since they were measured.
    pub(crate) mounts: Mutex<BTreeSet<PathBuf>>,
    pub(crate) sweep: Sweep,
}

impl Store {
    /// Opens a store, or makes one.
    ///
    /// # Errors
    /// The folder is not a store, of another version or owner, or on a file system without reliable locks.
    pub fn open(options: OpenOptions) -> Result<Self, StoreError> {
        let (root, read_only, waiter) = (&options.root, options.read_only, &options.waiter);
        let stat = open::prepare(root, read_only, waiter)?;
        let database = Database::open(&root.join(open::DATABASE), read_only, waiter)?;
        // a store that was copied, or is on a disk that was taken out, was not written by this boot where it is now
        let boot_id = format!("{}-{:x}", options.boot_id, stat.dev());
        let options = OpenOptions { boot_id, ..options };
        let inner = Inner {
            options,
            database,
            lease: Mutex::default(),
            trusted: Mutex::default(),
            indexes: Mutex::default(),
            used: Used::default(),
            mounts: Mutex::default(),
            sweep: Sweep::default(),
        };
        Ok(Self::of(Arc::new(inner)))
    }

    /// One that fetches and imports nothing.
    pub(crate) fn of(inner: Arc<Inner>) -> Self {
        Self {
            inner,
            fetcher: None,
            imports: Arc::default(),
            isolation: Isolation::WEAKEST,
        }
    }

    /// The store's folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.inner.options.root
    }

    /// Whether nothing is written to it.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.inner.options.read_only
    }

    pub(crate) fn waiter(&self) -> &dyn Waiter {
        self.inner.options.waiter.as_ref()
    }

    pub(crate) fn db(&self) -> &Database {
        &self.inner.database
    }

    /// Seconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        self.inner.now()
    }

    pub(crate) fn writable(&self) -> Result<(), StoreError> {
        if self.inner.options.read_only {
            return Err(StoreError::ReadOnly {
                path: self.root().to_owned(),
            });
        }
        Ok(())
    }

    /// Writes what was used when, measures cache mounts, and empties the trash: for idle time.
    ///
    /// # Errors
    /// The database or the trash fails.
    pub fn settle(&self) -> Result<(), StoreError> {
        self.write_uses()?;
        self.trash().empty()
    }

    /// The same for a process that has ended its work, and that somebody waits for: its scratch goes, which may be much, and what little there
    /// is in the trash then stays for the next one.
    ///
    /// # Errors
    /// The database or the trash fails.
    pub fn settle_soon(&self) -> Result<(), StoreError> {
        self.write_uses()?;
        self.leases().discard_own()?;
        self.trash().empty_of_much()
    }

    fn write_uses(&self) -> Result<(), StoreError> {
        self.writable()?;
        self.inner.used.write(self.db(), self.now())?;
        self.measure_mounts()
    }

    /// Notes that something was used.
    pub(crate) fn touch(&self, thing: Thing, digest: &Digest) {
        self.inner.used.touch(thing, digest);
    }
}

impl Inner {
    /// Seconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        let since = (self.options.now)()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // What cannot be done here is done by the next process: a use that is not written down only makes things look older, and a
        // lease that is left is dead.
        self.database.hurry();
        self.database.spare_the_checkpoint();
        let Some(lease) = locked(&self.lease).take() else {
            if !self.options.read_only {
                let _ = self.used.write(&self.database, self.now());
            }
            return;
        };
        let _ = self.database.write_lightly(|transaction| {
            self.used.write_in(transaction, self.now())?;
            let delete = "DELETE FROM pins WHERE lease = ?1";
            transaction.prepare_cached(delete)?.execute([&lease.id])
        });
        // the next process to take a lease throws it away, if this fails
        let _ = lease.discard(&self.options.root);
    }
}
