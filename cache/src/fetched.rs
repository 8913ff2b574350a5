//! What was fetched from outside the machine: where it came from -> the layer that holds it. An unchanged file is so never
//! downloaded again, and a commit never twice.
//!
//! A row of the table `fetched` is a hint, as a record is: one whose layer is gone is a miss. What it says is JSON, because no
//! query looks inside. Unaware of protocols: the key is whatever the caller makes of an address.

use kiln_oci::Digest;
use serde::{Deserialize, Serialize};

use crate::store::database::optional_digest;
use crate::store::used::Thing;
use crate::{Records, StoreError};

/// What an address gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetched {
    /// The layer with the files; `None` when there were none.
    pub layer: Option<Digest>,
    /// What the other side calls this state of its content: sha256 of a file, the commit of a repository.
    pub version: String,
    /// The `ETag` of a file, to ask whether it has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// The `Last-Modified` of a file without an `ETag`, as it came, where it tells versions apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
    /// When the other side says that it was last changed, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<i64>,
}

impl Records<'_> {
    /// What is known under a key, if its layer is still in the store; it is pinned for the life of this process.
    ///
    /// # Errors
    /// The database fails.
    pub fn fetched(&self, key: &Digest) -> Result<Option<Fetched>, StoreError> {
        let query = "SELECT document, layer FROM fetched WHERE key = ?1";
        let row = self.store.db().row(query, [key.as_bytes()], |row| {
            Ok((row.get::<_, String>(0)?, optional_digest(row, 1)?))
        })?;
        let Some((text, layer)) = row else {
            return Ok(None);
        };
        // one that cannot be read was written by another version: a miss
        let Ok(fetched) = serde_json::from_str::<Fetched>(&text) else {
            return Ok(None);
        };
        if let Some(layer) = layer {
            self.store.leases().pin(&[layer])?;
            self.store.touch(Thing::Layer, &layer);
            if !self.store.blobs().has(&layer)? {
                return Ok(None);
            }
        }
        Ok(Some(fetched))
    }

    /// Remembers what was fetched; what the key stood for before is forgotten.
    ///
    /// # Errors
    /// The database fails.
    pub fn remember_fetched(&self, key: &Digest, fetched: &Fetched) -> Result<(), StoreError> {
        self.store.writable()?;
        let text = serde_json::to_string(fetched).map_err(|_| StoreError::Damaged {
            what: "what was fetched".to_owned(),
        })?;
        let layer = fetched.layer.map(|layer| *layer.as_bytes());
        let replace = "INSERT OR REPLACE INTO fetched (key, layer, document) VALUES (?1, ?2, ?3)";
        self.store
            .db()
            .execute(replace, (key.as_bytes(), layer, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Chain, Meta, Store};

    #[test]
    fn what_was_fetched_is_found_until_its_layer_goes() {
        let (folder, store) = crate::tests::store();
        let key = Digest::of(b"https://example.com/file");
        assert_eq!(store.records().fetched(&key).unwrap(), None);
        let mut writer = store.layers().writer(&Chain::new(Vec::new())).unwrap();
        writer
            .file(b"file", &Meta::root(0o600, 7), 2, &mut &b"hi"[..])
            .unwrap();
        let layer = writer.finish().unwrap().unwrap().diff_id();
        let fetched = Fetched {
            layer: Some(layer),
            version: Digest::of(b"hi").to_string(),
            etag: Some("\"1\"".to_owned()),
            last_modified: None,
            modified: Some(7),
        };
        store.records().remember_fetched(&key, &fetched).unwrap();
        assert_eq!(store.records().fetched(&key).unwrap(), Some(fetched));
        std::fs::remove_file(store.blobs().path(&layer)).unwrap();
        drop(store);
        let store = Store::open(crate::tests::options(&folder.path().join("store"))).unwrap();
        assert_eq!(store.records().fetched(&key).unwrap(), None);
    }
}
