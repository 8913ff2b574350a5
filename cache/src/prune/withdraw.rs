//! Taking back what came from outside and was refused: a store that an archive was not loaded into is as it was before.
//! Unaware of archives.

use std::collections::BTreeSet;

use kiln_oci::{Digest, locked};

use super::{Prune, PruneOptions};
use crate::store::database::{digest, rows};
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
            let compressed = self.store.layers().compressed_form(layer)?;
            pins.extend(compressed.map(|blob| blob.digest));
        }
        self.store.leases().release(&pins)?;
        let (mut report, doomed) = self.store.db().write_with(|transaction| {
            let mut prune = Prune::new(self.store, transaction, PruneOptions::default())?;
            let needed = "SELECT diff_id FROM records WHERE diff_id IS NOT NULL \
                          UNION SELECT diff_id FROM image_layers";
            let needed = rows(transaction, needed, [], |row| digest(row, 0));
            let needed: BTreeSet<_> = needed.map_err(|source| self.store.db().failed(source))?;
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
        let mut trusted = locked(&self.store.inner.trusted);
        let mut indexes = locked(&self.store.inner.indexes);
        for digest in digests {
            trusted.remove(digest);
            indexes.remove(digest);
        }
    }
}
