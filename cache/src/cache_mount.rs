//! Cache mounts: directories that RUN steps keep between builds (`--mount=type=cache`).
//!
//! `mounts/<id map>/<identity>-<n>/` is a directory, the file `.lock` beside it is held with flock while a RUN uses it: shared
//! by those that share, exclusively by those that do not. Its text is what people call the cache, its time of change the last
//! use. More than one `<n>` exists only where private users overlapped.
//! Their content is never part of a layer or key, and may be thrown away at any time while nobody holds the lock. It travels through
//! shared caches ([`listing`], [`packing`]) into directories of their own ([`import`]). Unaware of what an identity is made of.

pub(crate) mod import;
pub(crate) mod listing;
pub(crate) mod packing;

use std::fs::{DirEntry, File};
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use kiln_oci::{Digest, locked};
use rustix::fs::{Gid, Mode, OFlags, Uid};

use crate::store::folders::is_link;
use crate::store::lock::Held;
use crate::store::waiting::Wait;
use crate::usage::measured;
use crate::{CacheMounts, StoreError};

/// What several RUNs that use one cache at once do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CacheSharing {
    /// They write to the same directory at once.
    Shared,
    /// Each has a directory of its own; a free one is used again.
    Private,
    /// They wait for each other.
    Locked,
}

/// How a cache directory begins.
#[derive(Clone, Copy, Debug)]
pub struct CacheStart {
    /// Mode of the directory.
    pub mode: u32,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// What it held before goes: it starts anew.
    pub emptied: bool,
    /// A layer whose content it starts with.
    pub layer: Option<Digest>,
}

/// A cache directory in use; free again when dropped.
#[derive(Debug)]
pub struct CacheMount {
    /// The directory.
    pub path: PathBuf,
    lock: Held,
}

impl CacheMount {
    /// Notes what people call it, for lists.
    pub fn set_title(&self, title: &str) {
        let title = title
            .as_bytes()
            .get(..MAX_TITLE)
            .unwrap_or(title.as_bytes());
        let used = self.lock.metadata().and_then(|stat| stat.modified());
        let written = self.lock.set_len(title.len() as u64);
        let _ = written.and_then(|()| self.lock.write_all_at(title, 0));
        let _ = used.and_then(|used| self.lock.set_modified(used));
    }
}

/// A cache directory in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheMountUsage {
    /// The directory.
    pub path: PathBuf,
    /// What people call it; empty when nobody said.
    pub title: String,
    /// Bytes of its files.
    pub bytes: u64,
    /// When it was used last, seconds since 1970.
    pub used: i64,
}

/// A removal holds a directory for less than this, and takes nobody's place: a step that waited so long has found one
/// that another step uses.
const REMOVAL: Duration = Duration::from_millis(5);
/// Bytes of the longest title.
const MAX_TITLE: usize = 4096;

