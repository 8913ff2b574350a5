//! Fetching the cache mounts of one shared cache. Its manifest is asked for once a build, when the first command needs it. Unaware of who
//! uses a mount.

use super::format::Shared;
use super::there;
use crate::event::{EventKind, micros};
use crate::exchange::{Backend, Import};
use crate::failure::{BackendError, chain_of_causes};
use crate::session::Session;
use kiln_cache::{
    CacheStart, Disk, ImportedMount, MountError, MountImport, MountListing, StoreError,
    try_parallel,
};
use kiln_oci::compression::{Encoding, Limited, decoder};
use kiln_oci::{Digest, locked};
use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

/// Packs that are fetched at once.
const AT_ONCE: usize = 4;

/// Where the mounts of a cache are.
#[derive(Debug)]
pub(super) struct Place {
    /// The name of the cache, by which the store knows it.
    pub cache: String,
    /// What people call it.
    name: String,
    pub backend: Arc<dyn Backend>,
    /// What it has; asked for once.
    offers: OnceLock<Vec<Shared>>,
    /// What could not be taken.
    lost: Mutex<BTreeSet<Digest>>,
}

impl Place {
    /// The mounts beside a cache; `None` where there can be none.
    pub(super) fn beside(cache: &Import) -> Option<Self> {
        Some(Self {
            cache: cache.identity(),
            name: cache.name(),
            backend: cache.beside()?,
            offers: OnceLock::new(),
            lost: Mutex::default(),
        })
    }

    /// What it has. What cannot be read is a warning.
    pub(super) fn offers(&self, session: &Session) -> &[Shared] {
        self.offers.get_or_init(|| {
            there(self.backend.as_ref()).unwrap_or_else(|error| {
                self.warn(session, "the cache mounts", &error);
                Vec::new()
            })
        })
    }

    pub(super) fn is_lost(&self, identity: &Digest) -> bool {
        locked(&self.lost).contains(identity)
    }

    /// Brings a mount to its directory, if the cache has it.
    ///
    /// # Errors
    /// The user has asked to stop.
    pub(super) fn bring(
        &self,
        session: &Session,
        (identity, id): (&Digest, &str),
        start: &CacheStart,
    ) -> Result<Option<ImportedMount>, StoreError> {
        let mut offers = self.offers(session).iter();
        let Some(offer) = offers.find(|offer| offer.identity == *identity) else {
            return Ok(None);
        };
        if self.is_lost(identity) {
            return Ok(None);
        }
        match self.take(session, offer, Some(start)) {
            Ok(from) => Ok(Some(from)),
            Err(_) if session.cancel.requested() => Err(StoreError::Cancelled),
            Err(error) => {
                locked(&self.lost).insert(*identity);
                self.warn(session, &format!("the cache mount {id}"), &error);
                Ok(None)
            }
        }
    }

    fn warn(&self, session: &Session, what: &str, error: &BackendError) {
        if !session.cancel.requested() {
            let (place, causes) = (&self.name, chain_of_causes(error));
            let text = format!("{what} of {place} cannot be used: {causes}");
            session.events.warn(text);
        }
    }

    /// Makes the directory of a mount what the cache says, unless it is.
    pub(super) fn take(
        &self,
        session: &Session,
        offer: &Shared,
        start: Option<&CacheStart>,
    ) -> Result<ImportedMount, BackendError> {
        let begun = Instant::now();
        let from = self.imported(offer);
        let Some(import) = session.store.cache_mounts().import(&from)? else {
            return Ok(from);
        };
        let listing = offer.read(&self.backend.document(&offer.listing)?)?;
        let fetched = self.fill(session, offer, import, (&listing, start))?;
        session.events.send(EventKind::MountRead {
            place: self.name.clone(),
            mount: from.id.clone(),
            bytes: listing.bytes(),
            fetched,
            took_us: micros(begun.elapsed()),
        });
        Ok(from)
    }

    fn imported(&self, offer: &Shared) -> ImportedMount {
        ImportedMount {
            identity: offer.identity,
            id: offer.id.clone(),
            cache: self.cache.clone(),
            tree: offer.tree,
        }
    }

    /// Fetches what is lacking, and makes the directory; how many bytes came.
    fn fill(
        &self,
        session: &Session,
        offer: &Shared,
        import: MountImport<'_>,
        (listing, start): (&MountListing, Option<&CacheStart>),
    ) -> Result<u64, BackendError> {
        let packs = offer.sizes()?;
        check_room(session, listing, packs.total())?;
        let lacking = import.lacking(listing, &packs);
        let scratch = session.store.scratch().dir("cache-mount-packs")?;
        let files = try_parallel(&lacking, AT_ONCE, |pack| {
            let file = self.fetch(session, offer, *pack, &scratch)?;
            Ok::<_, BackendError>((*pack, file))
        });
        let filled = files.and_then(|files| {
            let files: HashMap<usize, File> = files.into_iter().collect();
            Ok(import.fill(listing, &packs, &files, start)?)
        });
        session.store.scratch().discard(&scratch)?;
        filled?;
        Ok(lacking.iter().map(|pack| offer.packs[*pack].size).sum())
    }

    /// A pack, unpacked. What is in it is checked when it is used.
    fn fetch(
        &self,
        session: &Session,
        offer: &Shared,
        pack: usize,
        scratch: &Path,
    ) -> Result<File, BackendError> {
        session.remote.check_cancelled()?;
        let (part, path) = (
            scratch.join(format!("{pack}.part")),
            scratch.join(pack.to_string()),
        );
        self.backend.fetch(&offer.packs[pack], &part, &|_| {})?;
        let packed = File::open(&part).map_err(BackendError::io("open", &part))?;
        let limit = offer.sizes()?.size(pack);
        let mut file = File::create_new(&path).map_err(BackendError::io("write", &path))?;
        let decoded = decoder(packed, Encoding::Zstd);
        let copied =
            decoded.and_then(|read| std::io::copy(&mut Limited::new(read, limit), &mut file));
        copied.map_err(BackendError::io("unpack", &path))?;
        let _ = std::fs::remove_file(&part);
        File::open(&path).map_err(BackendError::io("open", &path))
    }
}

/// Refuses what the disk cannot hold, before anything is fetched.
fn check_room(session: &Session, listing: &MountListing, packed: u64) -> Result<(), BackendError> {
    let bytes = listing.bytes().saturating_add(packed);
    let disk = Disk::of(session.store.root());
    match disk.is_some_and(|disk| disk.free < bytes) {
        true => Err(MountError::TooLarge { bytes }.into()),
        false => Ok(()),
    }
}
