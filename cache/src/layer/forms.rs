//! Forms of a layer: its tar, or the tar compressed. Each is made once and remembered in the table `forms`.
//!
//! A row stays when its blob is pruned: the descriptor is what a push asks a registry for before it needs any bytes.

use std::io::{self, Read};

use kiln_oci::compression::{SNIFF, sniff};
use kiln_oci::{Compression, Descriptor, Digest, Encoding, LayerCompression};
use rusqlite::OptionalExtension;

use crate::store::database::{digest, signed, unsigned};
use crate::store::sink::{Finished, Sink};
use crate::{Forms, StoreError};

impl Forms<'_> {
    /// Describes a blob of the store that holds the layer in this compression; it is made if it is not there, by one process, and
    /// pinned. A layer that came from outside in the same kind of compression keeps those bytes, whatever the level.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when the store does not hold the layer; the disk is full.
    pub fn compressed(
        &self,
        diff_id: &Digest,
        compression: LayerCompression,
    ) -> Result<Descriptor, StoreError> {
        if let Some(form) = self.present(diff_id, compression)? {
            return Ok(form);
        }
        let key = Digest::of(format!("compress {diff_id} {compression}").as_bytes());
        let _turn = self.store.leases().lock(&key)?;
        if let Some(form) = self.present(diff_id, compression)? {
            return Ok(form);
        }
        let layer = self.store.layers().get(diff_id)?;
        let algorithm = compression.algorithm();
        if algorithm == Compression::None {
            return Ok(described(algorithm, *diff_id, layer.index.tar_size));
        }
        if let Some(blob) = layer.compressed
            && self.algorithm_of(&blob.digest)? == Some(algorithm)
        {
            self.remember(diff_id, compression, &blob.digest, blob.size)?;
            return Ok(described(algorithm, blob.digest, blob.size));
        }
        let made = self.compress(diff_id, compression)?;
        self.store.blobs().publish(&made)?;
        self.remember(diff_id, compression, &made.digest, made.size)?;
        Ok(described(algorithm, made.digest, made.size))
    }

    /// What [`Forms::compressed`] gave before, whether the blob is still there or not.
    ///
    /// # Errors
    /// The database fails.
    pub fn remembered(
        &self,
        diff_id: &Digest,
        compression: LayerCompression,
    ) -> Result<Option<Descriptor>, StoreError> {
        let query = "SELECT digest, size FROM forms WHERE diff_id = ?1 AND compression = ?2";
        let row: Option<(Digest, i64)> = self.store.db().query(|connection| {
            let mut statement = connection.prepare_cached(query)?;
            let key = (diff_id.as_bytes(), compression.to_string());
            let row = statement.query_row(key, |row| Ok((digest(row, 0)?, row.get(1)?)));
            row.optional()
        })?;
        Ok(row.map(|(digest, size)| described(compression.algorithm(), digest, unsigned(size))))
    }

    /// The same, and of a layer that is not here also what was imported. Caches never decide about what the store has itself.
    ///
    /// # Errors
    /// The database fails.
    pub fn known(
        &self,
        diff_id: &Digest,
        compression: LayerCompression,
    ) -> Result<Option<Descriptor>, StoreError> {
        let form = self.remembered(diff_id, compression)?;
        if form.is_some() || self.store.blobs().has(diff_id)? {
            return Ok(form);
        }
        let wanted = compression.to_string();
        let imported = self.store.exchange().reachable(diff_id)?.into_iter();
        let mut layers = imported.map(|known| known.layer);
        let layer = layers.find(|layer| layer.compression == wanted);
        Ok(layer.map(|layer| described(compression.algorithm(), layer.blob, layer.size)))
    }

    fn present(
        &self,
        diff_id: &Digest,
        compression: LayerCompression,
    ) -> Result<Option<Descriptor>, StoreError> {
        let Some(form) = self.remembered(diff_id, compression)? else {
            return Ok(None);
        };
        self.store.leases().pin(&[*diff_id, form.digest])?;
        Ok(self.store.blobs().verify(&form.digest)?.then_some(form))
    }

    fn remember(
        &self,
        diff_id: &Digest,
        compression: LayerCompression,
        blob: &Digest,
        size: u64,
    ) -> Result<(), StoreError> {
        let replace = "INSERT OR REPLACE INTO forms (diff_id, compression, digest, size) VALUES (?1, ?2, ?3, ?4)";
        let row = (
            diff_id.as_bytes(),
            compression.to_string(),
            blob.as_bytes(),
            signed(size),
        );
        self.store
            .db()
            .query(|connection| connection.prepare_cached(replace)?.execute(row).map(drop))
    }

    /// How a compressed blob begins.
    fn algorithm_of(&self, blob: &Digest) -> Result<Option<Compression>, StoreError> {
        let mut start = Vec::new();
        let read = self
            .store
            .blobs()
            .open(blob)?
            .take(SNIFF as u64)
            .read_to_end(&mut start);
        read.map_err(|source| StoreError::io("read", &self.store.blobs().path(blob), source))?;
        Ok(match sniff(&start) {
            Encoding::Gzip => Some(Compression::Gzip),
            Encoding::Zstd => Some(Compression::Zstd),
            _ => None,
        })
    }

    fn compress(
        &self,
        diff_id: &Digest,
        compression: LayerCompression,
    ) -> Result<Finished, StoreError> {
        let mut tar = self.store.blobs().open(diff_id)?;
        let sink = self.store.blobs().sink("blob")?;
        let path = sink.path().to_owned();
        let written = compress_into(&mut tar, sink, compression);
        written.map_err(|source| StoreError::io("write", &path, source))
    }
}

fn compress_into(
    tar: &mut dyn Read,
    sink: Sink,
    compression: LayerCompression,
) -> io::Result<Finished> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut encoder = compression.encoder(sink, cores)?;
    io::copy(tar, &mut encoder)?;
    encoder.finish()?.finish()
}

fn described(algorithm: Compression, digest: Digest, size: u64) -> Descriptor {
    Descriptor::new(algorithm.oci_layer(), digest, size)
}
