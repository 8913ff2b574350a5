//! Layers from outside: one pass over the blob checks, keeps and indexes it.
//!
//! Decompression happens on the caller's thread; parsing, file digests and the writing of the tar on a second, sha256 on two
//! more: the slowest of them sets the pace.

use std::io::{self, Cursor, Read, Write};

use kiln_oci::Digest;
use kiln_oci::compression::{Encoding, Limited, SNIFF, decoder, most_expanded, sniff};

use crate::layer::decoded::{CHUNK, read_beside};
use crate::layer::read::read_tree;
use crate::store::blobs::check_blob;
use crate::store::database;
use crate::store::sink::{Finished, Sink, read_full};
use crate::{CompressedBlob, Layer, LayerError, LayerIndex, Layers, StoreError, Tree};

impl Layers<'_> {
    /// Takes in an uncompressed tar as a layer, verbatim (`ADD` of an archive, `import`).
    ///
    /// # Errors
    /// The tar is malformed, or the disk is full.
    pub fn import_tar(&self, tar: &mut dyn Read) -> Result<Layer, StoreError> {
        let (tree, finished) = write_tar(self.store.blobs().sink("layer")?, tar)?;
        let index = LayerIndex::of(&finished, tree);
        self.publish(&finished, index, None)
    }

    /// Takes in a layer from outside in one pass: checks size and digest of the blob and the diff ID of what it unpacks to, keeps the
    /// blob verbatim (when it is compressed) and the tar, and writes the index. The first bytes tell the encoding.
    /// Nothing stays on failure. A layer that the store holds already is not read.
    ///
    /// # Errors
    /// Something does not match, the tar is malformed, or the disk is full.
    pub fn ingest(
        &self,
        blob: &mut dyn Read,
        digest: &Digest,
        size: u64,
        diff_id: &Digest,
    ) -> Result<Layer, StoreError> {
        let known = ForeignLayer {
            digest: Some(*digest),
            size,
            diff_id: Some(*diff_id),
        };
        self.take(blob, &known).map(|(layer, _)| layer)
    }

    /// As [`Layers::ingest`], for a layer of which less may be known; says whether it is new to the store. Of a blob without a digest
    /// that is compressed in a way that no manifest can name, only the tar is kept.
    ///
    /// # Errors
    /// As there.
    pub fn take(
        &self,
        blob: &mut dyn Read,
        known: &ForeignLayer,
    ) -> Result<(Layer, bool), StoreError> {
        if let Some(layer) = self.held_foreign(known)? {
            return Ok((layer, false));
        }
        self.read(blob, known).map(|layer| (layer, true))
    }

    fn read(&self, blob: &mut dyn Read, known: &ForeignLayer) -> Result<Layer, StoreError> {
        let mut start = vec![0; SNIFF];
        let count = read_full(blob, &mut start).map_err(|source| LayerError::Tar(source.into()))?;
        start.truncate(count);
        let encoding = sniff(&start);
        let blob = Cursor::new(start)
            .chain(blob)
            .take(known.size.saturating_add(1));
        match (encoding, known.digest) {
            (Encoding::Plain, _) => self.take_plain(blob, known),
            (Encoding::Bzip2 | Encoding::Xz, None) => {
                let limit = most_expanded(known.size);
                let decoded = decoder(blob, encoding);
                let decoded = decoded.map_err(|source| LayerError::Tar(source.into()))?;
                let sink = self.store.blobs().sink("layer")?;
                let (tree, tar) = write_tar(sink, &mut Limited::new(decoded, limit))?;
                self.publish_foreign(tree, &tar, known, None)
            }
            _ => self.take_compressed(blob, encoding, known),
        }
    }

    fn take_compressed(
        &self,
        blob: impl Read,
        encoding: Encoding,
        known: &ForeignLayer,
    ) -> Result<Layer, StoreError> {
        let mut compressed = Tee {
            reader: blob,
            sink: self.store.blobs().sink("blob")?,
            failure: None,
        };
        let limit = most_expanded(known.size);
        let unpacked = self.unpack(&mut compressed, encoding, limit);
        compressed.check()?;
        let Unpacked { tree, tar } = unpacked?;
        let compressed = compressed.sink.finish()?;
        let (digest, size) = (known.digest.unwrap_or(compressed.digest), known.size);
        check_blob(&compressed, compressed.size, digest, size)?;
        check_diff_id(&tar, known)?;
        self.store.blobs().publish(&compressed)?;
        let blob = CompressedBlob { digest, size };
        self.publish_foreign(tree, &tar, known, Some(blob))
    }

    /// Reads a compressed layer to its end, of which no more than `limit` bytes may come: the tar in a scratch file, and what it holds.
    pub(crate) fn unpack(
        &self,
        compressed: &mut impl Read,
        encoding: Encoding,
        limit: u64,
    ) -> Result<Unpacked, StoreError> {
        let tar = self.store.blobs().sink("layer")?;
        let parse = move |decoded: &mut dyn Read| write_tar(tar, decoded);
        let (parsed, fed) =
            read_beside(compressed, encoding, limit, parse).map_err(StoreError::Thread)?;
        match fed {
            Err(source) if source.kind() == io::ErrorKind::FileTooLarge => {
                Err(too_much(limit).into())
            }
            Err(source) => Err(LayerError::Tar(source.into()).into()),
            Ok(()) => parsed.map(|(tree, tar)| Unpacked { tree, tar }),
        }
    }

    fn take_plain(&self, mut blob: impl Read, known: &ForeignLayer) -> Result<Layer, StoreError> {
        let (tree, tar) = write_tar(self.store.blobs().sink("layer")?, &mut blob)?;
        check_blob(
            &tar,
            tar.size,
            known.digest.unwrap_or(tar.digest),
            known.size,
        )?;
        self.publish_foreign(tree, &tar, known, None)
    }

    fn publish_foreign(
        &self,
        tree: Tree,
        tar: &Finished,
        known: &ForeignLayer,
        compressed: Option<CompressedBlob>,
    ) -> Result<Layer, StoreError> {
        check_diff_id(tar, known)?;
        self.publish(tar, LayerIndex::of(tar, tree), compressed)
    }

    /// The layer, if the store holds what is known of it.
    fn held_foreign(&self, known: &ForeignLayer) -> Result<Option<Layer>, StoreError> {
        let diff_id = match (known.digest, known.diff_id) {
            (_, Some(diff_id)) => diff_id,
            (Some(digest), None) => self.of_blob(&digest)?.unwrap_or(digest),
            (None, None) => return Ok(None),
        };
        if let Some(digest) = known.digest {
            return self.held(&digest, &diff_id);
        }
        // One of this size stands for it: its manifest is made for what the store has.
        self.store.leases().pin(&[diff_id])?;
        if !self.store.blobs().verify(&diff_id)? {
            return Ok(None);
        }
        let layer = self.get(&diff_id)?;
        let is_it = match &layer.compressed {
            Some(blob) => blob.size == known.size && self.store.blobs().verify(&blob.digest)?,
            None => layer.index.tar_size == known.size,
        };
        Ok(is_it.then_some(layer))
    }

    /// The layer that a compressed blob unpacks to, as far as the store remembers.
    fn of_blob(&self, blob: &Digest) -> Result<Option<Digest>, StoreError> {
        let query = "SELECT diff_id FROM layers WHERE compressed = ?1 UNION SELECT diff_id FROM forms WHERE digest = ?1 \
                     ORDER BY diff_id LIMIT 1";
        self.store
            .db()
            .row(query, [blob.as_bytes()], |row| database::digest(row, 0))
    }

    fn held(&self, digest: &Digest, diff_id: &Digest) -> Result<Option<Layer>, StoreError> {
        self.store.leases().pin(&[*digest, *diff_id])?;
        let held = self.store.blobs().verify(diff_id)?
            && (digest == diff_id || self.store.blobs().verify(digest)?);
        if !held {
            return Ok(None);
        }
        let mut layer = self.get(diff_id)?;
        if digest != diff_id && layer.compressed.is_none_or(|blob| blob.digest != *digest) {
            let size = self.store.blobs().size_on_disk(digest)?.unwrap_or(0);
            let digest = *digest;
            let came = layer.compressed.replace(CompressedBlob { digest, size });
            // of several forms the first one counts as what came
            if came.is_none() {
                self.remember(&layer.index, layer.compressed)?;
            }
        }
        Ok(Some(layer))
    }
}

