//! Cache mounts that travel: what RUN keeps in `--mount=type=cache` goes into a shared cache beside its results (`--cache-to …,mounts=…`), and
//! RUN in a build that names that cache (`--cache-from`) begins with it. Unaware of how a directory is mounted.
//!
//! A mount is fetched when a command that really runs opens it, into a directory of its own: the ones that builds without this cache use
//! do not change, and results of a command that saw it rest on the cache. Of several caches the first one that has the mount counts.
//! What cannot be fetched, or is not what it should be, is a warning, and the command gets the directory that it has without.

mod export;
pub(crate) mod format;
mod import;

pub(crate) use export::export;

use super::{Backend, CacheOptions, Import};
use crate::failure::{BackendError, ExportError};
use crate::session::Session;
use crate::transfer::attributes::Attributes;
use format::Shared;
use import::Place;
use kiln_cache::{CacheMount, CacheStart, Caches, ImportedMount, MountFolder, StoreError};
use kiln_oci::{Digest, locked};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Mutex;

/// Bytes that the mounts of a cache have at most where nothing is said.
const MAX_SIZE: u64 = 5_000_000_000;
/// Keys of `--cache-to` about mounts.
pub(super) const KEYS: [&str; 3] = ["mount-max-size", "mounts", "mounts-max-size"];

/// Which mounts are exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selection {
    /// By what people call them; `None` for all.
    ids: Option<BTreeSet<String>>,
    /// Bytes that one may have.
    each: u64,
    /// Bytes that all in the cache may have.
    all: u64,
}

impl Default for Selection {
    fn default() -> Self {
        Self {
            ids: None,
            each: MAX_SIZE,
            all: MAX_SIZE,
        }
    }
}

impl Selection {
    /// Reads the keys; `None` where no mounts are wanted. The limits are numbers of bytes.
    pub(super) fn read(attributes: &mut Attributes) -> Result<Option<Self>, ExportError> {
        let mut bytes = |key: &str, default| match attributes.take(key) {
            None => Ok(default),
            Some(text) => text
                .parse()
                .map_err(|_| ExportError::value(key, &text, "expected a number of bytes")),
        };
        let all = bytes("mounts-max-size", MAX_SIZE)?;
        let each = bytes("mount-max-size", all)?;
        let ids = match attributes.take("mounts").as_deref() {
            None | Some("false" | "0") => return Ok(None),
            Some("true" | "1") => None,
            Some(ids) => Some(ids.split(';').map(str::to_owned).collect()),
        };
        Ok(Some(Self { ids, each, all }))
    }

    fn has(&self, id: &str) -> bool {
        self.ids.as_ref().is_none_or(|ids| ids.contains(id))
    }
}

/// The cache mounts of one build.
#[derive(Debug)]
pub(crate) struct Mounts {
    /// The caches that the build names.
    places: Vec<Place>,
    found: Mutex<Found>,
}

#[derive(Debug, Default)]
struct Found {
    /// What commands have used, by identity.
    used: BTreeMap<Digest, UsedMount>,
    /// The caches that the commands of steps have seen mounts of, by node.
    seen: BTreeMap<usize, Caches>,
}

/// A mount that a command has used.
#[derive(Clone, Debug)]
pub(crate) struct UsedMount {
    /// Which mount it is.
    pub identity: Digest,
    /// What people call it.
    pub id: String,
    /// Its directory.
    pub path: PathBuf,
}

impl Mounts {
    /// Of a build that names these caches.
    pub(crate) fn of(imports: &[Import]) -> Self {
        Self {
            places: imports.iter().filter_map(Place::beside).collect(),
            found: Mutex::default(),
        }
    }

    /// Brings a mount that a named cache has to its own directory; `None` where no cache has it.
    ///
    /// # Errors
    /// The build is stopped.
    pub(crate) fn bring(
        &self,
        session: &Session,
        (identity, id): (&Digest, &str),
        start: &CacheStart,
    ) -> Result<Option<ImportedMount>, StoreError> {
        for place in &self.places {
            if let Some(from) = place.bring(session, (identity, id), start)? {
                return Ok(Some(from));
            }
        }
        Ok(None)
    }

