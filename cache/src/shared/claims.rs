//! Claims that a build counts on, checked when their layers come. Unaware of where layers come from.
//!
//! The key of what follows a claimed result is made from the files that the claim says, before the layer is here: that is what lets
//! layers stay where they are. When the layer is used after all, its own index has the last word.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use kiln_oci::Digest;
use rusqlite::OptionalExtension;

use crate::store::database::digest;
use crate::{Exchange, Record, StoreError};

/// Why an offered layer is not offered any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// It could not be had.
    Absent,
    /// It holds other files than its record says.
    Disproved,
}

/// By layer, the trees that claims say it has.
pub(crate) type Believed = BTreeMap<Digest, Vec<Digest>>;

impl Exchange<'_> {
    /// Digest of what a layer holds, if it is or was here.
    pub(crate) fn known_tree(&self, diff_id: &Digest) -> Result<Option<Digest>, StoreError> {
        let query = "SELECT tree FROM layers WHERE diff_id = ?1";
        self.store.db().query(|connection| {
            let mut statement = connection.prepare_cached(query)?;
            let tree = statement.query_row([diff_id.as_bytes()], |row| digest(row, 0));
            tree.optional()
        })
    }

    /// Notes that a build counts on a record, as far as nobody here has seen its layer.
    pub(crate) fn believe(&self, record: &Record) -> Result<(), StoreError> {
        let Some(diff_id) = record.diff_id.filter(|_| !record.caches.is_empty()) else {
            return Ok(());
        };
        if self.known_tree(&diff_id)?.is_none() {
            let believed = self.store.inner.believed.lock();
            let mut believed = believed.unwrap_or_else(PoisonError::into_inner);
            believed.entry(diff_id).or_default().push(record.tree);
        }
        Ok(())
    }

    /// Compares those of the layers that are here with what this process was told of them. A claim that is wrong is dropped, and
    /// the layer counts as lost until [`Exchange::forget_lost`]: nothing is made from it.
    ///
    /// # Errors
    /// [`StoreError::Disproved`]; the database fails.
    pub fn check_claims(&self, diff_ids: &[Digest]) -> Result<(), StoreError> {
        for diff_id in diff_ids {
            let Some(trees) = self.believed(diff_id) else {
                continue;
            };
            if !self.store.blobs().has(diff_id)? {
                continue;
            }
            let tree = self.store.layers().index(diff_id)?.tree.digest();
            if trees.iter().any(|claimed| *claimed != tree) {
                self.disprove(diff_id, &tree)?;
                return Err(StoreError::Disproved { digest: *diff_id });
            }
            self.stop_believing([diff_id]);
        }
        Ok(())
    }

    fn believed(&self, diff_id: &Digest) -> Option<Vec<Digest>> {
        let believed = self.store.inner.believed.lock();
        let believed = believed.unwrap_or_else(PoisonError::into_inner);
        believed.get(diff_id).cloned()
    }

    pub(crate) fn stop_believing<'a>(&self, diff_ids: impl IntoIterator<Item = &'a Digest>) {
        let believed = self.store.inner.believed.lock();
        let mut believed = believed.unwrap_or_else(PoisonError::into_inner);
        diff_ids.into_iter().for_each(|diff_id| {
            believed.remove(diff_id);
        });
    }

    /// Drops what a layer that came, with or without anybody counting on it, shows to be false; images may have been made with it.
    pub(crate) fn drop_false_records(
        &self,
        diff_id: &Digest,
        tree: &Digest,
    ) -> Result<(), StoreError> {
        let query = "SELECT EXISTS (SELECT 1 FROM records WHERE diff_id = ?1 AND tree <> ?2 AND caches <> '')";
        let row = (diff_id.as_bytes(), tree.as_bytes());
        let is_told = self.store.db().query(|connection| {
            let mut statement = connection.prepare_cached(query)?;
            statement.query_row(row, |row| row.get::<_, bool>(0))
        })?;
        if !is_told {
            return Ok(());
        }
        let records = "DELETE FROM records WHERE diff_id = ?1 AND tree <> ?2 AND caches <> ''";
        self.store.db().write(|transaction| {
            transaction.execute(records, row)?;
            let memos = "DELETE FROM memos WHERE caches <> ''";
            transaction.execute(memos, []).map(drop)
        })
    }

    fn disprove(&self, diff_id: &Digest, tree: &Digest) -> Result<(), StoreError> {
        self.drop_false_records(diff_id, tree)?;
        let lost = self.store.inner.lost.lock();
        lost.unwrap_or_else(PoisonError::into_inner)
            .insert(*diff_id, Loss::Disproved);
        Ok(())
    }
}
