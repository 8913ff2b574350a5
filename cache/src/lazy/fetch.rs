//! Fetches layers and blobs: one pass over the bytes, while they come.
//!
//! A download is written to `parts/<hex>`, which outlives the process: the next attempt continues where this one ended. A second
//! thread follows the file as it grows, decompresses it, writes the tar and its index, and digests both; at the end the part
//! becomes the blob by a rename. A download that was begun anew in between is read once more from the file.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::PathBuf;
use std::time::Duration;

use kiln_oci::compression::{Encoding, SNIFF, most_expanded, sniff};
use kiln_oci::{Digest, HashingReader};

use crate::inventory::list;
use crate::layer::ingest::Unpacked;
use crate::layer::read::read_tree;
use crate::lazy::RemoteBlob;
use crate::lazy::growing::{GrowingFile, Growth};
use crate::store::folders::is_link;
use crate::store::sink::{Finished, read_full};
use crate::store::waiting::Wait;
use crate::threads::{beside, try_parallel};
use crate::{CompressedBlob, Fetch, Fetcher, KeyLock, LayerError, LayerIndex, StoreError, Tree};

/// Layers that are fetched at once.
pub(crate) const AT_ONCE: usize = 4;
/// After this time a download that broke off is not continued.
const FORGOTTEN: Duration = Duration::from_secs(7 * 24 * 3600);

/// A blob in `parts/`, which nobody else writes now.
struct Part {
    path: PathBuf,
    _turn: KeyLock,
}

/// What a downloaded blob holds.
enum Content {
    /// It is the layer's tar.
    Tar(Tree),
    /// The tar was written beside it.
    Compressed(Unpacked),
}

