//! Images that only pass through: what is built to be taken somewhere else leaves its layers, as results of steps, and no image that
//! nobody has asked for. Unaware of where they go.

use kiln_oci::{Digest, locked};
use rusqlite::Transaction;

use crate::store::database::{digest, rows};
use crate::{Images, StoreError};

impl Images<'_> {
    /// Takes an image, or an index with its images, back that was put at `since` (seconds since 1970) or later. It stays where a name or
    /// an index has it, and where another process uses it. Returns whether it is gone.
    ///
    /// # Errors
    /// The database or a rename fails.
    pub fn take_back(&self, named: &Digest, since: i64) -> Result<bool, StoreError> {
        let lease = self.store.leases().own()?;
        let database = self.store.db();
        let (is_gone, documents) = database.write(|transaction| {
            let documents = documents(transaction, named)?;
            if is_wanted(transaction, named, &lease.id, since)? {
                return Ok((false, Vec::new()));
            }
            let is_gone = !super::remove_named(transaction, &[*named])?.is_empty();
            Ok((is_gone, forget_unknown(transaction, documents)?))
        })?;
        for document in documents {
            locked(&self.store.inner.trusted).remove(&document);
            self.store
                .trash()
                .put(&self.store.blobs().path(&document))?;
        }
        Ok(is_gone)
    }
}

/// The manifest and the config of an image; of an index itself, and those of its images.
fn documents(transaction: &Transaction<'_>, named: &Digest) -> rusqlite::Result<Vec<Digest>> {
    let query = "WITH own (digest) AS (SELECT ?1 UNION SELECT child FROM index_children WHERE digest = ?1) \
                 SELECT digest FROM own UNION SELECT config FROM images JOIN own ON manifest = digest";
    rows(transaction, query, [named.as_bytes()], |row| digest(row, 0))
}

/// Whether it was there before, has a name, or is used by another process.
fn is_wanted(
    transaction: &Transaction<'_>,
    named: &Digest,
    lease: &str,
    since: i64,
) -> rusqlite::Result<bool> {
    let query = "SELECT EXISTS (SELECT 1 FROM images WHERE manifest = ?1 AND stored < ?3) \
                 OR EXISTS (SELECT 1 FROM indexes WHERE digest = ?1 AND stored < ?3) \
                 OR EXISTS (SELECT 1 FROM tags WHERE manifest = ?1) \
                 OR EXISTS (SELECT 1 FROM index_children WHERE child = ?1) \
                 OR EXISTS (SELECT 1 FROM pins WHERE digest = ?1 AND lease <> ?2)";
    transaction.query_row(query, (named.as_bytes(), lease, since), |row| row.get(0))
}

/// Whether an image or an index still has this document.
fn is_known(transaction: &Transaction<'_>, document: &Digest) -> rusqlite::Result<bool> {
    let query = "SELECT EXISTS (SELECT 1 FROM images WHERE ?1 IN (manifest, config)) \
                 OR EXISTS (SELECT 1 FROM indexes WHERE digest = ?1) OR EXISTS (SELECT 1 FROM index_blobs WHERE blob = ?1) \
                 OR EXISTS (SELECT 1 FROM layers WHERE ?1 IN (diff_id, compressed))";
    transaction.query_row(query, [document.as_bytes()], |row| row.get(0))
}

/// Removes the rows of documents that nothing has any more; those are returned.
fn forget_unknown(
    transaction: &Transaction<'_>,
    documents: Vec<Digest>,
) -> rusqlite::Result<Vec<Digest>> {
    let mut unknown = Vec::new();
    for document in documents {
        if !is_known(transaction, &document)? {
            let row = [document.as_bytes()];
            transaction.execute("DELETE FROM blobs WHERE digest = ?1", row)?;
            transaction.execute("DELETE FROM builds WHERE config = ?1", row)?;
            unknown.push(document);
        }
    }
    Ok(unknown)
}
