//! Removal of what is worth least, down to a budget.
//!
//! What a tag names or a living process has pinned stays, whatever the budget says. The rest goes in an order of its own
//! (`prune/order.rs`): views, results that no image needs, cache mounts.
//!
//! Two write transactions, because a process that pins something waits for them and looks afterwards whether the thing is
//! there. The first decides and deletes rows; the second renames into the trash what nobody has pinned or made known again in
//! between. A kill leaves files without rows, which are whole and go with the next prune, never rows without files.

mod dangling;
mod images;
mod options;
mod order;
mod victims;
mod withdraw;

use std::collections::BTreeSet;
use std::path::PathBuf;

use kiln_oci::{Digest, locked};
use rusqlite::Transaction;

pub use options::{CacheKind, PruneOptions, PruneReport};

use crate::cache_mount::CacheMountUsage;
use crate::image::remove_named;
use crate::inventory::{Files, LayerRow, Rows};
use crate::{Disk, Garbage, Store, StoreError};

/// Something that can be removed on its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Victim {
    View(String, Digest),
    Context(PathBuf),
    CacheMount(PathBuf),
    /// A compressed form that kiln made; its row stays.
    Form(Digest),
    /// Tar, compressed forms, index and views.
    Layer(Digest),
}

impl Garbage<'_> {
    /// Removes what may go, in its order, until the store holds as little as it may; without a limit, all that no tag and no living
    /// process needs. Removed files are in the trash until [`crate::Store::settle`].
    ///
    /// # Errors
    /// The database or a rename fails.
    pub fn prune(&self, options: impl Into<PruneOptions>) -> Result<PruneReport, StoreError> {
        let options = options.into();
        self.store.writable()?;
        // before the transaction: to measure folders takes long
        let mounts = self.store.cache_mounts().usage();
        let decide = |transaction: &Transaction<'_>| {
            let mut prune = Prune::new(self.store, transaction, options.clone())?;
            prune.mounts = mounts;
            prune.run()
        };
        let database = self.store.db();
        if options.dry_run {
            let (mut report, _) = database.rehearse(decide)?;
            self.prune_beside(&options, &mut report)?;
            return Ok(report);
        }
        self.note_uses()?;
        let (mut report, doomed) = database.write_with(decide)?;
        self.carry_out_all(&doomed, &mut report)?;
        self.prune_beside(&options, &mut report)?;
        self.forget_all();
        Ok(report)
    }

    /// What this process has used is not the oldest; what dead ones had is not needed.
    fn note_uses(&self) -> Result<(), StoreError> {
        let used = &self.store.inner.used;
        used.write(self.store.db(), self.store.now())?;
        self.store.leases().collect_dead()
    }

    /// Downloads that broke off, builds that are remembered, and what they printed.
    fn prune_beside(
        &self,
        options: &PruneOptions,
        report: &mut PruneReport,
    ) -> Result<(), StoreError> {
        let (all_parts, fetch) = (options.takes_all_cache(), self.store.fetch());
        report.freed += fetch.prune_parts(all_parts, options.dry_run)?;
        let history = self.store.history().prune(options, report.kept)?;
        report.builds = history.builds;
        report.freed += history.freed;
        report.kept += history.kept;
        Ok(())
    }

    /// Forgets what this process remembers of files.
    fn forget_all(&self) {
        locked(&self.store.inner.trusted).clear();
        locked(&self.store.inner.indexes).clear();
    }

    /// In a second transaction: a build may have come to want some of them since their rows went.
    fn carry_out_all(&self, doomed: &[Doomed], report: &mut PruneReport) -> Result<(), StoreError> {
        self.store.db().write_with(|transaction| {
            let rows = rows(self.store, transaction)?;
            let known = rows.known();
            for doomed in doomed {
                let is_wanted = match &doomed.what {
                    Victim::CacheMount(path) => {
                        let is_removed = self.store.cache_mounts().remove(path)?;
                        report.cache_mounts -= u64::from(!is_removed);
                        !is_removed
                    }
                    what => what.is_wanted(&rows, &known),
                };
                if is_wanted || !self.store.trash().try_put(&doomed.path)? {
                    report.freed = report.freed.saturating_sub(doomed.size);
                    report.kept += doomed.size;
                }
            }
            Ok(())
        })
    }
}