impl CacheMounts<'_> {
    /// The cache directory of an identity, made if it does not exist. One that another process has locked is waited for: `what` says what
    /// its holder has.
    ///
    /// # Errors
    /// It cannot be made or locked, or the caller is stopped while it waits.
    pub fn open(
        &self,
        identity: &Digest,
        sharing: CacheSharing,
        start: &CacheStart,
        what: &str,
    ) -> Result<CacheMount, StoreError> {
        self.made_folder()?;
        let (mut number, mut wait) = (0, Wait::begin());
        loop {
            let path = self.path(identity, number);
            if let Some(mount) = self.try_open(path, sharing, start)? {
                return Ok(mount);
            }
            if sharing == CacheSharing::Locked || wait.lasted() < REMOVAL {
                wait.pause_or_stop(self.store.waiter(), what)?;
            } else {
                number += 1;
            }
        }
    }

    /// Makes the folder of all directories.
    fn made_folder(&self) -> Result<(), StoreError> {
        self.store.writable()?;
        let folder = self.folder();
        std::fs::create_dir_all(&folder)
            .map_err(|source| StoreError::io("make", &folder, source))?;
        match is_link(&folder) {
            true => Err(StoreError::Link { path: folder }),
            false => Ok(()),
        }
    }

    fn path(&self, identity: &Digest, number: usize) -> PathBuf {
        self.folder().join(format!("{}-{number}", identity.hex()))
    }

    /// One directory of an identity, unless another step has it.
    fn try_open(
        &self,
        path: PathBuf,
        sharing: CacheSharing,
        start: &CacheStart,
    ) -> Result<Option<CacheMount>, StoreError> {
        if start.emptied && path.is_dir() && !self.remove(&path)? {
            return Ok(None);
        }
        let exclusive = sharing != CacheSharing::Shared;
        let Some(lock) = try_lock(&path.with_extension("lock"), exclusive)? else {
            return Ok(None);
        };
        self.start(&path, start)?;
        locked(&self.store.inner.mounts).insert(path.clone());
        // a use that is not noted only makes it look older
        let _ = lock.set_modified((self.store.inner.options.now)());
        Ok(Some(CacheMount { path, lock }))
    }

    fn folder(&self) -> PathBuf {
        let id_map = &self.store.inner.options.id_map_key;
        self.store.root().join("mounts").join(id_map)
    }

    /// Makes the directory unless it exists; whole when it appears.
    fn start(&self, path: &Path, start: &CacheStart) -> Result<(), StoreError> {
        if is_link(path) {
            self.store.trash().put(path)?;
        } else if path.is_dir() {
            return Ok(());
        }
        let scratch = self.store.scratch().dir("cache-mount")?;
        let failed = |source| StoreError::io("prepare", &scratch, source);
        if let Some(layer) = &start.layer {
            self.store.views().unpack_into(layer, &scratch)?;
        }
        let folder = File::open(&scratch).map_err(failed)?;
        if !self.store.inner.options.single_id && (start.uid, start.gid) != (0, 0) {
            let owner = (Uid::from_raw(start.uid), Gid::from_raw(start.gid));
            let changed = rustix::fs::fchown(folder.as_fd(), Some(owner.0), Some(owner.1));
            changed.map_err(|error| failed(error.into()))?;
        }
        let mode = Mode::from_raw_mode(start.mode);
        rustix::fs::fchmod(folder.as_fd(), mode).map_err(|error| failed(error.into()))?;
        match std::fs::rename(&scratch, path) {
            // another one of those that share it was faster
            Err(_) if path.is_dir() => self.store.scratch().discard(&scratch),
            renamed => renamed.map_err(|source| StoreError::io("rename", path, source)),
        }
    }

    /// All cache directories, of all id maps.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        let folders = |path: &Path| {
            let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
            let is_folder = |entry: &DirEntry| entry.file_type().is_ok_and(|found| found.is_dir());
            let entries = entries.filter(is_folder);
            let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
            folders.sort();
            folders
        };
        let id_maps = folders(&self.store.root().join("mounts"));
        id_maps.iter().flat_map(|path| folders(path)).collect()
    }

    /// All cache directories, of all id maps, sorted by path. What this process may not look at does not count.
    #[must_use]
    pub fn usage(&self) -> Vec<CacheMountUsage> {
        let usage = |path: PathBuf| {
            let lock = path.with_extension("lock");
            let mut title = Vec::new();
            let _ = File::open(&lock)
                .and_then(|file| file.take(MAX_TITLE as u64).read_to_end(&mut title));
            CacheMountUsage {
                title: String::from_utf8_lossy(&title).into_owned(),
                bytes: measured(&path, true).bytes,
                used: changed(&lock),
                path,
            }
        };
        self.paths().into_iter().map(usage).collect()
    }

    /// Throws a cache directory away unless a step uses it. Returns whether it is gone.
    pub(crate) fn remove(&self, path: &Path) -> Result<bool, StoreError> {
        let Some(_lock) = try_lock(&path.with_extension("lock"), true)? else {
            return Ok(false);
        };
        // a directory that is made anew has nothing from a shared cache
        let _ = std::fs::remove_file(path.with_extension("from"));
        self.store.trash().try_put(path)
    }
}

/// When a file was changed, in seconds since 1970.
fn changed(path: &Path) -> i64 {
    let changed = std::fs::metadata(path).and_then(|stat| stat.modified());
    let since = changed
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    i64::try_from(since.unwrap_or_default().as_secs()).unwrap_or(0)
}

/// `None` when another process or step has the lock.
fn try_lock(path: &Path, exclusive: bool) -> Result<Option<Held>, StoreError> {
    let file = open(path)?;
    let held = match exclusive {
        true => Held::exclusive(file),
        false => Held::shared(file),
    };
    held.map_err(|source| StoreError::io("lock", path, source))
}

