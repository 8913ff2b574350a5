//! How large the layers of an image are, from the database alone: nothing is fetched or read for it.

use kiln_oci::Digest;

use crate::store::database::{digest, unsigned};
use crate::{Images, StoreError};

/// The size of an image's layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerSize {
    /// The layer.
    pub diff_id: Digest,
    /// Bytes of its tar; of the blob while the tar has never been here.
    pub bytes: u64,
    /// Bytes of its blob where the manifest names a compressed one, else of the smallest form that was made; `None` when it was
    /// never compressed.
    pub compressed: Option<u64>,
}

impl Images<'_> {
    /// The sizes of an image's layers, the lowest first; empty when there is no such image.
    ///
    /// # Errors
    /// The database fails.
    pub fn layer_sizes(&self, manifest: &Digest) -> Result<Vec<LayerSize>, StoreError> {
        let query = "SELECT l.diff_id, coalesce(s.tar_size, l.size), \
                     CASE WHEN l.blob != l.diff_id AND l.size > 0 THEN l.size ELSE coalesce(s.compressed_size, \
                     (SELECT min(size) FROM forms f WHERE f.diff_id = l.diff_id AND f.digest != f.diff_id)) END \
                     FROM image_layers l LEFT JOIN layers s ON s.diff_id = l.diff_id WHERE l.manifest = ?1 ORDER BY l.position";
        self.store.db().rows(query, [manifest.as_bytes()], |row| {
            Ok(LayerSize {
                diff_id: digest(row, 0)?,
                bytes: unsigned(row.get(1)?),
                compressed: row.get::<_, Option<i64>>(2)?.map(unsigned),
            })
        })
    }
}
