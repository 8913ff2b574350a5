//! Brings layers and blobs in: one pass over the bytes, while they come.
//!
//! A download is written to `parts/<hex>`, which outlives the process: the next attempt goes on where this one ended. A second
//! thread follows the file as it grows, decompresses it, writes the tar and its index, and digests both; at the end the part
//! becomes the blob by a rename. A download that began anew in between is read once more from the file.

use crate::threads::{beside, on_threads};
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kiln_oci::compression::{Encoding, SNIFF, most_expanded, sniff};
use kiln_oci::{Digest, HashingReader};

use crate::inventory::list;
use crate::layer::ingest::Unpacked;
use crate::layer::read::read_tree;
use crate::lazy::growing::{GrowingFile, Growth};
use crate::lazy::{BlobSource, RemoteBlob};
use crate::store::folders::is_link;
use crate::store::sink::{Finished, read_full};
use crate::{CompressedBlob, Fetch, KeyLock, LayerError, LayerIndex, StoreError};

/// Layers that are brought at once.
const AT_ONCE: usize = 4;
/// How often a waiting thread looks whether it may go on.
const LOOK: Duration = Duration::from_millis(30);

/// After this time a download that broke off is not gone on with.
const FORGOTTEN: Duration = Duration::from_secs(7 * 24 * 3600);

/// A blob in `parts/`, which nobody else writes now.
struct Part {
    path: PathBuf,
    _turn: KeyLock,
}

