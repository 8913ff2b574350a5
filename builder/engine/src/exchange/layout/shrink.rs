//! Keeping the caches of a folder to a size. A cache was written when its manifest was. Unaware of how caches are written.

use super::{INDEX, Layout, REF_NAME};
use crate::exchange::prune::{self, KeptCache, Shrunk};
use crate::failure::BackendError;
use kiln_oci::Descriptor;
use std::time::UNIX_EPOCH;

impl Layout {
    /// Removes the oldest caches until the rest has at most so many bytes. Nobody else writes meanwhile.
    pub(super) fn shrink_to(&self, most: u64) -> Result<Shrunk, BackendError> {
        let mut index = self.index()?;
        let kept = index.manifests.iter().filter_map(|entry| self.kept(entry));
        let (removed, kept) = prune::split(kept.collect(), most);
        let is_removed = |entry: &Descriptor| {
            let mut removed = removed.iter();
            removed.any(|cache| Some(&*cache.name) == entry.annotation(REF_NAME))
        };
        let (gone, left) = index.manifests.into_iter().partition(is_removed);
        index.manifests = left;
        if removed.is_empty() {
            return Ok(Shrunk::of(&removed, 0, &kept));
        }
        self.inside()
            .write("", INDEX, &mut &*index.to_bytes(), true)?;
        self.clean(&gone, &self.named(&index))?;
        let all = [removed.as_slice(), kept.as_slice()].concat();
        let freed = prune::bytes(&all) - prune::bytes(&kept);
        Ok(Shrunk::of(&removed, freed, &kept))
    }

    /// A cache of the index; none for what is something else.
    fn kept(&self, entry: &Descriptor) -> Option<KeptCache> {
        let name = entry.annotation(REF_NAME)?.to_owned();
        let blobs = prune::blobs(&self.checked(&entry.digest).ok()?);
        let changed = self
            .blob(&entry.digest)
            .metadata()
            .and_then(|found| found.modified());
        let changed = changed.ok()?.duration_since(UNIX_EPOCH).ok()?.as_nanos();
        (!blobs.is_empty()).then(|| KeptCache {
            name,
            changed: u64::try_from(changed).unwrap_or(u64::MAX),
            blobs,
        })
    }
}
