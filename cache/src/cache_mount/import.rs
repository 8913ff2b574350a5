//! Cache mounts that begin with what a shared cache has: directories of their own, beside those of builds that do not name that cache.
//! Beside such a directory `<name>.from` says what it began with, or was last exported as; without it the directory counts as none.
//! Unaware of where shared caches are and of how their packs come.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use kiln_oci::{Digest, locked};
use serde::{Deserialize, Serialize};

use super::listing::{MountError, MountListing};
use super::packing::Packs;
use super::{CacheMount, CacheMountUsage, CacheStart, try_lock};
use crate::beneath::{open_file, open_root};
use crate::store::waiting::Wait;
use crate::view::unpack::{Contents, Piece, unpack_pieces};
use crate::{CacheMounts, ContentDigest, EntryKind, KeyBuilder, StoreError};

/// What a directory has from a shared cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportedMount {
    /// The identity that the mount has where no cache is named.
    pub identity: Digest,
    /// What people call it.
    pub id: String,
    /// The name of the cache.
    pub cache: String,
    /// What the cache says that it holds.
    pub tree: Digest,
}

impl ImportedMount {
    /// The identity of the directory.
    #[must_use]
    pub fn own_identity(&self) -> Digest {
        let identity = KeyBuilder::new("imported cache-mount")
            .input("mount", self.identity)
            .bytes("cache", self.cache.as_bytes());
        identity.finish().0
    }
}

/// A directory of a cache mount, as those find it that export it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountFolder {
    /// The directory.
    pub path: PathBuf,
    /// Its identity where no cache is named.
    pub identity: Digest,
    /// What people call it.
    pub id: String,
    /// When it was used last, seconds since 1970.
    pub used: i64,
    /// The cache that it began with.
    pub from: Option<String>,
}

/// An import that has begun: nobody uses the directory meanwhile.
#[derive(Debug)]
pub struct MountImport<'a> {
    mounts: CacheMounts<'a>,
    from: ImportedMount,
    held: CacheMount,
    /// Directories of this store that may have some of it.
    donors: Vec<Donor>,
}

/// A directory, and what is in it.
#[derive(Debug)]
struct Donor {
    root: OwnedFd,
    files: HashMap<ContentDigest, Box<[u8]>>,
    _lock: Option<CacheMount>,
}

impl<'a> CacheMounts<'a> {
    /// Begins an import; `None` where the directory is as the cache says, or is used by others, who would see it change.
    ///
    /// # Errors
    /// The store fails, or the caller is stopped while it waits for another import.
    pub fn import(&self, from: &ImportedMount) -> Result<Option<MountImport<'a>>, MountError> {
        self.made_folder()?;
        let path = self.path(&from.own_identity(), 0);
        let (mut wait, what) = (Wait::begin(), format!("it fetches {}", from.id));
        loop {
            let lock = try_lock(&path.with_extension("lock"), true)?;
            let has = self.imported(&path).filter(|_| path.is_dir());
            match lock {
                _ if has.as_ref() == Some(from) => return Ok(None),
                Some(lock) => {
                    let held = CacheMount { path, lock };
                    return self.begin(from, held).map(Some);
                }
                None if has.is_some() => return Ok(None),
                None => wait.pause_or_stop(self.store.waiter(), &what)?,
            }
        }
    }

    fn begin(&self, from: &ImportedMount, held: CacheMount) -> Result<MountImport<'a>, MountError> {
        let donors = self.donors(&held.path, &from.identity)?;
        Ok(MountImport {
            mounts: *self,
            from: from.clone(),
            held,
            donors,
        })
    }

    /// What a directory has from a shared cache; `None` for one that has nothing from any.
    #[must_use]
    pub fn imported(&self, path: &Path) -> Option<ImportedMount> {
        let note = std::fs::read(path.with_extension("from")).ok()?;
        serde_json::from_slice(&note).ok()
    }

    /// Notes that a directory which came from this cache is there as it is now, so that it is not imported again.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn exported(&self, path: &Path, cache: &str, tree: Digest) -> Result<(), StoreError> {
        match self.imported(path).filter(|from| from.cache == cache) {
            Some(from) => self.note(path, &ImportedMount { tree, ..from }),
            None => Ok(()),
        }
    }

    fn note(&self, path: &Path, from: &ImportedMount) -> Result<(), StoreError> {
        // plain data: serialising it cannot fail
        let note = serde_json::to_vec(from).unwrap_or_default();
        let scratch = self.store.scratch();
        scratch.write_file(&path.with_extension("from"), &note)
    }

    /// The directories of this id map that an export may take: of private ones the first.
    #[must_use]
    pub fn folders(&self) -> Vec<MountFolder> {
        let all = self.folder();
        let own = self.usage().into_iter();
        let own = own.filter(|mount| mount.path.parent() == Some(&all));
        own.filter_map(|mount| self.described(mount)).collect()
    }

    fn described(&self, mount: CacheMountUsage) -> Option<MountFolder> {
        let CacheMountUsage {
            path, title, used, ..
        } = mount;
        let name = path.file_name()?.to_str()?.strip_suffix("-0")?;
        let identity = Digest::from_hex(name).ok()?;
        let (identity, id, from) = match self.imported(&path) {
            None => (identity, title, None),
            Some(from) => (from.identity, from.id, Some(from.cache)),
        };
        Some(MountFolder {
            path,
            identity,
            id,
            used,
            from,
        })
    }

    /// Keeps a directory from being removed and from those that want it for themselves; `None` where one of them has it, or it is gone.
    ///
    /// # Errors
    /// The lock cannot be asked for.
    pub fn hold(&self, path: &Path) -> Result<Option<CacheMount>, StoreError> {
        let lock = try_lock(&path.with_extension("lock"), false)?;
        let lock = lock.filter(|_| path.is_dir());
        Ok(lock.map(|lock| CacheMount {
            path: path.to_owned(),
            lock,
        }))
    }

    /// What was there before, and what builds have that name no cache.
    fn donors(&self, path: &Path, identity: &Digest) -> Result<Vec<Donor>, MountError> {
        let mut donors = Vec::new();
        if path.is_dir() {
            donors.push(self.donor(path, None)?);
        }
        let own = self.path(identity, 0);
        if own.is_dir()
            && let Some(held) = self.hold(&own)?
        {
            donors.push(self.donor(&own, Some(held))?);
        }
        Ok(donors)
    }

    fn donor(&self, path: &Path, lock: Option<CacheMount>) -> Result<Donor, MountError> {
        let root = open_root(path).map_err(|source| StoreError::io("open", path, source))?;
        let listing = self.look(path)?;
        let files = listing.contents();
        let files = files.map(|(entry, content, _)| (content, entry.path.clone()));
        Ok(Donor {
            root,
            files: files.collect(),
            _lock: lock,
        })
    }
}

