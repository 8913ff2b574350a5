//! What a request says of an output: something that takes the result of the build somewhere. Unaware of where that may be; the
//! exporters are in `image/export/`.

use crate::failure::ExportError;
use crate::session::Session;
use kiln_cache::StoredImage;
use kiln_oci::{Descriptor, Digest, Platform, Reference};
use std::cell::{Cell, RefCell};
use std::fmt::Debug;
use std::path::Path;

/// Takes the result of a build somewhere.
pub trait Exporter: Debug + Send + Sync {
    /// Does it. A second call does it again.
    ///
    /// # Errors
    /// What stopped it; nothing half-written is at the destination then, unless the error says so.
    fn export(&self, result: &BuildResult<'_>) -> Result<(), ExportError>;

    /// What its own `name=` says; none where the names are those of the build. Those with a tag are names of the image in the store
    /// too.
    fn names(&self) -> Vec<Reference> {
        Vec::new()
    }

    /// Whether a registry gets the result under this name, which is one of the build or of its own.
    fn pushes(&self, _name: &Reference) -> bool {
        false
    }

    /// Whether the result is wanted there alone, and not as an image in the store.
    fn takes_away(&self) -> bool {
        false
    }

    /// The folder in which it removes what the result does not have.
    fn deletes_in(&self) -> Option<&Path> {
        None
    }

    /// Whether it writes to the standard output.
    fn is_stream(&self) -> bool {
        false
    }
}

/// What a build made.
#[derive(Debug)]
pub struct BuildResult<'a> {
    /// Store, events, cancellation.
    pub session: &'a Session,
    /// The images with their platforms, in the order of `--platform`; at least one.
    pub images: Vec<(Platform, StoredImage)>,
    /// The index of the images, where the result is one: digest and bytes.
    pub index: Option<(Digest, Vec<u8>)>,
    /// Names of the build.
    pub references: &'a [Reference],
    /// `SOURCE_DATE_EPOCH`.
    pub epoch: Option<i64>,
    /// What registries have of it: the first that was pushed. Layers are compressed on the way, so it has another digest.
    pub pushed: RefCell<Option<Descriptor>>,
    /// The ID that a daemon knows it by, where one has it: there it may be the digest of the manifest.
    pub loaded: Cell<Option<Digest>>,
}

impl BuildResult<'_> {
    /// What the result is called at an output: the names of its own, else those of the build.
    pub(crate) fn names<'n>(&'n self, own: &'n [Reference]) -> &'n [Reference] {
        match own {
            [] => self.references,
            own => own,
        }
    }

    /// The digest of the index, else of the one image.
    pub(crate) fn digest(&self) -> Option<Digest> {
        let index = self.index.as_ref().map(|(digest, _)| *digest);
        let image = || Some(self.images.first()?.1.manifest_digest);
        index.or_else(image)
    }
}
