//! What nothing refers to, and what refers to nothing. Unaware of budgets.

use std::collections::BTreeMap;

use kiln_oci::Digest;

use super::{Prune, Victim};
use crate::StoreError;

impl Prune<'_> {
    /// Files that nothing refers to: a process was killed between a rename and its row.
    pub(super) fn remove_orphans(&mut self) -> Result<(), StoreError> {
        let known = self.rows.known();
        let orphans = |files: &BTreeMap<Digest, u64>| -> Vec<Digest> {
            let digests = files.keys().filter(|digest| !known.contains(digest));
            digests.copied().collect()
        };
        let (blobs, indexes) = (orphans(&self.files.blobs), orphans(&self.files.indexes));
        let is_stray = |key: &&(String, Digest)| {
            !self.rows.views.contains_key(*key) && !self.rows.pinned.contains(&key.1)
        };
        let views: Vec<_> = self.files.views.keys().filter(is_stray).cloned().collect();
        for blob in blobs {
            self.remove_blob(&blob)?;
        }
        for digest in indexes {
            let size = self.files.indexes.remove(&digest).unwrap_or(0);
            let path = self.store.layers().index_path(&digest);
            self.doom(Victim::Layer(digest), path, size);
        }
        views
            .into_iter()
            .try_for_each(|view| self.remove_view(view))
    }

    /// Records and what was fetched whose layer is gone, memos whose image is.
    pub(super) fn forget_dangling(&mut self) -> Result<(), StoreError> {
        let records = "DELETE FROM records WHERE diff_id IS NOT NULL AND diff_id NOT IN (SELECT diff_id FROM layers)";
        let memos = "DELETE FROM memos WHERE manifest NOT IN (SELECT manifest FROM images) AND manifest NOT IN (SELECT digest FROM indexes)";
        let builds = "DELETE FROM builds WHERE config NOT IN (SELECT config FROM images)";
        let fetched = "DELETE FROM fetched WHERE layer NOT IN (SELECT diff_id FROM layers)";
        let origins = "DELETE FROM origins WHERE digest NOT IN (SELECT blob FROM image_layers UNION SELECT config FROM images \
                       UNION SELECT manifest FROM images UNION SELECT manifest FROM tags UNION SELECT digest FROM indexes \
                       UNION SELECT child FROM index_children UNION SELECT digest FROM forms UNION SELECT blob FROM offered)";
        let offered = "DELETE FROM offered WHERE cache <> '' OR diff_id NOT IN (SELECT diff_id FROM image_layers)";
        let forms = "DELETE FROM forms WHERE diff_id NOT IN (SELECT diff_id FROM layers)";
        let failed = |source| self.store.db().failed(source);
        self.report.records = self.transaction.execute(records, []).map_err(failed)? as u64;
        for statement in [fetched, forms, offered, origins, memos, builds] {
            self.transaction.execute(statement, []).map_err(failed)?;
        }
        Ok(())
    }
}