impl MountImport<'_> {
    /// The numbers of the packs that are needed, for what this store does not have.
    #[must_use]
    pub fn lacking(&self, listing: &MountListing, packs: &Packs) -> Vec<usize> {
        let has = |content: &ContentDigest| {
            let mut donors = self.donors.iter();
            donors.any(|donor| donor.files.contains_key(content))
        };
        let lacking = listing.contents().filter(|(_, content, _)| !has(content));
        let packs: std::collections::BTreeSet<usize> = lacking
            .filter_map(|(entry, ..)| Some(packs.find(entry.offset())?.0))
            .collect();
        packs.into_iter().collect()
    }

    /// Makes the directory, whole when it appears. `files` are packs by their number, not compressed. With a `start` the directory itself
    /// has its mode and owner, whatever the cache says.
    ///
    /// # Errors
    /// A pack holds something else than the listing says, or the store fails.
    pub fn fill(
        self,
        listing: &MountListing,
        packs: &Packs,
        files: &HashMap<usize, File>,
        start: Option<&CacheStart>,
    ) -> Result<(), MountError> {
        let store = self.mounts.store;
        let mut entries = listing.entries().to_vec();
        if let (Some(root), Some(start)) = (entries.first_mut(), start) {
            (root.mode, root.uid, root.gid) = (start.mode, start.uid, start.gid);
        }
        let scratch = store.scratch().dir("cache-mount")?;
        let piece = |entry| Piece { entry, tar: 0 };
        let pieces: Vec<_> = entries.iter().map(piece).collect();
        let contents = MountContents {
            donors: &self.donors,
            packs,
            files,
        };
        let target = store.views().target().unmarked();
        unpack_pieces(&pieces, &contents, &scratch, target, &|_| {})?;
        Ok(self.put_in_place(&scratch)?)
    }

    /// The note goes first and comes last, so that it never speaks of another directory.
    fn put_in_place(self, scratch: &Path) -> Result<(), StoreError> {
        let (store, path) = (self.mounts.store, &self.held.path);
        let note = path.with_extension("from");
        match std::fs::remove_file(&note) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(StoreError::io("remove", &note, error));
            }
            _ => {}
        }
        store.trash().put(path)?;
        std::fs::rename(scratch, path).map_err(|source| StoreError::io("rename", path, source))?;
        locked(&store.inner.mounts).insert(path.clone());
        self.mounts.note(path, &self.from)
    }
}

/// Where the content of files comes from: this store, else packs.
struct MountContents<'a> {
    donors: &'a [Donor],
    packs: &'a Packs,
    files: &'a HashMap<usize, File>,
}

impl<'a> Contents for MountContents<'a> {
    fn read(
        &self,
        piece: Piece<'_>,
        read: &mut dyn FnMut(&File, u64) -> io::Result<ContentDigest>,
    ) -> io::Result<ContentDigest> {
        if piece.entry.size() == 0 {
            return Ok(ContentDigest::of(b""));
        }
        let mut donors = self.donors.iter();
        let EntryKind::File { content, .. } = &piece.entry.kind else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let has = |donor: &'a Donor| Some((donor.root.as_fd(), donor.files.get(content)?));
        if let Some((root, path)) = donors.find_map(has) {
            return read(&File::from(open_file(root, path)?), 0);
        }
        let found = self.packs.find(piece.entry.offset());
        let found = found.and_then(|(pack, at)| Some((self.files.get(&pack)?, at)));
        let (file, at) = found.ok_or(io::ErrorKind::NotFound)?;
        read(file, at)
    }

