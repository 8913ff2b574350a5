//! Exporting cache mounts: what a shared cache lacks of those that commands of this build have used. The others that it has stay, and so do
//! packs that still hold what is needed. Unaware of how directories came to hold what they do.

use super::format::{self, Shared};
use super::{Mounts, MovedMount, Selection, UsedMount, there};
use crate::event::{EventKind, micros};
use crate::exchange::export::{from_memory, tolerate};
use crate::exchange::format::NO_CONFIG;
use crate::exchange::{Backend, Export};
use crate::failure::{BackendError, BuildError, Foreign, chain_of_causes};
use crate::session::Session;
use kiln_cache::{MountListing, NewPack, Packs, try_parallel};
use kiln_oci::media_type::OCI_EMPTY;
use kiln_oci::{Descriptor, HashingWriter, LayerCompression};
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;
use std::time::Instant;

/// Packs that are made and sent at once.
const AT_ONCE: usize = 4;

/// Exports the mounts that commands of a build have used to all caches that want them.
///
/// # Errors
/// One cannot be written, and its error is not to be ignored.
pub(crate) fn export(
    session: &Session,
    exports: &[Export],
    mounts: &Mounts,
) -> Result<(), BuildError> {
    for to in exports {
        let Some(selection) = &to.mounts else {
            continue;
        };
        let mut used = mounts.used();
        used.retain(|mount| selection.has(&mount.id));
        let written = write(session, to, selection, mounts, &used).map(drop);
        written.or_else(|error| tolerate(&session.remote, to, error))?;
    }
    Ok(())
}

/// Writes mounts to one cache, as they are now. With nothing to write, the cache is not asked.
pub(super) fn write(
    session: &Session,
    to: &Export,
    selection: &Selection,
    mounts: &Mounts,
    used: &[UsedMount],
) -> Result<Vec<MovedMount>, BackendError> {
    let Some(place) = to.backend.beside().filter(|_| !used.is_empty()) else {
        return Ok(Vec::new());
    };
    let writer = Writer {
        session,
        name: to.backend.name(),
        cache: to.backend.identity(),
        place: place.as_ref(),
        selection,
        mounts,
    };
    let _turn = place.turn()?;
    writer.write(used)
}

struct Writer<'a> {
    session: &'a Session,
    /// What people call the cache.
    name: String,
    /// What the store calls it.
    cache: String,
    place: &'a dyn Backend,
    selection: &'a Selection,
    mounts: &'a Mounts,
}

fn find<'a>(all: &'a [Shared], mount: &UsedMount) -> Option<&'a Shared> {
    all.iter().find(|shared| shared.identity == mount.identity)
}

/// A mount as it is to be there, and the bytes that were sent for it; none where it was there as it is.
type Written = (Shared, Option<u64>);

