//! Taking back what came from outside and was refused: a store that an archive was not loaded into is as it was before.
//! Unaware of archives.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use kiln_oci::Digest;

use super::{Prune, PruneOptions, PruneReport};
use crate::store::database::digest;
use crate::{Garbage, StoreError};

impl Garbage<'_> {
    /// Removes these layers, with their compressed forms, unless an image or a record has them, or another process holds them. Only
    /// for layers that this process has brought in and that nothing else in it uses.
    ///
    /// # Errors
    /// The database or a rename fails.
    pub fn withdraw(&self, layers: &[Digest]) -> Result<(), StoreError> {
        self.store.writable()?;
        let mut pins = layers.to_vec();
        for layer in layers {
            pins.extend(
                self.store
                    .layers()
                    .compressed_form(layer)?
                    .map(|blob| blob.digest),
            );
        }
        self.store.leases().release(&pins)?;
        let (mut report, doomed) = self.store.db().write_with(|transaction| {
            let rows = self.rows(transaction)?;
            let needed = "SELECT diff_id FROM records WHERE diff_id IS NOT NULL \
                          UNION SELECT diff_id FROM image_layers";
            let needed = transaction.prepare(needed).and_then(|mut statement| {
                let rows = statement.query_map([], |row| digest(row, 0))?;
                rows.collect::<rusqlite::Result<BTreeSet<Digest>>>()
            });
            let needed = needed.map_err(|source| self.store.db().failed(source))?;
            let mut prune = Prune {
                store: self.store,
                transaction,
                files: self.files()?,
                kept: rows.kept(),
                mounts: Vec::new(),
                options: PruneOptions::default(),
                rows,
                report: PruneReport::default(),
                doomed: Vec::new(),
            };
            for layer in layers {
                if !prune.kept.contains(layer) && !needed.contains(layer) {
                    prune.remove_layer(*layer)?;
                }
            }
            Ok((prune.report, prune.doomed))
        })?;
        self.carry_out_all(&doomed, &mut report)?;
        self.forget(&pins);
        self.store.trash().empty()
    }

    /// What this process remembers of them.
    fn forget(&self, digests: &[Digest]) {
        let mut trusted = self
            .store
            .inner
            .trusted
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut indexes = self
            .store
            .inner
            .indexes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for digest in digests {
            trusted.remove(digest);
            indexes.remove(digest);
        }
    }
}