/// What is known of a layer from outside before it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForeignLayer {
    /// The digest that the blob should have.
    pub digest: Option<Digest>,
    /// Its size in bytes.
    pub size: u64,
    /// The digest that the uncompressed tar should have.
    pub diff_id: Option<Digest>,
}

/// A layer's tar, not yet under its name, and what it holds.
pub(crate) struct Unpacked {
    pub(crate) tree: Tree,
    pub(crate) tar: Finished,
}

fn too_much(limit: u64) -> LayerError {
    LayerError::TooMuch {
        what: "bytes when it is decompressed",
        limit,
    }
}

fn check_diff_id(tar: &Finished, known: &ForeignLayer) -> Result<(), StoreError> {
    check_blob(tar, tar.size, known.diff_id.unwrap_or(tar.digest), tar.size)
}

/// Writes what `tar` gives to the sink and reads it as a layer.
fn write_tar(sink: Sink, tar: &mut dyn Read) -> Result<(Tree, Finished), StoreError> {
    let tee = Tee {
        reader: tar,
        sink,
        failure: None,
    };
    let mut buffered = io::BufReader::with_capacity(CHUNK, tee);
    let tree = read_tree(&mut buffered);
    let mut tee = buffered.into_inner();
    tee.check()?;
    let tree = tree?;
    Ok((tree, tee.sink.finish()?))
}

/// Copies what is read from `reader` to a sink.
struct Tee<R> {
    reader: R,
    sink: Sink,
    /// Why writing failed: the reader's side only sees that something did.
    failure: Option<io::Error>,
}

impl<R> Tee<R> {
    fn check(&mut self) -> Result<(), StoreError> {
        self.failure.take().map_or(Ok(()), |source| {
            Err(StoreError::io("write", self.sink.path(), source))
        })
    }
}

impl<R: Read> Read for Tee<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        if let Err(error) = self.sink.write_all(&buffer[..count]) {
            let kind = error.kind();
            self.failure = Some(error);
            return Err(kind.into());
        }
        Ok(count)
    }
}
