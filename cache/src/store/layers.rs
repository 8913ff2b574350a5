//! Layers in the store: the tar is a blob, the index a file beside it that can always be made anew.

use std::path::PathBuf;
use std::sync::Arc;

use kiln_oci::{Digest, locked};

use crate::layer::codec;
use crate::store::database::{optional_digest, signed, unsigned};
use crate::store::sink::Finished;
use crate::store::used::Thing;
use crate::{
    Chain, CompressedBlob, Layer, LayerIndex, LayerTar, LayerWriter, Layers, StoreError, index_tar,
};

impl Layers<'_> {
    pub(crate) fn index_path(&self, diff_id: &Digest) -> PathBuf {
        let name = format!("{}.idx", diff_id.hex());
        self.store.root().join("layers").join(name)
    }

    /// The index of a layer that is here; kept in memory, made anew from the tar when it is damaged.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when the store does not hold the layer.
    pub fn index(&self, diff_id: &Digest) -> Result<Arc<LayerIndex>, StoreError> {
        if let Some(index) = locked(&self.store.inner.indexes).get(diff_id) {
            return Ok(index.clone());
        }
        let index = match self.read_index(diff_id) {
            Some(index) => index,
            None => self.rebuild_index(diff_id)?,
        };
        let index = Arc::new(index);
        locked(&self.store.inner.indexes).insert(*diff_id, index.clone());
        Ok(index)
    }

    /// The index as it is on disk, if it is whole.
    pub(crate) fn read_index(&self, diff_id: &Digest) -> Option<LayerIndex> {
        let bytes = std::fs::read(self.index_path(diff_id)).ok()?;
        let index = codec::decode(&bytes).ok();
        index.filter(|index| index.diff_id == *diff_id)
    }

    fn rebuild_index(&self, diff_id: &Digest) -> Result<LayerIndex, StoreError> {
        let index = index_tar(self.store.blobs().open_present(diff_id)?)?;
        if index.diff_id != *diff_id {
            return Err(self.store.blobs().damage(diff_id).into());
        }
        if !self.store.inner.options.read_only {
            self.write_index(&index)?;
        }
        Ok(index)
    }

    pub(crate) fn write_index(&self, index: &LayerIndex) -> Result<(), StoreError> {
        self.store
            .scratch()
            .write_file(&self.index_path(&index.diff_id), &codec::encode(index))
    }

    /// A layer whose tar is whole; it is pinned for the life of this process. One that is only described is fetched first.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when the store knows nothing of it, [`StoreError::Fetch`] when it does not come.
    pub fn get(&self, diff_id: &Digest) -> Result<Layer, StoreError> {
        self.store.fetch().layers(&[*diff_id])?;
        self.store.touch(Thing::Layer, diff_id);
        let index = self.index(diff_id)?;
        Ok(Layer {
            index,
            tar: Arc::new(LayerTar::of(self.store, diff_id)),
            compressed: self.compressed_form(diff_id)?,
        })
    }

    pub(crate) fn compressed_form(
        &self,
        diff_id: &Digest,
    ) -> Result<Option<CompressedBlob>, StoreError> {
        let query = "SELECT compressed, compressed_size FROM layers WHERE diff_id = ?1";
        let row = self.store.db().row(query, [diff_id.as_bytes()], |row| {
            Ok((optional_digest(row, 0)?, row.get::<_, Option<i64>>(1)?))
        })?;
        let Some((Some(digest), size)) = row else {
            return Ok(None);
        };
        self.store.leases().pin(&[digest])?;
        let blob = CompressedBlob {
            digest,
            size: unsigned(size.unwrap_or(0)),
        };
        Ok(self.store.blobs().has(&digest)?.then_some(blob))
    }

    /// The layers of an image or stage, bottom first, as one chain. They are pinned; what is only described is fetched.
    ///
    /// # Errors
    /// As [`Layers::get`].
    pub fn chain(&self, diff_ids: &[Digest]) -> Result<Chain, StoreError> {
        self.store.fetch().layers(diff_ids)?;
        let layers = diff_ids
            .iter()
            .map(|diff_id| Ok(self.get(diff_id)?.origin()));
        layers.collect::<Result<_, StoreError>>().map(Chain::new)
    }

    /// Starts a layer. `below` tells what parents of its paths look like; an empty chain for `COPY --link`.
    ///
    /// # Errors
    /// The scratch file cannot be made.
    pub fn writer(&self, below: &Chain) -> Result<LayerWriter, StoreError> {
        LayerWriter::new(self.store, below)
    }

    /// Gives a finished tar its name, with its index.
    pub(crate) fn publish(
        &self,
        tar: &Finished,
        index: LayerIndex,
        compressed: Option<CompressedBlob>,
    ) -> Result<Layer, StoreError> {
        // first of all, so that no prune takes the index for a leftover
        self.store.leases().pin(&[index.diff_id])?;
        self.write_index(&index)?;
        self.store.blobs().publish(tar)?;
        self.remember(&index, compressed)?;
        self.store
            .exchange()
            .drop_false_records(&index.diff_id, &index.tree.digest())?;
        let index = Arc::new(index);
        locked(&self.store.inner.indexes).insert(index.diff_id, index.clone());
        let tar = Arc::new(LayerTar::of(self.store, &index.diff_id));
        Ok(Layer {
            index,
            tar,
            compressed,
        })
    }

    /// Writes a layer's row.
    pub(crate) fn remember(
        &self,
        index: &LayerIndex,
        compressed: Option<CompressedBlob>,
    ) -> Result<(), StoreError> {
        let upsert = "INSERT INTO layers (diff_id, tree, tar_size, compressed, compressed_size, used) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
                      ON CONFLICT DO UPDATE SET compressed = coalesce(?4, compressed), compressed_size = coalesce(?5, compressed_size), used = ?6";
        let tree = index.tree.digest();
        self.store.db().execute(
            upsert,
            (
                index.diff_id.as_bytes(),
                tree.as_bytes(),
                signed(index.tar_size),
                compressed.map(|blob| *blob.digest.as_bytes()),
                compressed.map(|blob| signed(blob.size)),
                self.store.now(),
            ),
        )
    }
}
