//! Names of images and indexes. A name is durable, with all that its image needs, before a command reports that it is set.

use std::collections::BTreeSet;

use kiln_oci::{Digest, Reference};

use super::not_found;
use crate::store::database::execute_each;
use crate::{ImageError, Images, StoreError, StoredImage};

impl Images<'_> {
    /// Points a name to an image, or to an index. Durable on return, with everything that the image needs; of an index, with
    /// those of its images that are here.
    ///
    /// # Errors
    /// There is no such image, or the disk fails; or the name reads as a digest, perhaps that of another image.
    pub fn tag(&self, reference: &Reference, manifest: &Digest) -> Result<(), ImageError> {
        self.store.writable()?;
        if reference.is_like_digest() || reference.digest.is_some_and(|other| other != *manifest) {
            let name = reference.familiar();
            return Err(ImageError::BadName { name });
        }
        let needed = self.store.indexes().pin_named(manifest)?;
        let needed = needed.ok_or_else(|| not_found(manifest))?;
        let name = stored_name(reference);
        let blobs = self.here(needed)?;
        if self.is_durably_tagged(&name, manifest, &blobs)? {
            return Ok(());
        }
        self.store.blobs().make_durable(&blobs)?;
        let now = self.store.now();
        self.store.db().write_durably(|transaction| {
            let update = "UPDATE blobs SET synced = 1 WHERE digest = ?1";
            let digests = blobs.iter().map(|digest| [digest.as_bytes()]);
            execute_each(transaction, update, digests)?;
            let replace =
                "INSERT OR REPLACE INTO tags (reference, manifest, tagged) VALUES (?1, ?2, ?3)";
            let row = (name, manifest.as_bytes(), now);
            transaction.execute(replace, row).map(drop)
        })?;
        Ok(())
    }

    /// What the store has of the blobs that a name needs.
    fn here(&self, needed: BTreeSet<Digest>) -> Result<BTreeSet<Digest>, StoreError> {
        let has = |digest: Digest| match self.store.blobs().has(&digest) {
            Ok(has) => has.then_some(Ok(digest)),
            Err(error) => Some(Err(error)),
        };
        needed.into_iter().filter_map(has).collect()
    }

    /// Whether a tag says just that already: then a rebuild that changed nothing has nothing to sync.
    fn is_durably_tagged(
        &self,
        name: &str,
        manifest: &Digest,
        blobs: &BTreeSet<Digest>,
    ) -> Result<bool, StoreError> {
        let query = "SELECT manifest = ?2 FROM tags WHERE reference = ?1";
        let parameters = (name, manifest.as_bytes());
        let same = self.store.db().row(query, parameters, |row| row.get(0))?;
        Ok(same == Some(true) && self.store.blobs().not_durable(blobs)?.is_empty())
    }

    /// Removes a name; `false` when there was none. Durable on return.
    ///
    /// # Errors
    /// The database fails.
    pub fn untag(&self, reference: &Reference) -> Result<bool, StoreError> {
        Ok(self.untag_all([reference])? > 0)
    }

    /// Removes names, all or none; how many there were. Durable on return.
    ///
    /// # Errors
    /// The database fails.
    pub fn untag_all<'a>(
        &self,
        references: impl IntoIterator<Item = &'a Reference>,
    ) -> Result<usize, StoreError> {
        self.store.writable()?;
        self.store.db().write_durably(|transaction| {
            let mut delete = transaction.prepare_cached("DELETE FROM tags WHERE reference = ?1")?;
            let names = references.into_iter().map(stored_name);
            names.map(|name| delete.execute([name])).sum()
        })
    }

    /// When an image, or an index that it was found through, got its last name: seconds since 1970. `None` for one without a name,
    /// and for names that are older than this column.
    ///
    /// # Errors
    /// The database fails.
    pub fn last_tagged(&self, image: &StoredImage) -> Result<Option<i64>, StoreError> {
        let query = "SELECT max(tagged) FROM tags WHERE manifest IN (?1, ?2) AND tagged > 0";
        let index = image.index.unwrap_or(image.manifest_digest);
        let digests = (image.manifest_digest.as_bytes(), index.as_bytes());
        let tagged = self.store.db().row(query, digests, |row| row.get(0))?;
        Ok(tagged.flatten())
    }

    /// Names of an image or index, sorted; also those of indexes that list it.
    ///
    /// # Errors
    /// The database fails.
    pub fn names_of(&self, manifest: &Digest) -> Result<Vec<Reference>, StoreError> {
        let query = "WITH RECURSIVE named (digest) AS (VALUES (?1) UNION \
                     SELECT index_children.digest FROM index_children JOIN named ON index_children.child = named.digest) \
                     SELECT reference FROM tags WHERE manifest IN (SELECT digest FROM named) ORDER BY reference";
        let names: Vec<String> = self
            .store
            .db()
            .rows(query, [manifest.as_bytes()], |row| row.get(0))?;
        let parsed = names.iter().map(|name| {
            Reference::parse(name).map_err(|_| StoreError::Damaged {
                what: format!("the name {name}"),
            })
        });
        parsed.collect()
    }
}

/// How a name is stored: in full, with its tag.
pub(super) fn stored_name(reference: &Reference) -> String {
    reference.clone().with_default_tag().to_string()
}