impl Fetch<'_> {
    /// Fetches the layers of which the store has no tar, several at once.
    ///
    /// # Errors
    /// [`StoreError::Missing`] for a layer that is nowhere; [`StoreError::Fetch`] for one that does not come, the first of them in
    /// the order given. [`StoreError::Disproved`] for one that came and is not what was said.
    pub fn layers(&self, diff_ids: &[Digest]) -> Result<(), StoreError> {
        self.store.leases().pin(diff_ids)?;
        let mut missing: Vec<Digest> = Vec::new();
        for diff_id in diff_ids {
            if !self.store.blobs().verify(diff_id)? && !missing.contains(diff_id) {
                missing.push(*diff_id);
            }
        }
        try_parallel(&missing, AT_ONCE, |diff_id| {
            let fetched = self.fetch_layer(diff_id);
            if fetched.is_err() && !self.store.is_stopped() {
                self.store.exchange().lose(diff_id);
            }
            fetched
        })?;
        self.store.exchange().check_claims(diff_ids)
    }

    /// Whether [`Self::layers`] has nothing to do, which takes no time to tell. They are pinned.
    ///
    /// # Errors
    /// The database fails.
    pub fn has_all(&self, diff_ids: &[Digest]) -> Result<bool, StoreError> {
        self.store.leases().pin(diff_ids)?;
        for diff_id in diff_ids {
            if !self.store.blobs().is_vouched_for(diff_id)? {
                return Ok(false);
            }
        }
        Ok(self.store.exchange().check_claims(diff_ids).is_ok())
    }

    /// Tar, index, and the blob that the layer came as: from a blob that is here, else from an origin.
    fn fetch_layer(&self, diff_id: &Digest) -> Result<(), StoreError> {
        let missing = StoreError::Missing { digest: *diff_id };
        if self.store.inner.options.read_only {
            return match self.store.origins().blobs_of_layer(diff_id)?.is_empty() {
                true => Err(missing),
                false => self.store.writable(),
            };
        }
        let key = Digest::of(format!("layer {diff_id}").as_bytes());
        let _turn = self.turn(&key)?;
        if self.store.blobs().verify(diff_id)? {
            return Ok(());
        }
        let blobs = self.store.origins().blobs_of_layer(diff_id)?;
        let mut last = missing;
        for way in [Self::unpack_present, Self::fetch_and_unpack] {
            for blob in &blobs {
                match way(self, blob, diff_id) {
                    Ok(true) => return Ok(()),
                    Ok(false) => {}
                    Err(error @ StoreError::NoSpace { .. }) => return Err(error),
                    Err(error) => last = error,
                }
            }
        }
        Err(last)
    }

    /// Makes the tar anew from a compressed blob; `false` when the store has no such blob.
    fn unpack_present(&self, blob: &Digest, diff_id: &Digest) -> Result<bool, StoreError> {
        if blob == diff_id {
            return Ok(false);
        }
        self.store.leases().pin(&[*blob])?;
        if !self.store.blobs().verify(blob)? {
            return Ok(false);
        }
        let size = self.store.blobs().size_on_disk(blob)?.unwrap_or(0);
        let mut file = self.store.blobs().open_present(blob)?;
        let (encoding, mut reader) = sniffed(&mut file)?;
        let unpacked = self
            .store
            .layers()
            .unpack(&mut reader, encoding, most_expanded(size))?;
        let digest = *blob;
        let blob = Some(CompressedBlob { digest, size });
        self.keep_tar(&unpacked.tar, unpacked.tree, diff_id, blob)?;
        Ok(true)
    }

    /// Fetches a blob that holds a layer, and unpacks it while it comes; `false` when no origin has it.
    fn fetch_and_unpack(&self, blob: &Digest, diff_id: &Digest) -> Result<bool, StoreError> {
        let (Some(fetcher), Some(blob)) =
            (&self.store.fetcher, self.store.origins().remote_blob(blob)?)
        else {
            return Ok(false);
        };
        let part = self.part(&blob.digest)?;
        let content = match self.follow(fetcher.as_ref(), &blob, &part)? {
            Ok(content) => Ok(content),
            Err(error @ StoreError::NoSpace { .. }) => Err(error),
            // what the reader saw may not be what was there in the end
            Err(_) => File::open(&part.path)
                .map_err(|source| StoreError::io("open", &part.path, source))
                .and_then(|mut file| self.unpack_part(&mut file, &blob)),
        };
        let kept = content.and_then(|content| self.keep_part(&part, content, &blob, diff_id));
        if kept.is_err() {
            // whole, but wrong: the next attempt starts anew
            let _ = std::fs::remove_file(&part.path);
        }
        kept.map(|()| true)
    }

    /// Fetches a blob into a part, and reads the part as it grows; what the reader saw.
    fn follow(
        &self,
        fetcher: &dyn Fetcher,
        blob: &RemoteBlob,
        part: &Part,
    ) -> Result<Result<Content, StoreError>, StoreError> {
        let growth = Growth::default();
        let follow = || self.unpack_part(&mut GrowingFile::new(&part.path, &growth), blob);
        let fetch = || {
            let fetched = fetcher.fetch(blob, &part.path, &|| growth.grown());
            growth.end(fetched.is_ok());
            fetched
        };
        let (followed, fetched) = beside(follow, fetch).map_err(StoreError::Thread)?;
        fetched.map_err(failed(blob))?;
        Ok(followed)
    }

    /// Reads a blob to its end, checks it, and unpacks it if it is compressed.
    fn unpack_part(&self, file: &mut dyn Read, blob: &RemoteBlob) -> Result<Content, StoreError> {
        let mut file = file.take(blob.size.saturating_add(1));
        let mut hashed = HashingReader::new(&mut file);
        let (encoding, mut reader) = sniffed(&mut hashed)?;
        let content = if encoding == Encoding::Plain {
            let mut buffered = io::BufReader::with_capacity(256 << 10, &mut reader);
            Content::Tar(read_tree(&mut buffered)?)
        } else {
            // an imported layer may not unpack to more than was said of it
            let imported = self.store.exchange().imported_as(&blob.digest)?;
            let said = imported.iter().map(|known| known.layer.tar_size).max();
            let most = most_expanded(blob.size).min(said.unwrap_or(u64::MAX));
            Content::Compressed(self.store.layers().unpack(&mut reader, encoding, most)?)
        };
        drop(reader);
        let (_, digest, size) = hashed.finish();
        check(blob, digest, size)?;
        Ok(content)
    }

    /// Gives a part and what it unpacked to their names.
    fn keep_part(
        &self,
        part: &Part,
        content: Content,
        blob: &RemoteBlob,
        diff_id: &Digest,
    ) -> Result<(), StoreError> {
        let part = Finished {
            path: part.path.clone(),
            digest: blob.digest,
            size: blob.size,
        };
        match content {
            Content::Tar(tree) => self.keep_tar(&part, tree, diff_id, None),
            Content::Compressed(Unpacked { tree, tar }) => {
                expect(diff_id, tar.digest)?;
                self.store.blobs().publish(&part)?;
                let blob = CompressedBlob {
                    digest: blob.digest,
                    size: blob.size,
                };
                self.keep_tar(&tar, tree, diff_id, Some(blob))
            }
        }
    }

    /// Gives a tar its name, if it is that of the layer.
    fn keep_tar(
        &self,
        tar: &Finished,
        tree: Tree,
        diff_id: &Digest,
        blob: Option<CompressedBlob>,
    ) -> Result<(), StoreError> {
        expect(diff_id, tar.digest)?;
        self.store.exchange().check_import(diff_id, tar.size)?;
        let index = LayerIndex {
            diff_id: *diff_id,
            tar_size: tar.size,
            tree: tree.into(),
        };
        self.store.layers().publish(tar, index, blob).map(drop)
    }

    /// Fetches a blob without looking into it, so that it can be passed on.
    pub(crate) fn blob(&self, digest: &Digest) -> Result<(), StoreError> {
        self.store.leases().pin(&[*digest])?;
        let (Some(fetcher), Some(blob)) = (
            &self.store.fetcher,
            self.store.origins().remote_blob(digest)?,
        ) else {
            return Err(StoreError::Missing { digest: *digest });
        };
        let part = self.part(digest)?;
        if self.store.blobs().verify(digest)? {
            return Ok(());
        }
        let fetched = fetcher.fetch(&blob, &part.path, &|| {});
        fetched.map_err(failed(&blob))?;
        let unreadable = |source| StoreError::io("read", &part.path, source);
        let mut file = HashingReader::new(File::open(&part.path).map_err(unreadable)?);
        io::copy(&mut file, &mut io::sink()).map_err(unreadable)?;
        let (_, digest, size) = file.finish();
        let path = part.path.clone();
        let finished = Finished { path, digest, size };
        check(&blob, digest, size)?;
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

    /// Throws away downloads that broke off: all, or those that nobody continued for a week. Returns their bytes. A dry run only tells.
    pub(crate) fn prune_parts(&self, all: bool, dry_run: bool) -> Result<u64, StoreError> {
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
                if !dry_run {
                    self.store.trash().put(&path)?;
                }
                freed += stat.len();
            }
        }
        Ok(freed)
    }

    /// As [`crate::Leases::lock`], but gives up when what is fetched for is cancelled, too.
    fn turn(&self, key: &Digest) -> Result<KeyLock, StoreError> {
        let mut wait = Wait::begin();
        loop {
            if let Some(turn) = self.store.leases().try_lock(key)? {
                return Ok(turn);
            }
            if self.store.is_stopped() {
                return Err(StoreError::Cancelled);
            }
            wait.pause(self.store.waiter(), "it fetches a layer");
        }
    }
}

/// For `map_err` of what a fetcher returns.
fn failed(blob: &RemoteBlob) -> impl FnOnce(super::FetchFailure) -> StoreError {
    let digest = blob.digest;
    move |source| StoreError::Fetch { digest, source }
}

fn check(blob: &RemoteBlob, found: Digest, size: u64) -> Result<(), StoreError> {
    if size != blob.size {
        return Err(StoreError::SizeMismatch {
            digest: blob.digest,
            expected: blob.size,
            found: size,
        });
    }
    expect(&blob.digest, found)
}

fn expect(expected: &Digest, found: Digest) -> Result<(), StoreError> {
    if found == *expected {
        return Ok(());
    }
    Err(StoreError::DigestMismatch {
        expected: *expected,
        found,
    })
}

/// Looks at the first bytes; the reader gives them again.
fn sniffed<'a>(reader: &'a mut dyn Read) -> Result<(Encoding, impl Read + 'a), StoreError> {
    let mut start = vec![0; SNIFF];
    let count = read_full(reader, &mut start).map_err(|source| LayerError::Tar(source.into()))?;
    start.truncate(count);
    Ok((sniff(&start), Cursor::new(start).chain(reader)))
}
