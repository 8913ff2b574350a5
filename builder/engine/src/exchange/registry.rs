//! `type=registry,ref=NAME`: a cache under a name in a registry, beside the images or anywhere else. Unaware of the protocol.

use super::{Kind, OpenBlob, Place, PlaceError, Use};
use crate::event::Direction;
use crate::image::export::{Attributes, ExportError};
use crate::transfer::remote::{Remote, Transfer};
use kiln_oci::media_type::OCI_MANIFEST;
use kiln_oci::{Descriptor, Reference};
use std::path::Path;
use std::sync::Arc;

pub(super) const KIND: Kind = Kind {
    name: "registry",
    from: &["ref"],
    to: &["ref"],
    make: |attributes, used| Ok(Arc::new(Registry::of(attributes, used)?)),
};

#[derive(Debug)]
struct Registry {
    reference: Reference,
}

impl Registry {
    fn of(attributes: &mut Attributes, used: Use) -> Result<Self, ExportError> {
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
        Ok(Self { reference })
    }
}

impl Place for Registry {
    fn name(&self) -> String {
        self.reference.familiar()
    }

    fn origin(&self) -> String {
        self.reference.name()
    }

    fn identity(&self) -> String {
        self.reference.to_string()
    }

    fn lasts(&self) -> bool {
        true
    }

    fn manifest(&self, ways: &Remote) -> Result<Option<Vec<u8>>, PlaceError> {
        match ways.registry()?.manifest(&self.reference) {
            Ok(found) => Ok(Some(found.bytes)),
            Err(error) if error.is_not_found => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn document(&self, ways: &Remote, blob: &Descriptor) -> Result<Vec<u8>, PlaceError> {
        Ok(ways.registry()?.document(&self.reference, blob)?)
    }

    fn has(
        &self,
        ways: &Remote,
        blob: &Descriptor,
        repositories: &[String],
    ) -> Result<bool, PlaceError> {
        let registry = ways.registry()?;
        if registry.has_blob(&self.reference, blob)? {
            return Ok(true);
        }
        for repository in repositories {
            if let Ok(from) = Reference::parse(repository)
                && from.registry == self.reference.registry
                && *repository != self.origin()
                && registry.mount_blob(&self.reference, &from, &blob.digest)?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn fetch(
        &self,
        ways: &Remote,
        blob: &Descriptor,
        part: &Path,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), PlaceError> {
        Ok(ways
            .registry()?
            .download(&self.reference, blob, part, progress)?)
    }

    fn send(&self, ways: &Remote, blob: &Descriptor, open: OpenBlob<'_>) -> Result<(), PlaceError> {
        let registry = ways.registry()?;
        let transfer = Transfer::start(&ways.events, Direction::Upload, &self.reference, blob);
        registry.push_blob(&self.reference, blob, open)?;
        transfer.end();
        Ok(())
    }

    fn publish(&self, ways: &Remote, manifest: &[u8]) -> Result<(), PlaceError> {
        let registry = ways.registry()?;
        registry.push_manifest(&self.reference, OCI_MANIFEST, manifest)?;
        Ok(())
    }
}
