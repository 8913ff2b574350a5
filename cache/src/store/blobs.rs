//! Blobs: files named by their sha256, and when their content can be trusted.
//!
//! A blob is renamed into place whole, but not synced: after a power cut its name may stand over other bytes. So the database
//! remembers which boot wrote a blob; one of another boot is digested once before its first use, and dropped if it is damaged.

use std::collections::BTreeSet;
use std::fs::{File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use kiln_oci::{Digest, Hasher, locked};

use crate::store::database::{signed, unsigned};
use crate::store::sink::{Finished, Sink, read_full};
use crate::{Blobs, ContentHasher, StoreError, try_parallel};

/// Files that are synced at once.
const SYNCS_AT_ONCE: usize = 8;

/// What the database says about a blob.
struct Known {
    size: u64,
    /// Nothing can have happened to it: this boot wrote or checked it, or it was made durable.
    sound: bool,
}

impl Blobs<'_> {
    /// Where the blob is, if the store has it.
    #[must_use]
    pub fn path(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        self.store
            .root()
            .join("blobs/sha256")
            .join(&hex[..2])
            .join(hex)
    }

    /// Whether the store holds the blob with the size that it should have. Its content may not have been checked in this boot.
    ///
    /// # Errors
    /// The database fails.
    pub fn has(&self, digest: &Digest) -> Result<bool, StoreError> {
        if self.is_trusted(digest) {
            return Ok(true);
        }
        let Some(size) = self.size_on_disk(digest)? else {
            return Ok(false);
        };
        Ok(self.known(digest)?.is_none_or(|known| known.size == size))
    }

    /// Opens a blob that is whole; one of an image that is not here is fetched first.
    ///
    /// # Errors
    /// [`StoreError::Missing`], also when it was damaged and has been dropped; [`StoreError::Fetch`] when it does not come.
    pub fn open(&self, digest: &Digest) -> Result<File, StoreError> {
        if !self.verify(digest)? {
            if self.store.origins().is_layer(digest)? {
                self.store.fetch().layers(&[*digest])?;
            } else {
                self.store.fetch().blob(digest)?;
            }
        }
        self.open_present(digest)
    }

    /// Opens a blob that is here.
    pub(crate) fn open_present(&self, digest: &Digest) -> Result<File, StoreError> {
        if !self.verify(digest)? {
            return Err(StoreError::Missing { digest: *digest });
        }
        let path = self.path(digest);
        File::open(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => StoreError::Missing { digest: *digest },
            _ => StoreError::io("open", &path, source),
        })
    }

    /// Puts a blob and pins it; `expect` is its digest and size where a descriptor gave them.
    ///
    /// # Errors
    /// The bytes are not what was expected, or cannot be written.
    pub fn put(
        &self,
        reader: &mut dyn Read,
        expect: Option<(Digest, u64)>,
    ) -> Result<Digest, StoreError> {
        let mut sink = self.sink("blob")?;
        let path = sink.path().to_owned();
        let most = expect.map_or(u64::MAX, |(_, size)| size.saturating_add(1));
        // the content digest is not wanted here; computing it costs a fifth of the sha256
        let copied = sink.copy_from(reader, most, &mut ContentHasher::new());
        let copied = copied.flatten();
        let copied = copied.map_err(|source| StoreError::io("write", &path, source))?;
        let finished = sink.finish()?;
        if let Some((digest, size)) = expect {
            check_blob(&finished, copied, digest, size)?;
        }
        self.publish(&finished)?;
        Ok(finished.digest)
    }

    /// A scratch file in this process's lease.
    pub(crate) fn sink(&self, prefix: &str) -> Result<Sink, StoreError> {
        let path = self.store.scratch().path(prefix)?;
        Sink::create(path.clone()).map_err(|source| StoreError::io("make", &path, source))
    }

    /// Pins a finished scratch file's digest, then moves it to its name: no prune can take it in between. When the store has a
    /// sound blob of that name already, that one stays.
    pub(crate) fn publish(&self, finished: &Finished) -> Result<PathBuf, StoreError> {
        let target = self.path(&finished.digest);
        self.store.leases().pin(&[finished.digest])?;
        if self.size_on_disk(&finished.digest)? == Some(finished.size)
            && self
                .known(&finished.digest)?
                .is_some_and(|known| known.sound)
        {
            self.trust(finished.digest);
            return Ok(target);
        }
        let failed = |source| StoreError::io("store", &target, source);
        std::fs::set_permissions(&finished.path, Permissions::from_mode(0o444)).map_err(failed)?;
        self.store.scratch().put_in_place(&finished.path, &target)?;
        let upsert = "INSERT INTO blobs (digest, size, boot, synced) VALUES (?1, ?2, ?3, 0) \
                      ON CONFLICT DO UPDATE SET size = ?2, boot = ?3, synced = 0";
        let row = (
            finished.digest.as_bytes(),
            signed(finished.size),
            &self.store.inner.options.boot_id,
        );
        self.store.db().execute(upsert, row)?;
        self.trust(finished.digest);
        Ok(target)
    }

    /// Whether the blob is there and whole. What another boot wrote is digested, once.
    pub(crate) fn verify(&self, digest: &Digest) -> Result<bool, StoreError> {
        if self.is_trusted(digest) {
            return Ok(true);
        }
        let Some(size) = self.size_on_disk(digest)? else {
            return Ok(false);
        };
        let whole = match self.known(digest)? {
            Some(known) if known.size != size => false,
            Some(known) if known.sound => true,
            _ => self.digest(digest, size)?,
        };
        if whole {
            self.trust(*digest);
        } else if !self.store.inner.options.read_only {
            self.forget(digest)?;
            self.store.trash().put(&self.path(digest))?;
        }
        Ok(whole)
    }

    /// Whether it is known to be whole, without a look into it.
    pub(crate) fn is_vouched_for(&self, digest: &Digest) -> Result<bool, StoreError> {
        let Some(size) = self.size_on_disk(digest)? else {
            return Ok(false);
        };
        let known = self.known(digest)?;
        Ok(known.is_some_and(|known| known.sound && known.size == size))
    }

    /// Digests a blob; when it is whole, this boot vouches for it.
    fn digest(&self, digest: &Digest, size: u64) -> Result<bool, StoreError> {
        let path = self.path(digest);
        let found = digest_file(&path).map_err(|source| StoreError::io("read", &path, source))?;
        if found == *digest && !self.store.inner.options.read_only {
            let upsert = "INSERT INTO blobs (digest, size, boot, synced) VALUES (?1, ?2, ?3, 0) ON CONFLICT DO UPDATE SET size = ?2, boot = ?3";
            let row = (
                digest.as_bytes(),
                signed(size),
                &self.store.inner.options.boot_id,
            );
            self.store.db().execute(upsert, row)?;
        }
        Ok(found == *digest)
    }

    fn known(&self, digest: &Digest) -> Result<Option<Known>, StoreError> {
        let query = "SELECT size, boot = ?2 OR synced FROM blobs WHERE digest = ?1";
        let parameters = (digest.as_bytes(), &self.store.inner.options.boot_id);
        self.store.db().row(query, parameters, |row| {
            Ok(Known {
                size: unsigned(row.get(0)?),
                sound: row.get(1)?,
            })
        })
    }

    pub(crate) fn forget(&self, digest: &Digest) -> Result<(), StoreError> {
        locked(&self.store.inner.trusted).remove(digest);
        let delete = "DELETE FROM blobs WHERE digest = ?1";
        self.store.db().execute(delete, [digest.as_bytes()])
    }

    /// The blob's size, if there is a file.
    pub(crate) fn size_on_disk(&self, digest: &Digest) -> Result<Option<u64>, StoreError> {
        let path = self.path(digest);
        match std::fs::symlink_metadata(&path) {
            Ok(stat) if stat.is_file() => Ok(Some(stat.len())),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StoreError::io("look at", &path, source)),
        }
    }

    fn is_trusted(&self, digest: &Digest) -> bool {
        locked(&self.store.inner.trusted).contains(digest)
    }

    fn trust(&self, digest: Digest) {
        locked(&self.store.inner.trusted).insert(digest);
    }

    /// Data, then directories; the reference comes after both. Those of a kind go at once: a file system with a journal writes it once for
    /// all that wait for it.
    pub(crate) fn make_durable(&self, blobs: &BTreeSet<Digest>) -> Result<(), StoreError> {
        let (mut files, mut folders) = (Vec::new(), BTreeSet::<PathBuf>::new());
        for digest in blobs {
            self.open_present(digest)?;
        }
        for digest in self.not_durable(blobs)? {
            let path = self.path(&digest);
            // the shard and the folder that holds it
            folders.extend(path.ancestors().skip(1).take(2).map(Into::into));
            files.push(path);
        }
        sync(&files, File::sync_data)?;
        sync(&folders.into_iter().collect::<Vec<_>>(), File::sync_all)
    }

    /// Those of some blobs that a power cut may take.
    pub(crate) fn not_durable(&self, blobs: &BTreeSet<Digest>) -> Result<Vec<Digest>, StoreError> {
        let query = "SELECT 1 FROM blobs WHERE digest = ?1 AND synced";
        self.store.db().snapshot(|connection| {
            let mut synced = connection.prepare_cached(query)?;
            let mut open = Vec::new();
            for digest in blobs {
                if !synced.exists([digest.as_bytes()])? {
                    open.push(*digest);
                }
            }
            Ok(open)
        })
    }
}

/// Opens files or folders and syncs them, several at once.
fn sync(paths: &[PathBuf], sync: fn(&File) -> io::Result<()>) -> Result<(), StoreError> {
    try_parallel(paths, SYNCS_AT_ONCE, |path| {
        let synced = File::open(path).and_then(|file| sync(&file));
        synced.map_err(|source| StoreError::io("sync", path, source))
    })?;
    Ok(())
}

/// Compares what came with what was asked for.
pub(crate) fn check_blob(
    finished: &Finished,
    read: u64,
    digest: Digest,
    size: u64,
) -> Result<(), StoreError> {
    if read != size {
        return Err(StoreError::SizeMismatch {
            digest,
            expected: size,
            found: read,
        });
    }
    if finished.digest != digest {
        return Err(StoreError::DigestMismatch {
            expected: digest,
            found: finished.digest,
        });
    }
    Ok(())
}

/// sha256 of a file.
pub(crate) fn digest_file(path: &Path) -> io::Result<Digest> {
    let mut file = File::open(path)?;
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = read_full(&mut file, &mut buffer)?;
        hasher.update(&buffer[..count]);
        if count < buffer.len() {
            return Ok(hasher.finish());
        }
    }
}