    fn damage(&self, piece: Piece<'_>) -> io::Error {
        let path = crate::path::display(&piece.entry.path);
        io::Error::other(format!("{path:?} is not what its listing says"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CacheSharing;
    use crate::tests::store;

    const START: CacheStart = CacheStart {
        mode: 0o750,
        uid: 0,
        gid: 0,
        emptied: false,
        layer: None,
    };

    fn opened(mounts: CacheMounts<'_>, identity: &Digest) -> CacheMount {
        let opened = mounts.open(identity, CacheSharing::Shared, &START, "");
        opened.unwrap()
    }

    fn from(cache: &str, listing: &MountListing) -> ImportedMount {
        ImportedMount {
            identity: Digest::of(b"apt"),
            id: "apt".to_owned(),
            cache: cache.to_owned(),
            tree: listing.tree(),
        }
    }

    /// What a cache has of a directory with one file, and the file of its only pack.
    fn shared(mounts: CacheMounts<'_>, name: &str, text: &str) -> (MountListing, Packs, File) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(name), text).unwrap();
        let found = mounts.look(folder.path()).unwrap();
        let packing = found.packing(None, &Packs::default());
        let mut bytes = Vec::new();
        mounts
            .pack(folder.path(), &packing.new[0], &mut bytes)
            .unwrap();
        assert_eq!(bytes, text.as_bytes());
        let file = tempfile::tempfile().unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &bytes, 0).unwrap();
        let packs = Packs::of([bytes.len() as u64]).unwrap();
        (packing.listing, packs, file)
    }

    #[test]
    fn a_mount_begins_with_what_a_cache_has_apart_from_others() {
        let (_folder, store) = store();
        let mounts = store.cache_mounts();
        let (listing, packs, file) = shared(mounts, "word", "shared");
        let from = from("r.test/cache", &listing);
        let own = opened(mounts, &from.identity);
        let import = mounts.import(&from).unwrap().unwrap();
        assert_eq!(import.lacking(&listing, &packs), [0]);
        let files = [(0, file)].into();
        import.fill(&listing, &packs, &files, Some(&START)).unwrap();
        assert!(mounts.import(&from).unwrap().is_none());
        let imported = opened(mounts, &from.own_identity());
        assert_eq!(
            std::fs::read(imported.path.join("word")).unwrap(),
            b"shared"
        );
        let mode = std::os::unix::fs::PermissionsExt::mode;
        assert_eq!(
            mode(&imported.path.metadata().unwrap().permissions()) & 0o7777,
            0o750
        );
        assert_eq!(std::fs::read_dir(&own.path).unwrap().count(), 0);
        let folders = mounts.folders();
        let caches: Vec<_> = folders
            .iter()
            .map(|folder| folder.from.as_deref())
            .collect();
        assert!(caches.contains(&None) && caches.contains(&Some("r.test/cache")));
        // the note goes with the directory
        drop(imported);
        store.garbage().prune(None).unwrap();
        let again = mounts.import(&from).unwrap();
        assert!(again.is_some());
    }

    #[test]
    fn what_this_store_has_is_not_fetched() {
        let (_folder, store) = store();
        let mounts = store.cache_mounts();
        let (listing, packs, _) = shared(mounts, "word", "same");
        let from = from("cache", &listing);
        let own = opened(mounts, &from.identity);
        std::fs::write(own.path.join("another"), "same").unwrap();
        let import = mounts.import(&from).unwrap().unwrap();
        assert!(import.lacking(&listing, &packs).is_empty());
        import
            .fill(&listing, &packs, &HashMap::new(), None)
            .unwrap();
        let imported = opened(mounts, &from.own_identity());
        assert_eq!(std::fs::read(imported.path.join("word")).unwrap(), b"same");
    }

    #[test]
    fn a_pack_that_holds_something_else_leaves_what_was_there() {
        let (_folder, store) = store();
        let mounts = store.cache_mounts();
        let (old, packs, file) = shared(mounts, "word", "old");
        let files = [(0, file)].into();
        let first = mounts.import(&from("cache", &old)).unwrap().unwrap();
        first.fill(&old, &packs, &files, None).unwrap();
        let (new, packs, file) = shared(mounts, "word", "new");
        std::os::unix::fs::FileExt::write_all_at(&file, b"evil", 0).unwrap();
        let second = mounts.import(&from("cache", &new)).unwrap().unwrap();
        let failed = second.fill(&new, &packs, &[(0, file)].into(), None);
        assert!(failed.unwrap_err().to_string().contains("unpack to"));
        let imported = opened(mounts, &from("cache", &old).own_identity());
        assert_eq!(std::fs::read(imported.path.join("word")).unwrap(), b"old");
        // one that is used is not taken away
        assert!(mounts.import(&from("cache", &new)).unwrap().is_none());
    }
}