impl Fetch<'_> {
    /// Brings in the layers of which the store has no tar, several at once.
    ///
    /// # Errors
    /// [`StoreError::Missing`] for a layer that nobody has; [`StoreError::Bring`] for one that does not come, the first of them in
    /// the order given. [`StoreError::Disproved`] for one that came and is not what was said.
    pub fn layers(&self, diff_ids: &[Digest]) -> Result<(), StoreError> {
        self.bring_missing(diff_ids)?;
        self.store.exchange().check_claims(diff_ids)
    }

    fn bring_missing(&self, diff_ids: &[Digest]) -> Result<(), StoreError> {
        self.store.leases().pin(diff_ids)?;
        let mut missing: Vec<Digest> = Vec::new();
        for diff_id in diff_ids {
            if !self.store.blobs().verify(diff_id)? && !missing.contains(diff_id) {
                missing.push(*diff_id);
            }
        }
        if let [only] = missing[..] {
            return self.bring_layer(&only);
        }
        let next = AtomicUsize::new(0);
        let first_error: Mutex<Option<(usize, StoreError)>> = Mutex::new(None);
        let work = || {
            while let Some((number, diff_id)) = take(&next, &missing) {
                if let Err(error) = self.bring_layer(diff_id) {
                    let mut first = first_error.lock().unwrap_or_else(|lock| lock.into_inner());
                    if first.as_ref().is_none_or(|(other, _)| number < *other) {
                        *first = Some((number, error));
                    }
                    // what was begun is finished, nothing new is begun
                    next.store(missing.len(), Ordering::Relaxed);
                }
            }
        };
        on_threads(missing.len().min(AT_ONCE), work);
        let first = first_error.into_inner();
        first
            .unwrap_or_else(|lock| lock.into_inner())
            .map_or(Ok(()), |(_, error)| Err(error))
    }

    /// Brings in one layer, and notes when it does not come.
    fn bring_layer(&self, diff_id: &Digest) -> Result<(), StoreError> {
        let outcome = self.try_bring_layer(diff_id);
        let is_stopped = self
            .store
            .source
            .as_ref()
            .is_some_and(|source| source.is_cancelled());
        if outcome.is_err() && !is_stopped {
            self.store.exchange().lose(diff_id);
        }
        outcome
    }

    /// Tar, index, and the blob that it came as.
    fn try_bring_layer(&self, diff_id: &Digest) -> Result<(), StoreError> {
        if self.store.inner.options.read_only {
            return Err(StoreError::Missing { digest: *diff_id });
        }
        let key = Digest::of(format!("layer {diff_id}").as_bytes());
        let _turn = self.turn(&key)?;
        if self.store.blobs().verify(diff_id)? {
            return Ok(());
        }
        let mut last = StoreError::Missing { digest: *diff_id };
        let blobs = self.store.origins().blobs_of_layer(diff_id)?;
        for blob in blobs.iter().filter(|blob| *blob != diff_id) {
            self.store.leases().pin(&[*blob])?;
            if self.store.blobs().verify(blob)? {
                match self.unpack_blob(blob, diff_id) {
                    Ok(()) => return Ok(()),
                    Err(error @ StoreError::NoSpace { .. }) => return Err(error),
                    Err(error) => last = error,
                }
            }
        }
        for blob in &blobs {
            if let (Some(source), Some(blob)) =
                (&self.store.source, self.store.origins().remote_blob(blob)?)
            {
                match self.bring_and_unpack(source.as_ref(), &blob, diff_id) {
                    Ok(()) => return Ok(()),
                    Err(error @ StoreError::NoSpace { .. }) => return Err(error),
                    Err(error) => last = error,
                }
            }
        }
        Err(last)
    }

    /// Makes the tar anew from a compressed blob of the store.
    fn unpack_blob(&self, blob: &Digest, diff_id: &Digest) -> Result<(), StoreError> {
        let size = self.store.blobs().size_on_disk(blob)?.unwrap_or(0);
        let mut file = self.store.blobs().open_present(blob)?;
        let (encoding, mut reader) = sniffed(&mut file)?;
        let unpacked = self
            .store
            .layers()
            .unpack(&mut reader, encoding, most_expanded(size))?;
        self.keep_unpacked(unpacked, *diff_id, Some((*blob, size)))
    }

    /// Brings a blob that holds a layer, and unpacks it while it comes.
    fn bring_and_unpack(
        &self,
        source: &dyn BlobSource,
        blob: &RemoteBlob,
        diff_id: &Digest,
    ) -> Result<(), StoreError> {
        let part = self.part(&blob.digest)?;
        let growth = Growth::default();
        let follow = || {
            let mut file = GrowingFile::new(&part.path, &growth).take(blob.size.saturating_add(1));
            self.unpack_part(&mut file, blob)
        };
        let bring = || {
            let brought = source.bring(blob, &part.path, &|| growth.grown());
            growth.end(brought.is_ok());
            brought
        };
        let (followed, brought) = beside(follow, bring).map_err(StoreError::Thread)?;
        brought.map_err(|source| StoreError::Bring {
            digest: blob.digest,
            source,
        })?;
        let content = match followed {
            Ok(content) => Ok(content),
            // what the reader saw may not be what was there in the end
            Err(error @ StoreError::NoSpace { .. }) => Err(error),
            Err(_) => std::fs::File::open(&part.path)
                .map_err(|source| StoreError::io("open", &part.path, source))
                .and_then(|file| {
                    self.unpack_part(&mut file.take(blob.size.saturating_add(1)), blob)
                }),
        };
        let content =
            content.and_then(|content| self.keep_part(&part.path, content, blob, diff_id));
        if content.is_err() {
            // whole, but wrong: the next attempt starts anew
            let _ = std::fs::remove_file(&part.path);
        }
        content
    }

    /// Reads a blob to its end, checks it, and unpacks it if it is compressed.
    fn unpack_part(
        &self,
        file: &mut dyn Read,
        blob: &RemoteBlob,
    ) -> Result<PartContent, StoreError> {
        let mut hashed = HashingReader::new(file);
        let (encoding, mut reader) = sniffed(&mut hashed)?;
        let content = if encoding == Encoding::Plain {
            let mut buffered = io::BufReader::with_capacity(256 << 10, &mut reader);
            PartContent::Tar(read_tree(&mut buffered)?)
        } else {
            let limit = self.store.exchange().offered_size(&blob.digest)?;
            let most = most_expanded(blob.size);
            let limit = limit.map_or(most, |limit| limit.min(most));
            PartContent::Compressed(self.store.layers().unpack(&mut reader, encoding, limit)?)
        };
        drop(reader);
        let (_, found, size) = hashed.finish();
        check(blob, found, size)?;
        Ok(content)
    }

    /// Gives a part and what it unpacked to their names.
    fn keep_part(
        &self,
        part: &Path,
        content: PartContent,
        blob: &RemoteBlob,
        diff_id: &Digest,
    ) -> Result<(), StoreError> {
        let part = Finished {
            path: part.to_owned(),
            digest: blob.digest,
            size: blob.size,
        };
        match content {
            PartContent::Tar(tree) => {
                if blob.digest != *diff_id {
                    return Err(StoreError::DigestMismatch {
                        expected: *diff_id,
                        found: blob.digest,
                    });
                }
                self.store.exchange().check_offer(diff_id, blob.size)?;
                let index = LayerIndex {
                    diff_id: *diff_id,
                    tar_size: blob.size,
                    tree: tree.into(),
                };
                self.store.layers().publish(&part, index, None).map(drop)
            }
            PartContent::Compressed(unpacked) => {
                if unpacked.tar.digest != *diff_id {
                    return Err(StoreError::DigestMismatch {
                        expected: *diff_id,
                        found: unpacked.tar.digest,
                    });
                }
                self.store.blobs().publish(&part)?;
                self.keep_unpacked(unpacked, *diff_id, Some((blob.digest, blob.size)))
            }
        }
    }

    fn keep_unpacked(
        &self,
        unpacked: Unpacked,
        diff_id: Digest,
        blob: Option<(Digest, u64)>,
    ) -> Result<(), StoreError> {
        if unpacked.tar.digest != diff_id {
            return Err(StoreError::DigestMismatch {
                expected: diff_id,
                found: unpacked.tar.digest,
            });
        }
        self.store
            .exchange()
            .check_offer(&diff_id, unpacked.tar.size)?;
        let index = LayerIndex {
            diff_id,
            tar_size: unpacked.tar.size,
            tree: unpacked.tree.into(),
        };
        let blob = blob.map(|(digest, size)| CompressedBlob { digest, size });
        self.store
            .layers()
            .publish(&unpacked.tar, index, blob)
            .map(drop)
    }

    /// Brings a blob without looking into it, for whoever passes it on.
    pub(crate) fn blob(&self, digest: &Digest) -> Result<(), StoreError> {
        let missing = StoreError::Missing { digest: *digest };
        self.store.leases().pin(&[*digest])?;
        let (Some(source), Some(blob)) = (
            &self.store.source,
            self.store.origins().remote_blob(digest)?,
        ) else {
            return Err(missing);
        };
        let part = self.part(digest)?;
        if self.store.blobs().verify(digest)? {
            return Ok(());
        }
        let brought = source.bring(&blob, &part.path, &|| {});
        brought.map_err(|source| StoreError::Bring {
            digest: *digest,
            source,
        })?;
        let failed = |source| StoreError::io("read", &part.path, source);
        let mut file = HashingReader::new(std::fs::File::open(&part.path).map_err(failed)?);
        io::copy(&mut file, &mut io::sink()).map_err(failed)?;
        let (_, found, size) = file.finish();
        let finished = Finished {
            path: part.path.clone(),
            digest: *digest,
            size,
        };
        check(&blob, found, size)?;
        self.store.blobs().publish(&finished).map(drop)
    }

    /// The file that a blob is downloaded to, once nobody else does.
    fn part(&self, digest: &Digest) -> Result<Part, StoreError> {
        let folder = self.parts();
        let turn = self.turn(&Digest::of(format!("part {digest}").as_bytes()))?;
        let path = folder.join(digest.hex());
        if is_link(&path) {
            self.store.trash().put(&path)?;
        }
        Ok(Part { path, _turn: turn })
    }

    /// Where downloads grow.
    pub(crate) fn parts(&self) -> PathBuf {
        self.store.root().join("parts")
    }

    /// Throws away downloads that broke off: all, or those that nobody went on with for a week. Returns their bytes.
    pub(crate) fn prune_parts(&self, all: bool) -> Result<u64, StoreError> {
        let mut freed = 0;
        for part in list(&self.parts())? {
            let path = part.path();
            let Ok(stat) = part.metadata() else { continue };
            let age = stat.modified().ok().and_then(|at| at.elapsed().ok());
            let is_old = all || age.is_some_and(|age| age > FORGOTTEN);
            let key = format!("part sha256:{}", part.file_name().to_string_lossy());
            if is_old
                && let Some(_turn) = self.store.leases().try_lock(&Digest::of(key.as_bytes()))?
            {
                self.store.trash().put(&path)?;
                freed += stat.len();
            }
        }
        Ok(freed)
    }

    /// As [`crate::Leases::lock`], but gives up when the work is cancelled.
    fn turn(&self, key: &Digest) -> Result<KeyLock, StoreError> {
        loop {
            if let Some(turn) = self.store.leases().try_lock(key)? {
                return Ok(turn);
            }
            if self
                .store
                .source
                .as_ref()
                .is_some_and(|source| source.is_cancelled())
            {
                return Err(StoreError::Stopped);
            }
            std::thread::sleep(LOOK);
        }
    }
}

