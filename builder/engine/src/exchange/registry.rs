//! `type=registry,ref=NAME`: a cache under a name in a registry, beside the images or anywhere else. Unaware of the protocol.

use super::backend::MOUNTS;
use super::prune::{self, KeptCache, Shrunk};
use super::{Backend, Kind, OpenBlob, Use};
use crate::event::Direction;
use crate::failure::{BackendError, ExportError};
use crate::transfer::attributes::Attributes;
use crate::transfer::remote::{Remote, if_found, transfer};
use kiln_cache::{CacheOrigin, try_parallel};
use kiln_oci::media_type::OCI_MANIFEST;
use kiln_oci::{Descriptor, Digest, Reference};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

pub(super) const KIND: Kind = Kind {
    name: "registry",
    from: &["ref"],
    to: &["ref"],
    make: |attributes, used, remote| Ok(Arc::new(Registry::of(attributes, used, remote)?)),
};

/// Tags that are looked at at once.
const AT_ONCE: usize = 8;

#[derive(Debug)]
struct Registry {
    reference: Reference,
    remote: Remote,
}

impl Registry {
    fn of(attributes: &mut Attributes, used: Use, remote: &Remote) -> Result<Self, ExportError> {
        let Some(name) = attributes.take("ref") else {
            let text = "a cache in a registry needs its name: ref=…";
            return Err(ExportError::Unsupported(text.to_owned()));
        };
        let reference = Reference::parse(&name).map(Reference::with_default_tag);
        let wrong =
            |error: kiln_oci::ReferenceError| ExportError::value("ref", &name, &error.to_string());
        let reference = reference.map_err(wrong)?;
        if used == Use::To && reference.digest.is_some() {
            return Err(ExportError::value(
                "ref",
                &name,
                "a cache is written under a tag",
            ));
        }
        let remote = remote.clone();
        Ok(Self { reference, remote })
    }
}

impl Registry {
    /// The cache under a tag; none where something else is, or nothing any more.
    fn cache(&self, tag: &str) -> Result<Option<(Digest, KeptCache)>, BackendError> {
        self.remote.check_cancelled()?;
        let registry = self.remote.registry()?;
        let reference = Reference {
            tag: Some(tag.to_owned()),
            digest: None,
            ..self.reference.clone()
        };
        let found = if_found(registry.manifest(&reference))?;
        let cache = found.map(|found| {
            let cache = KeptCache {
                name: tag.to_owned(),
                changed: prune::written(&found.bytes),
                blobs: prune::blobs(&found.bytes),
            };
            (found.digest, cache)
        });
        Ok(cache.filter(|(_, cache)| !cache.blobs.is_empty()))
    }
}

impl Backend for Registry {
    fn name(&self) -> String {
        self.reference.familiar()
    }

    fn origin(&self) -> CacheOrigin {
        CacheOrigin::repository(&self.reference)
    }

    fn identity(&self) -> String {
        self.reference.to_string()
    }

    fn beside(&self) -> Option<Arc<dyn Backend>> {
        let tag = self.reference.tag.as_ref()?;
        let named = self
            .reference
            .digest
            .is_none()
            .then(|| format!("{tag}{MOUNTS}"));
        let reference = Reference {
            tag: named,
            ..self.reference.clone()
        };
        let remote = self.remote.clone();
        let beside = reference
            .tag
            .is_some()
            .then_some(Self { reference, remote });
        beside.map(|beside| Arc::new(beside) as _)
    }

    fn manifest(&self) -> Result<Option<Vec<u8>>, BackendError> {
        let found = if_found(self.remote.registry()?.manifest(&self.reference))?;
        Ok(found.map(|found| found.bytes))
    }

    fn document(&self, blob: &Descriptor) -> Result<Vec<u8>, BackendError> {
        Ok(self.remote.registry()?.document(&self.reference, blob)?)
    }

    fn has(&self, blob: &Descriptor, origins: &[CacheOrigin]) -> Result<bool, BackendError> {
        let registry = self.remote.registry()?;
        if registry.has_blob(&self.reference, blob.digest)? {
            return Ok(true);
        }
        let own = self.origin();
        let others = origins.iter().filter(|origin| **origin != own);
        for from in others.filter_map(CacheOrigin::as_registry) {
            let may = from.registry == self.reference.registry;
            if may && registry.mount_blob(&self.reference, from, blob.digest)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn fetch(
        &self,
        blob: &Descriptor,
        part: &Path,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), BackendError> {
        Ok(self
            .remote
            .registry()?
            .download(&self.reference, blob, part, progress)?)
    }

    fn send(&self, blob: &Descriptor, open: OpenBlob<'_>) -> Result<(), BackendError> {
        let registry = self.remote.registry()?;
        let transfer = transfer(
            &self.remote.events,
            Direction::Upload,
            &self.reference,
            blob,
        );
        registry.push_blob(&self.reference, blob, open)?;
        transfer.end();
        Ok(())
    }

    /// What is deleted are manifests, with all their tags; the registry frees blobs when it looks for what nothing names.
    fn shrink(&self, most: u64) -> Result<Shrunk, BackendError> {
        let registry = self.remote.registry()?;
        let tags = if_found(registry.tags(&self.reference))?.unwrap_or_default();
        let found = try_parallel(&tags, AT_ONCE, |tag| self.cache(tag))?;
        let mut caches: BTreeMap<Digest, KeptCache> = BTreeMap::new();
        for (digest, cache) in found.into_iter().flatten() {
            match caches.get_mut(&digest) {
                Some(other) => other.name += &format!(", {}", cache.name),
                None => drop(caches.insert(digest, cache)),
            }
        }
        let digests = caches
            .iter()
            .map(|(digest, cache)| (cache.name.clone(), *digest));
        let digests: BTreeMap<String, Digest> = digests.collect();
        let (removed, kept) = prune::split(caches.into_values().collect(), most);
        for digest in removed.iter().filter_map(|cache| digests.get(&cache.name)) {
            registry.delete_manifest(&self.reference, *digest)?;
        }
        let all = [removed.as_slice(), kept.as_slice()].concat();
        let freed = prune::bytes(&all) - prune::bytes(&kept);
        Ok(Shrunk::of(&removed, freed, &kept))
    }

    fn publish(&self, manifest: &[u8]) -> Result<(), BackendError> {
        let registry = self.remote.registry()?;
        registry.push_manifest(&self.reference, OCI_MANIFEST, manifest)?;
        Ok(())
    }
}