    /// Notes that the command of a node is about to use a directory.
    pub(crate) fn use_in(
        &self,
        node: usize,
        (identity, id): (&Digest, &str),
        mount: &CacheMount,
        from: Option<&ImportedMount>,
    ) {
        let mut found = locked(&self.found);
        let used = UsedMount {
            identity: *identity,
            id: id.to_owned(),
            path: mount.path.clone(),
        };
        found.used.insert(*identity, used);
        if let Some(from) = from {
            let seen = found.seen.entry(node).or_default();
            *seen = std::mem::take(seen).with(&Caches::one(&from.cache));
        }
    }

    /// The caches that the result of a node rests on, for the mounts that its command has seen.
    pub(crate) fn seen_by(&self, node: usize) -> Caches {
        let found = locked(&self.found);
        found.seen.get(&node).cloned().unwrap_or_default()
    }

    fn used(&self) -> Vec<UsedMount> {
        locked(&self.found).used.values().cloned().collect()
    }

    /// Whether what a cache has of a mount could not be taken: nothing of it counts as there.
    fn is_lost(&self, cache: &str, identity: &Digest) -> bool {
        let mut places = self.places.iter();
        places.any(|place| place.cache == cache && place.is_lost(identity))
    }
}

/// A mount that was exported or imported without a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovedMount {
    /// What people call it.
    pub id: String,
    /// Bytes of its files.
    pub bytes: u64,
}

/// Exports the cache mounts of a store, as `--cache-to` describes it: of a mount that has come from this cache too, the directory that was
/// used last. Returns which.
///
/// # Errors
/// The description means nothing, or the cache cannot be written.
pub fn export_all(session: &Session, to: &CacheOptions) -> Result<Vec<MovedMount>, BackendError> {
    let to = super::cache_to(to, &session.remote)?;
    let selection = to.mounts.clone().unwrap_or_default();
    let cache = to.backend.identity();
    let mut folders = session.store.cache_mounts().folders();
    folders.retain(|folder| folder.from.as_ref().is_none_or(|from| *from == cache));
    folders.retain(|folder| selection.has(&folder.id));
    folders.sort_by_key(|folder| folder.used);
    let used = folders.into_iter().map(|folder| {
        let MountFolder {
            identity, id, path, ..
        } = folder;
        (identity, UsedMount { identity, id, path })
    });
    let used: BTreeMap<Digest, UsedMount> = used.collect();
    let used: Vec<UsedMount> = used.into_values().collect();
    export::write(session, &to, &selection, &Mounts::of(&[]), &used)
}

/// Imports the cache mounts that `--cache-from` describes, for builds that name it: all, or those that people call so. Returns which.
///
/// # Errors
/// The description means nothing, or the cache cannot be read.
pub fn import_all(
    session: &Session,
    from: &CacheOptions,
    ids: Option<&BTreeSet<String>>,
) -> Result<Vec<MovedMount>, BackendError> {
    let cache = super::cache_from(from, &session.remote)?;
    let Some(place) = Place::beside(&cache) else {
        return Ok(Vec::new());
    };
    let mut moved = Vec::new();
    for offer in there(place.backend.as_ref())? {
        if ids.is_none_or(|ids| ids.contains(&offer.id)) {
            place.take(session, &offer, None)?;
            let Shared { id, bytes, .. } = offer;
            moved.push(MovedMount { id, bytes });
        }
    }
    Ok(moved)
}

/// What a cache has under the name of its mounts; none where nothing is.
fn there(place: &dyn Backend) -> Result<Vec<Shared>, BackendError> {
    let manifest = place.manifest()?;
    manifest.map_or_else(|| Ok(Vec::new()), |bytes| format::mounts(&bytes))
}