fn open(path: &Path) -> Result<File, StoreError> {
    let mut options = File::options();
    let options = options.create(true).truncate(false).write(true);
    let options = options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    options
        .open(path)
        .map_err(|source| StoreError::io("open", path, source))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prune::PruneOptions;
    use crate::tests::{NOW, store};
    use crate::{OpenOptions, Store, Waiter};
    use std::sync::Arc;

    const START: CacheStart = CacheStart {
        mode: 0o751,
        uid: 0,
        gid: 0,
        emptied: false,
        layer: None,
    };

    #[test]
    fn sharers_share_and_private_users_do_not() {
        let (_folder, store) = store();
        let identity = Digest::of(b"cache");
        let mount = |sharing| {
            let mount = store.cache_mounts().open(&identity, sharing, &START, "");
            mount.unwrap()
        };
        let (one, two) = (mount(CacheSharing::Shared), mount(CacheSharing::Shared));
        assert_eq!(one.path, two.path);
        let private = mount(CacheSharing::Private);
        assert_ne!(private.path, one.path);
        std::fs::write(private.path.join("kept"), "x").unwrap();
        let path = private.path.clone();
        drop((one, two, private));
        // the free one with the lowest number comes first, the other one is still there
        assert!(path.join("kept").exists());
        assert_eq!(store.cache_mounts().paths().len(), 2);
    }

    /// Gives up every wait.
    #[derive(Debug)]
    struct Stopped;

    impl Waiter for Stopped {
        fn is_stopped(&self) -> bool {
            true
        }

        fn tell(&self, _what: &str) {}
    }

    #[test]
    fn prune_leaves_alone_what_is_used() {
        let (_folder, store) = store();
        let held = store
            .cache_mounts()
            .open(&Digest::of(b"a"), CacheSharing::Locked, &START, "")
            .unwrap();
        let stopped = Store::open(OpenOptions {
            waiter: Arc::new(Stopped),
            ..store.inner.options.clone()
        });
        let stopped = stopped.unwrap();
        let mount = |name: &[u8]| {
            let identity = Digest::of(name);
            stopped
                .cache_mounts()
                .open(&identity, CacheSharing::Locked, &START, "")
        };
        let given_up = mount(b"a");
        assert!(matches!(given_up, Err(StoreError::Cancelled)));
        drop(mount(b"b"));
        assert_eq!(store.garbage().prune(None).unwrap().cache_mounts, 1);
        assert_eq!(
            store.cache_mounts().paths(),
            std::slice::from_ref(&held.path)
        );
    }

    #[test]
    fn mounts_are_listed_with_title_size_and_use() {
        let (_folder, store) = store();
        let mount = |name: &[u8]| {
            store
                .cache_mounts()
                .open(&Digest::of(name), CacheSharing::Shared, &START, "")
                .unwrap()
        };
        let first = mount(b"a");
        first.set_title("a longer title");
        first.set_title("apt");
        std::fs::write(first.path.join("file"), [0; 1000]).unwrap();
        let listed = store.cache_mounts().usage();
        let shown: Vec<_> = listed
            .iter()
            .map(|mount| (&*mount.title, mount.bytes, mount.used))
            .collect();
        assert_eq!(shown, [("apt", 1000, NOW)]);
    }

    #[test]
    fn a_budget_counts_mounts_too() {
        let (_folder, store) = store();
        for name in [b"a", b"b"] {
            let mount = store
                .cache_mounts()
                .open(&Digest::of(name), CacheSharing::Shared, &START, "")
                .unwrap();
            std::fs::write(mount.path.join("file"), vec![0; 500_000]).unwrap();
        }
        assert_eq!(
            store.garbage().prune(Some(2_000_000)).unwrap().cache_mounts,
            0
        );
        let report = store.garbage().prune(Some(600_000)).unwrap();
        assert_eq!(
            (report.cache_mounts, report.freed, report.kept),
            (1, 500_000, 500_000)
        );
        let newer = PruneOptions {
            used_before: Some(NOW),
            ..PruneOptions::default()
        };
        assert_eq!(store.garbage().prune(newer).unwrap().cache_mounts, 0);
        let only_images = PruneOptions {
            cache: false,
            ..PruneOptions::default()
        };
        assert_eq!(store.garbage().prune(only_images).unwrap().cache_mounts, 0);
        assert_eq!(store.garbage().prune(None).unwrap().cache_mounts, 1);
    }
}
