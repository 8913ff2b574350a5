//! Memos: the whole outcome of a build under one key, so that a build that changed nothing is one look-up.
//!
//! Stored as JSON in the table `memos`, because bundles travel to other machines later.

use kiln_oci::Digest;
use rusqlite::OptionalExtension;
use serde::{Deserialize, Serialize};

use crate::store::used::Thing;
use crate::{Store, StoreError};

/// What a build made, found again by a digest of all that went into it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoBundle {
    /// The image's manifest, or the index of several; it and all that it names must still be in the store for the memo to be found.
    pub manifest: Digest,
    /// The image's config: its id. Of an index, that of the first image.
    pub config: Digest,
    /// Keys of the records that the build used, in the order of its operations.
    pub records: Vec<Digest>,
    /// Name of the scope, such as a branch, under which caches share it.
    pub scope: String,
    /// Seconds since 1970.
    pub created: i64,
}

impl Store {
    /// A memo whose image is still whole, pinned.
    ///
    /// # Errors
    /// The database fails.
    pub fn memo_get(&self, key: &Digest) -> Result<Option<MemoBundle>, StoreError> {
        let query = "SELECT bundle FROM memos WHERE key = ?1";
        let text: Option<String> = self.database().read(|connection| {
            connection
                .prepare_cached(query)?
                .query_row([key.as_bytes()], |row| row.get(0))
                .optional()
        })?;
        // one that cannot be read was written by another version: a miss
        let Some(bundle) = text.and_then(|text| serde_json::from_str::<MemoBundle>(&text).ok())
        else {
            return Ok(None);
        };
        if !self.pin_whole(&bundle.manifest)? {
            return Ok(None);
        }
        self.touch(Thing::Memo, key);
        bundle
            .records
            .iter()
            .for_each(|record| self.touch(Thing::Record, record));
        Ok(Some(bundle))
    }

    /// Writes a memo.
    ///
    /// # Errors
    /// The database fails.
    pub fn memo_put(&self, key: &Digest, bundle: &MemoBundle) -> Result<(), StoreError> {
        self.writable()?;
        let text = serde_json::to_string(bundle).map_err(|_| StoreError::Damaged {
            what: "a memo".to_owned(),
        })?;
        let replace =
            "INSERT OR REPLACE INTO memos (key, manifest, bundle, used) VALUES (?1, ?2, ?3, ?4)";
        let row = (key.as_bytes(), bundle.manifest.as_bytes(), text, self.now());
        self.database()
            .read(|connection| connection.prepare_cached(replace)?.execute(row).map(drop))
    }
}
