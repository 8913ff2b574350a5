//! Memos: the whole outcome of a build under one key, so that a build that changed nothing is one look-up.
//!
//! Stored as JSON in the table `memos`, because bundles travel to other machines. A memo of this store names an image that this store
//! assembled; it counts only for builds that name the caches that the image rests on ([`crate::exchange`]).

use kiln_oci::Digest;
use serde::{Deserialize, Serialize};

use crate::exchange::Caches;
use crate::record::counts;
use crate::store::used::Thing;
use crate::{Isolation, Records, StoreError};

/// What a build made, found again by a digest of all that went into it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoBundle {
    /// The image's manifest, or the index of several; it and all that it names must still be in the store for the memo to be found.
    pub manifest: Digest,
    /// The image's config: its id. Of an index, that of the first image.
    pub config: Digest,
    /// Keys of the records that the build used, in an order that the maker of the memo's key knows too.
    pub records: Vec<Digest>,
    /// Seconds since 1970.
    pub created: i64,
    /// The shared caches that it rests on, as [`crate::Record::caches`].
    #[serde(skip)]
    pub caches: Caches,
    /// The weakest isolation of the commands that it rests on, as [`crate::Record::isolation`].
    #[serde(default)]
    pub isolation: Isolation,
}

impl Records<'_> {
    /// A memo whose image is still whole, pinned.
    ///
    /// # Errors
    /// The database fails.
    pub fn memo(&self, key: &Digest) -> Result<Option<MemoBundle>, StoreError> {
        let query = "SELECT bundle, caches FROM memos WHERE key = ?1";
        let mut found: Vec<(String, Caches)> =
            self.store.db().rows(query, [key.as_bytes()], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        found.sort_by_cached_key(|(_, caches)| self.store.rank(caches));
        for (text, caches) in found {
            // one that cannot be read was written by another version: a miss
            let Ok(bundle) = serde_json::from_str::<MemoBundle>(&text) else {
                continue;
            };
            if counts(self.store, &caches, bundle.isolation)
                && self.store.indexes().pin_whole(&bundle.manifest)?
            {
                self.store.touch(Thing::Memo, key);
                let records = bundle.records.iter();
                records.for_each(|record| self.store.touch(Thing::Record, record));
                return Ok(Some(MemoBundle { caches, ..bundle }));
            }
        }
        Ok(None)
    }

    /// Writes a memo.
    ///
    /// # Errors
    /// The database fails.
    pub fn put_memo(&self, key: &Digest, bundle: &MemoBundle) -> Result<(), StoreError> {
        self.store.writable()?;
        let text = serde_json::to_string(bundle).map_err(|_| StoreError::Damaged {
            what: "a memo".to_owned(),
        })?;
        let replace = "INSERT OR REPLACE INTO memos (key, caches, manifest, bundle, used) VALUES (?1, ?2, ?3, ?4, ?5)";
        let manifest = bundle.manifest.as_bytes();
        let row = (
            key.as_bytes(),
            &bundle.caches,
            manifest,
            text,
            self.store.now(),
        );
        self.store.db().execute(replace, row)
    }
}
