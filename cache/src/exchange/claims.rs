//! Claims that a build counts on, checked when their layers come. Unaware of where layers come from.
//!
//! The key of what follows a claimed result is made from the files that the claim says, before the layer is here: that is what lets
//! layers stay where they are. When the layer is used after all, its own index has the last word.

use kiln_oci::Digest;

use super::Loss;
use crate::store::database::digest;
use crate::{Exchange, Record, StoreError};

impl Exchange<'_> {
    /// Digest of what a layer holds, if it is or was here.
    pub(crate) fn known_tree(&self, diff_id: &Digest) -> Result<Option<Digest>, StoreError> {
        let query = "SELECT tree FROM layers WHERE diff_id = ?1";
        self.store
            .db()
            .row(query, [diff_id.as_bytes()], |row| digest(row, 0))
    }

    /// Notes that this build counts on a record, unless somebody here has seen its layer.
    pub(crate) fn believe(&self, record: &Record) -> Result<(), StoreError> {
        let Some(diff_id) = record.diff_id.filter(|_| !record.caches.is_empty()) else {
            return Ok(());
        };
        if self.known_tree(&diff_id)?.is_none() {
            self.store.imports.claim(diff_id, record.tree);
        }
        Ok(())
    }

    /// Compares the layers that are here with what this build was told about them. A claim that is wrong is dropped, and its layer
    /// counts as lost until [`Exchange::forget_lost`]: nothing is made from it.
    ///
    /// # Errors
    /// [`StoreError::Disproved`]; the database fails.
    pub fn check_claims(&self, diff_ids: &[Digest]) -> Result<(), StoreError> {
        for diff_id in diff_ids {
            let Some(trees) = self.store.imports.claimed(diff_id) else {
                continue;
            };
            if !self.store.blobs().has(diff_id)? {
                continue;
            }
            let tree = self.store.layers().index(diff_id)?.tree.digest();
            if trees.iter().any(|claimed| *claimed != tree) {
                self.drop_false_records(diff_id, &tree)?;
                self.store.imports.lose(diff_id, Loss::Disproved);
                return Err(StoreError::Disproved { digest: *diff_id });
            }
            self.store.imports.confirm(diff_id);
        }
        Ok(())
    }

    /// Drops the claims that a layer which came shows to be false, whether or not a build counted on them, and the memos of images
    /// that may have been made with them.
    pub(crate) fn drop_false_records(
        &self,
        diff_id: &Digest,
        tree: &Digest,
    ) -> Result<(), StoreError> {
        let query =
            "SELECT 1 FROM records WHERE diff_id = ?1 AND tree <> ?2 AND caches <> '' LIMIT 1";
        let row = (diff_id.as_bytes(), tree.as_bytes());
        if self.store.db().row(query, row, |_| Ok(()))?.is_none() {
            return Ok(());
        }
        let records = "DELETE FROM records WHERE diff_id = ?1 AND tree <> ?2 AND caches <> ''";
        self.store.db().write(|transaction| {
            transaction.execute(records, row)?;
            let memos = "DELETE FROM memos WHERE caches <> ''";
            transaction.execute(memos, []).map(drop)
        })
    }
}
