//! The cache directories of a process, held while it runs. All of one process are opened together, in the order of their identities:
//! two processes that lock the same two directories never wait for each other. Unaware of other mounts.

use crate::exchange::mounts::Mounts;
use crate::execute::process::{Cache, Process};
use crate::failure::StepError;
use crate::session::Session;
use kiln_cache::{CacheMount, CacheSharing, CacheStart, ImportedMount};
use kiln_oci::{Digest, locked};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};

/// The directories that were emptied in this build, each once: other steps of the build find what the first one leaves.
#[derive(Debug, Default)]
struct Emptied(Mutex<BTreeSet<Digest>>);

impl Emptied {
    /// The right to empty this one, which is given once; no other step opens it before it is used.
    fn turn(&self, identity: Digest) -> Option<MutexGuard<'_, BTreeSet<Digest>>> {
        let mut emptied = locked(&self.0);
        emptied.insert(identity).then_some(emptied)
    }
}

/// Where the cache directories of a build are from.
#[derive(Debug)]
pub struct Caches<'a> {
    mounts: &'a Mounts,
    emptied: Emptied,
}

impl<'a> Caches<'a> {
    /// From the store, and from the caches that the build names.
    pub fn new(mounts: &'a Mounts) -> Self {
        let emptied = Emptied::default();
        Caches { mounts, emptied }
    }

    /// Opens the cache directories of a process, which is that of a step of a build if its node is given; each is free again when dropped. If
    /// it `is_alone`, no other process may use them meanwhile.
    ///
    /// # Errors
    /// When the store fails, or the build is cancelled while it waits.
    pub fn open(
        &self,
        (session, node): (&Session, Option<usize>),
        process: &Process,
        is_alone: bool,
    ) -> Result<BTreeMap<Digest, CacheMount>, StepError> {
        let mut opened = BTreeMap::new();
        for (identity, cache) in &process.caches {
            let mount = (identity, &*cache.title);
            // one that begins empty takes nothing from elsewhere either
            let from = match cache.start.emptied {
                true => None,
                false => self.mounts.bring(session, mount, &cache.start)?,
            };
            let own = from.as_ref().map(ImportedMount::own_identity);
            let own = (own.unwrap_or(*identity), cache);
            let held = open_one(session, own, &self.emptied, is_alone)?;
            held.set_title(&title(cache, from.as_ref()));
            if let Some(node) = node {
                self.mounts.use_in(node, mount, &held, from.as_ref());
            }
            opened.insert(*identity, held);
        }
        Ok(opened)
    }
}

/// What lists call a directory.
fn title(cache: &Cache, from: Option<&ImportedMount>) -> String {
    match from {
        Some(from) => format!("{} (of {})", cache.title, from.cache),
        None => cache.title.clone(),
    }
}

fn open_one(
    session: &Session,
    (identity, cache): (Digest, &Cache),
    emptied: &Emptied,
    is_alone: bool,
) -> Result<CacheMount, StepError> {
    let turn = cache.start.emptied.then(|| emptied.turn(identity));
    let start = CacheStart {
        emptied: matches!(turn, Some(Some(_))),
        ..cache.start
    };
    let what = format!("it uses the cache mount {}", cache.title);
    let sharing = match cache.sharing {
        CacheSharing::Shared if is_alone => CacheSharing::Locked,
        sharing => sharing,
    };
    let mounts = session.store.cache_mounts();
    Ok(mounts.open(&identity, sharing, &start, &what)?)
}
