//! Forms of a layer: its tar, or the tar compressed. Each is made once and remembered in the table `forms`.
//!
//! A row stays when its blob is pruned: the descriptor is what a push asks a registry for before it needs any bytes.

use std::io::{self, Read, Write};

use kiln_oci::compression::{SNIFF, sniff};
use kiln_oci::{Compression, Descriptor, Digest, Encoding, HashingWriter, LayerCompression};

use crate::store::database::{digest, signed, unsigned};
use crate::{Forms, StoreError, Work};

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
        let _turn = self.store.leases().lock(&key, "it compresses a layer")?;
        if let Some(form) = self.present(diff_id, compression)? {
            return Ok(form);
        }
        let layer = self.store.layers().get(diff_id)?;
        let algorithm = compression.algorithm();
        if algorithm == Compression::None {
            return Ok(described(algorithm, *diff_id, layer.index.tar_size));
        }
        let (digest, size) = match layer.compressed {
            Some(blob) if self.algorithm_of(&blob.digest)? == Some(algorithm) => {
                (blob.digest, blob.size)
            }
            _ => self.compress(diff_id, compression)?,
        };
        self.remember(diff_id, compression, &digest, size)?;
        Ok(described(algorithm, digest, size))
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
        let key = (diff_id.as_bytes(), compression.to_string());
        self.store.db().row(query, key, |row| {
            let (digest, size) = (digest(row, 0)?, unsigned(row.get(1)?));
            Ok(described(compression.algorithm(), digest, size))
        })
    }

    /// What [`Forms::compressed`] would give, without keeping the blob: only its digest and size are remembered.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when the store does not hold the layer.
    pub fn measured(
        &self,
        diff_id: &Digest,
        compression: LayerCompression,
    ) -> Result<Descriptor, StoreError> {
        if let Some(form) = self.remembered(diff_id, compression)? {
            return Ok(form);
        }
        let mut tar = self.store.blobs().reader(diff_id)?;
        let sink = HashingWriter::new(io::sink());
        let path = self.store.blobs().path(diff_id);
        let written = compress_into(&mut tar, sink, compression);
        let written = written.map_err(|source| StoreError::io("read", &path, source))?;
        let (_, digest, size) = written.finish();
        if !self.store.inner.options.read_only {
            self.remember(diff_id, compression, &digest, size)?;
        }
        Ok(described(compression.algorithm(), digest, size))
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
        self.store.db().execute(replace, row)
    }

    /// How a compressed blob begins.
    fn algorithm_of(&self, blob: &Digest) -> Result<Option<Compression>, StoreError> {
        let mut start = Vec::new();
        let opened = self.store.blobs().open(blob)?;
        let read = opened.take(SNIFF as u64).read_to_end(&mut start);
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
    ) -> Result<(Digest, u64), StoreError> {
        let tar = self.store.blobs().reader(diff_id)?;
        let total = self.store.blobs().size_on_disk(diff_id)?.unwrap_or(0);
        let meter = self.store.meter(Work::Compress, diff_id.to_string(), total);
        let sink = self.store.blobs().sink("blob")?;
        let path = sink.path().to_owned();
        let written = compress_into(&mut meter.of(tar), sink, compression);
        let sink = written.map_err(|source| StoreError::io("write", &path, source))?;
        meter.end();
        let made = sink.finish()?;
        self.store.blobs().publish(&made)?;
        Ok((made.digest, made.size))
    }
}

fn compress_into<W: Write>(
    tar: &mut dyn Read,
    sink: W,
    compression: LayerCompression,
) -> io::Result<W> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut encoder = compression.encoder(sink, cores)?;
    io::copy(tar, &mut encoder)?;
    encoder.finish()
}

fn described(algorithm: Compression, digest: Digest, size: u64) -> Descriptor {
    Descriptor::new(algorithm.oci_layer(), digest, size)
}