impl Writer<'_> {
    fn write(&self, used: &[UsedMount]) -> Result<Vec<MovedMount>, BackendError> {
        let mut all = self.there()?;
        let mut written = Vec::new();
        for mount in used {
            let begun = Instant::now();
            let Some((shared, sent)) = self.export(mount, find(&all, mount))? else {
                continue;
            };
            all.retain(|other| other.identity != mount.identity);
            all.push(shared);
            written.push((mount, sent, micros(begun.elapsed())));
        }
        if written.iter().any(|(_, sent, _)| sent.is_some()) {
            self.keep_within_limits(&mut all);
            self.publish(&all)?;
        }
        let told = written.into_iter().filter_map(|(mount, sent, took_us)| {
            let shared = find(&all, mount)?;
            Some(self.tell(mount, shared, sent, took_us))
        });
        told.collect()
    }

    /// Tells of a mount that is there now. If it came from this cache, it is not imported again.
    fn tell(
        &self,
        mount: &UsedMount,
        shared: &Shared,
        sent: Option<u64>,
        took_us: u64,
    ) -> Result<MovedMount, BackendError> {
        self.session.events.send(EventKind::MountWritten {
            place: self.name.clone(),
            mount: mount.id.clone(),
            bytes: shared.bytes,
            sent,
            took_us,
        });
        let mounts = self.session.store.cache_mounts();
        mounts.exported(&mount.path, &self.cache, shared.tree)?;
        Ok(MovedMount {
            id: mount.id.clone(),
            bytes: shared.bytes,
        })
    }

    /// What the cache has. What cannot be understood is replaced; an image never is.
    fn there(&self) -> Result<Vec<Shared>, BackendError> {
        match there(self.place) {
            Err(BackendError::Foreign(Foreign::Image)) => Err(BackendError::IsImage),
            Err(error) if error.is_about_content() => Ok(Vec::new()),
            there => there,
        }
    }

    /// Sends what is lacking of a mount; none where it stays at home.
    fn export(
        &self,
        mount: &UsedMount,
        before: Option<&Shared>,
    ) -> Result<Option<Written>, BackendError> {
        self.session.remote.check_cancelled()?;
        let mounts = self.session.store.cache_mounts();
        let Some(_held) = mounts.hold(&mount.path)? else {
            self.leave_out(&mount.id, "another step uses it");
            return Ok(None);
        };
        match self.send(mount, before) {
            Err(BackendError::Mount(error)) => {
                self.leave_out(&mount.id, &chain_of_causes(&error));
                Ok(None)
            }
            sent => sent,
        }
    }

    fn send(
        &self,
        mount: &UsedMount,
        before: Option<&Shared>,
    ) -> Result<Option<Written>, BackendError> {
        let found = self.session.store.cache_mounts().look(&mount.path)?;
        let before = before.filter(|_| !self.mounts.is_lost(&self.cache, &mount.identity));
        if let Some(before) = before.filter(|before| before.tree == found.tree()) {
            let exported = self.session.host.seconds();
            let before = before.clone();
            return Ok(Some((Shared { exported, ..before }, None)));
        }
        if found.bytes() > self.selection.each {
            let limit = format!("it has more than {} bytes", self.selection.each);
            self.leave_out(&mount.id, &limit);
            return Ok(None);
        }
        self.send_changed(mount, &found, before)
    }

    /// Sends a mount of which the cache has another version, or none.
    fn send_changed(
        &self,
        mount: &UsedMount,
        found: &MountListing,
        before: Option<&Shared>,
    ) -> Result<Option<Written>, BackendError> {
        let there = before.map(|before| self.whole(before)).transpose()?;
        let packing = match there.flatten() {
            Some((listing, sizes)) => found.packing(Some(&listing), &sizes),
            None => found.packing(None, &Packs::default()),
        };
        let described = format::listing(&packing.listing).map_err(BackendError::malformed)?;
        let Some((listing, bytes)) = described else {
            self.leave_out(&mount.id, "it has too many files");
            return Ok(None);
        };
        let sent = self.send_packs(mount, &packing.new)?;
        self.send_small(&listing, &bytes)?;
        let new = sent.iter().map(|pack| pack.size).sum::<u64>() + listing.size;
        let packs = before.map_or(&[][..], |before| &before.packs);
        let kept = packing.kept.into_iter().map(|pack| packs[pack].clone());
        let packs = kept.chain(sent).collect();
        Ok(Some((self.shared(mount, found, listing, packs), Some(new))))
    }

    fn shared(
        &self,
        mount: &UsedMount,
        found: &MountListing,
        listing: Descriptor,
        packs: Vec<Descriptor>,
    ) -> Shared {
        Shared {
            identity: mount.identity,
            id: mount.id.clone(),
            tree: found.tree(),
            bytes: found.bytes(),
            exported: self.session.host.seconds(),
            listing,
            packs,
        }
    }

    /// What the cache says of a mount, and the sizes of its packs; `None` where something of it is lost or cannot be understood.
    fn whole(&self, shared: &Shared) -> Result<Option<(MountListing, Packs)>, BackendError> {
        let read = || {
            Ok::<_, BackendError>((
                shared.read(&self.place.document(&shared.listing)?)?,
                shared.sizes()?,
            ))
        };
        let has = try_parallel(&shared.packs, AT_ONCE, |pack| self.place.has(pack, &[]))?;
        if has.contains(&false) {
            return Ok(None);
        }
        match read() {
            Err(error) if error.is_about_content() => Ok(None),
            read => read.map(Some),
        }
    }

    /// Makes packs and sends them.
    fn send_packs(
        &self,
        mount: &UsedMount,
        packs: &[NewPack],
    ) -> Result<Vec<Descriptor>, BackendError> {
        let scratch = self.session.store.scratch().dir("cache-mount-packs")?;
        let numbered: Vec<_> = packs.iter().enumerate().collect();
        let sent = try_parallel(&numbered, AT_ONCE, |(number, pack)| {
            self.send_pack(mount, pack, &scratch.join(number.to_string()))
        });
        self.session.store.scratch().discard(&scratch)?;
        sent
    }

    fn send_pack(
        &self,
        mount: &UsedMount,
        pack: &NewPack,
        path: &Path,
    ) -> Result<Descriptor, BackendError> {
        self.session.remote.check_cancelled()?;
        let failed = || BackendError::io("write", path);
        let file = File::create_new(path).map_err(failed())?;
        let out = HashingWriter::new(BufWriter::new(file));
        let mut encoder = LayerCompression::zstd().encoder(out, 1).map_err(failed())?;
        let mounts = self.session.store.cache_mounts();
        mounts.pack(&mount.path, pack, &mut encoder)?;
        let (mut file, digest, size) = encoder.finish().map_err(failed())?.finish();
        file.flush().map_err(failed())?;
        let blob = format::pack(digest, size, pack.bytes);
        if !self.place.has(&blob, &[])? {
            let open = || Ok::<Box<dyn Read + Send>, _>(Box::new(File::open(path)?));
            self.place.send(&blob, &open)?;
        }
        let _ = std::fs::remove_file(path);
        Ok(blob)
    }

    fn send_small(&self, blob: &Descriptor, bytes: &[u8]) -> Result<(), BackendError> {
        match self.place.has(blob, &[])? {
            true => Ok(()),
            false => self.place.send(blob, &|| from_memory(bytes)),
        }
    }

    /// Leaves out what was exported longest ago, until the rest is no more than may be.
    fn keep_within_limits(&self, all: &mut Vec<Shared>) {
        let bytes = |all: &[Shared]| {
            let bytes = all.iter().map(|shared| shared.bytes);
            bytes.fold(0, u64::saturating_add)
        };
        while bytes(all) > self.selection.all {
            let oldest = (0..all.len()).min_by_key(|at| all[*at].exported);
            let Some(oldest) = oldest.map(|at| all.remove(at)) else {
                return;
            };
            let limit = format!("all have more than {} bytes", self.selection.all);
            self.leave_out(&oldest.id, &limit);
        }
    }

    fn publish(&self, all: &[Shared]) -> Result<(), BackendError> {
        self.send_small(&Descriptor::of(OCI_EMPTY, NO_CONFIG), NO_CONFIG)?;
        self.session.remote.check_cancelled()?;
        let now = (self.session.host.now)();
        self.place.publish(&format::manifest(all, now))
    }

    fn leave_out(&self, id: &str, why: &str) {
        let text = format!("the cache mount {id} is not in {}: {why}", self.name);
        self.session.events.warn(text);
    }
}