impl Victim {
    /// Whether a process has pinned it, or made it known again.
    fn is_wanted(&self, rows: &Rows, known: &BTreeSet<Digest>) -> bool {
        match self {
            Self::Layer(digest) => known.contains(digest),
            Self::Form(digest) => rows.pinned.contains(digest),
            Self::View(id_map, diff_id) => {
                rows.pinned.contains(diff_id)
                    || rows.views.contains_key(&(id_map.clone(), *diff_id))
            }
            Self::Context(_) | Self::CacheMount(_) => false,
        }
    }
}

/// What the database says, with the pins of the living and what containers stand on.
fn rows(store: &Store, transaction: &Transaction<'_>) -> Result<Rows, StoreError> {
    let living = store.leases().living()?;
    let rows = Rows::read(transaction, &living);
    let mut rows = rows.map_err(|source| store.db().failed(source))?;
    // after the living: one that ends meanwhile has made it before
    rows.pinned.append(&mut store.containers().all_layers()?);
    Ok(rows)
}

/// A file or folder whose rows are gone.
struct Doomed {
    /// What it belongs to; any blob counts as a layer.
    what: Victim,
    path: PathBuf,
    size: u64,
}

struct Prune<'a> {
    store: &'a Store,
    transaction: &'a Transaction<'a>,
    options: PruneOptions,
    files: Files,
    mounts: Vec<CacheMountUsage>,
    rows: Rows,
    /// Digests that must stay.
    kept: BTreeSet<Digest>,
    report: PruneReport,
    doomed: Vec<Doomed>,
}

impl<'a> Prune<'a> {
    /// Reads what there is; cache mounts come from the caller, since they take long.
    fn new(
        store: &'a Store,
        transaction: &'a Transaction<'a>,
        options: PruneOptions,
    ) -> Result<Self, StoreError> {
        let failed = |source| store.db().failed(source);
        remove_named(transaction, &options.without).map_err(failed)?;
        let rows = rows(store, transaction)?;
        let kept = options.kept(transaction, &rows).map_err(failed)?;
        Ok(Self {
            store,
            transaction,
            files: Files::read(store.root())?,
            kept,
            mounts: Vec::new(),
            options,
            rows,
            report: PruneReport::default(),
            doomed: Vec::new(),
        })
    }

    fn run(mut self) -> Result<(PruneReport, Vec<Doomed>), StoreError> {
        let mut held = self.bytes_held();
        self.remove_orphans()?;
        self.remove_victims(held)?;
        let all = self.options.images && self.options.is_unlimited();
        self.remove_images(all)?;
        self.remove_indexes(all)?;
        self.forget_dangling()?;
        held = held.saturating_sub(self.report.freed);
        self.report.kept = held;
        Ok((self.report, self.doomed))
    }

    /// Removes what may go until no more is held than may be, or all but what is reserved is gone.
    fn remove_victims(&mut self, held: u64) -> Result<(), StoreError> {
        let limit = self.options.limit(held, Disk::of(self.store.root()));
        let victims = self.victims();
        let mut spare: u64 = victims.iter().map(|candidate| candidate.bytes).sum();
        for candidate in victims {
            let left = held.saturating_sub(self.report.freed);
            let is_enough = left <= limit || spare <= self.options.reserved;
            if is_enough && !self.options.is_unlimited() {
                break;
            }
            spare -= candidate.bytes;
            self.remove(candidate.victim)?;
        }
        Ok(())
    }

    /// Bytes under final names.
    fn bytes_held(&self) -> u64 {
        let views = self.files.views.keys().map(|key| self.view_size(key));
        let contexts = self.files.contexts.iter().map(|(_, size, _)| *size);
        let mounts = self.mounts.iter().map(|mount| mount.bytes);
        self.files
            .blobs
            .values()
            .chain(self.files.indexes.values())
            .copied()
            .chain(views)
            .chain(contexts)
            .chain(mounts)
            .sum()
    }

    fn view_size(&self, key: &(String, Digest)) -> u64 {
        self.rows.views.get(key).map_or(0, |row| row.size)
    }

