//! The cache directories of a process, held while it runs. All of one process are opened together, in the order of their identities:
//! two processes that lock the same two directories never wait for each other. Unaware of other mounts.

use crate::execute::process::Process;
use crate::failure::StepError;
use crate::session::Session;
use kiln_cache::{CacheMount, CacheSharing, CacheStart};
use kiln_oci::Digest;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The directories that were emptied in this build, each once: other steps of the build find what the first one leaves.
#[derive(Debug, Default)]
pub struct Emptied(Mutex<BTreeSet<Digest>>);

impl Emptied {
    /// The right to empty this one, which is given once; no other step opens it before it is used.
    fn turn(&self, identity: Digest) -> Option<MutexGuard<'_, BTreeSet<Digest>>> {
        let mut emptied = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        emptied.insert(identity).then_some(emptied)
    }
}

/// Opens the cache directories of a process; each is free again when dropped. If it `is_alone`, no other process may use them meanwhile.
///
/// # Errors
/// When the store fails, or the build is cancelled while it waits.
pub fn open(
    session: &Session,
    process: &Process,
    emptied: &Emptied,
    is_alone: bool,
) -> Result<BTreeMap<Digest, CacheMount>, StepError> {
    let mut opened = BTreeMap::new();
    for (identity, cache) in &process.caches {
        let turn = cache.start.emptied.then(|| emptied.turn(*identity));
        let start = CacheStart {
            emptied: matches!(turn, Some(Some(_))),
            ..cache.start
        };
        let what = format!("it uses the cache mount {}", cache.title);
        let mounts = session.store.cache_mounts();
        let sharing = match cache.sharing {
            CacheSharing::Shared if is_alone => CacheSharing::Locked,
            sharing => sharing,
        };
        let held = mounts.open(identity, sharing, &start, &what)?;
        drop(turn);
        held.set_title(&cache.title);
        opened.insert(*identity, held);
    }
    Ok(opened)
}