/// What a downloaded blob holds.
enum PartContent {
    /// It is the layer's tar.
    Tar(crate::Tree),
    /// The tar was written beside it.
    Compressed(Unpacked),
}

fn take<'a>(next: &AtomicUsize, all: &'a [Digest]) -> Option<(usize, &'a Digest)> {
    let number = next.fetch_add(1, Ordering::Relaxed);
    all.get(number).map(|diff_id| (number, diff_id))
}

fn check(blob: &RemoteBlob, found: Digest, size: u64) -> Result<(), StoreError> {
    if size != blob.size {
        return Err(StoreError::SizeMismatch {
            digest: blob.digest,
            expected: blob.size,
            found: size,
        });
    }
    if found != blob.digest {
        return Err(StoreError::DigestMismatch {
            expected: blob.digest,
            found,
        });
    }
    Ok(())
}

/// Looks at the first bytes; the reader gives them again.
fn sniffed<'a>(reader: &'a mut dyn Read) -> Result<(Encoding, impl Read + 'a), StoreError> {
    let mut start = vec![0; SNIFF];
    let count = read_full(reader, &mut start).map_err(|source| LayerError::Tar(source.into()))?;
    start.truncate(count);
    Ok((sniff(&start), Cursor::new(start).chain(reader)))
}