    fn remove(&mut self, victim: Victim) -> Result<(), StoreError> {
        match victim {
            Victim::View(id_map, diff_id) => return self.remove_view((id_map, diff_id)),
            Victim::Layer(diff_id) => return self.remove_layer(diff_id),
            Victim::Form(digest) => {
                if let Some(size) = self.files.blobs.get(&digest).copied() {
                    let path = self.store.blobs().path(&digest);
                    self.doom(Victim::Form(digest), path, size);
                }
                return self.forget_blob(&digest);
            }
            Victim::CacheMount(ref path) => {
                let mount = self.mounts.iter().find(|other| other.path == *path);
                let size = mount.map_or(0, |mount| mount.bytes);
                let name = self.store.mount_name(path);
                let delete = "DELETE FROM mounts WHERE path = ?1";
                let deleted = self.transaction.execute(delete, [name]);
                deleted.map_err(|source| self.store.db().failed(source))?;
                self.report.cache_mounts += 1;
                self.doom(victim.clone(), path.clone(), size);
            }
            Victim::Context(ref path) => {
                let mut contexts = self.files.contexts.iter();
                let context = contexts.find(|(other, _, _)| other == path);
                let size = context.map_or(0, |(_, size, _)| *size);
                self.doom(victim.clone(), path.clone(), size);
            }
        }
        Ok(())
    }

    fn remove_layer(&mut self, diff_id: Digest) -> Result<(), StoreError> {
        let views = self.files.views.keys();
        let views: Vec<_> = views
            .filter(|(_, other)| *other == diff_id)
            .cloned()
            .collect();
        for view in views {
            self.remove_view(view)?;
        }
        for (digest, path, size) in self.layer_files(&diff_id) {
            self.doom(Victim::Layer(digest), path, size);
            self.forget_blob(&digest)?;
        }
        self.files.indexes.remove(&diff_id);
        self.rows.layers.remove(&diff_id);
        self.report.layers += 1;
        self.execute("DELETE FROM layers WHERE diff_id = ?1", &diff_id)
    }

    /// Files that go with a layer.
    fn layer_files(&self, diff_id: &Digest) -> Vec<(Digest, PathBuf, u64)> {
        let row = self.rows.layers.get(diff_id);
        let compressed = row.into_iter().flat_map(LayerRow::blobs);
        let compressed = compressed.filter(|digest| !self.kept.contains(digest));
        let blobs = std::iter::once(*diff_id).chain(compressed);
        let blobs = blobs.filter_map(|digest| {
            let size = *self.files.blobs.get(&digest)?;
            Some((digest, self.store.blobs().path(&digest), size))
        });
        let size = self.files.indexes.get(diff_id);
        let index = size.map(|size| (*diff_id, self.store.layers().index_path(diff_id), *size));
        blobs.chain(index).collect()
    }

    fn remove_view(&mut self, key: (String, Digest)) -> Result<(), StoreError> {
        let delete = "DELETE FROM views WHERE id_map = ?1 AND diff_id = ?2";
        let deleted = self.transaction.execute(delete, (&key.0, key.1.as_bytes()));
        deleted.map_err(|source| self.store.db().failed(source))?;
        let size = self.view_size(&key);
        if let Some(path) = self.files.views.remove(&key) {
            self.doom(Victim::View(key.0, key.1), path, size);
            self.report.views += 1;
        }
        Ok(())
    }

    fn remove_blob(&mut self, digest: &Digest) -> Result<(), StoreError> {
        if let Some(size) = self.files.blobs.get(digest).copied() {
            self.doom(
                Victim::Layer(*digest),
                self.store.blobs().path(digest),
                size,
            );
        }
        self.forget_blob(digest)
    }

    fn forget_blob(&mut self, digest: &Digest) -> Result<(), StoreError> {
        self.files.blobs.remove(digest);
        self.execute("DELETE FROM blobs WHERE digest = ?1", digest)
    }

    fn doom(&mut self, what: Victim, path: PathBuf, size: u64) {
        self.report.freed += size;
        self.doomed.push(Doomed { what, path, size });
    }

    fn execute(&self, statement: &str, digest: &Digest) -> Result<(), StoreError> {
        let prepared = self.transaction.prepare_cached(statement);
        let executed = prepared.and_then(|mut statement| statement.execute([digest.as_bytes()]));
        executed
            .map(drop)
            .map_err(|source| self.store.db().failed(source))
    }
}
