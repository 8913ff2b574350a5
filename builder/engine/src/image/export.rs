//! Where the result of a build goes besides the store: the exporters of `--output`, one file each and a line in [`KINDS`]. Their
//! names, keys and defaults are BuildKit's ("Exporters" in its manual) where nothing else is said. Unaware of the command line and
//! of how the result was built.
//!
//! `rewrite-timestamp` needs no work: with SOURCE_DATE_EPOCH kiln clamps the times of all layers that it makes when it makes them,
//! and never those of a base.

mod archive;
mod destination;
mod files;
mod handover;
mod local;
mod others;
mod store;
mod tar;

use crate::failure::ExportError;
use crate::transfer::attributes::Attributes;

use crate::session::Session;
use kiln_cache::StoredImage;
use kiln_oci::{Descriptor, Digest, Platform, Reference};
use std::cell::RefCell;
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
}

impl BuildResult<'_> {
    /// The digest of the index, else of the one image.
    fn digest(&self) -> Option<Digest> {
        let index = self.index.as_ref().map(|(digest, _)| *digest);
        let image = || Some(self.images.first()?.1.manifest_digest);
        index.or_else(image)
    }
}

/// A kind of exporter.
#[derive(Debug)]
pub struct Kind {
    /// What `type=` says.
    pub name: &'static str,
    /// The keys that it knows.
    pub keys: &'static [&'static str],
    make: fn(Attributes) -> Result<Box<dyn Exporter>, ExportError>,
}

/// All of them, by name.
pub const KINDS: [Kind; 7] = [
    store::CACHE_ONLY,
    archive::DOCKER,
    store::IMAGE,
    local::KIND,
    archive::OCI,
    store::REGISTRY,
    tar::KIND,
];

/// The exporter of a `type` and other attributes.
///
/// # Errors
/// The type or a key is unknown, or a value means nothing.
pub fn exporter(mut attributes: Attributes) -> Result<Box<dyn Exporter>, ExportError> {
    let name = attributes.take("type").ok_or(ExportError::NoType)?;
    let Some(kind) = KINDS.iter().find(|kind| kind.name == name) else {
        let known = KINDS.iter().map(|kind| kind.name);
        return Err(ExportError::unknown("type", &name, known));
    };
    attributes.check(kind.name, kind.keys)?;
    (kind.make)(attributes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(pairs: &[(&str, &str)]) -> String {
        let pairs = pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        exporter(Attributes::new(pairs)).unwrap_err().to_string()
    }

    #[test]
    fn what_means_nothing_is_refused_with_a_suggestion() {
        assert!(refused(&[("type", "lokal")]).contains("local"));
        assert!(refused(&[("type", "oci"), ("compresion", "gzip")]).contains("compression"));
        assert!(
            refused(&[("type", "oci"), ("dest", "x"), ("compression", "lzma")]).contains("lzma")
        );
        assert!(refused(&[("type", "oci"), ("dest", "x"), ("tar", "maybe")]).contains("maybe"));
        assert!(refused(&[("type", "local")]).contains("dest"));
        assert!(refused(&[("dest", "x")]).contains("type"));
    }

    #[test]
    fn kinds_are_sorted_and_know_their_keys() {
        assert!(KINDS.is_sorted_by_key(|kind| kind.name));
        for kind in KINDS.iter().filter(|kind| kind.keys.contains(&"dest")) {
            let pairs = [("type", kind.name), ("dest", "x")];
            let pairs = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
            assert!(exporter(Attributes::new(pairs)).is_ok(), "{}", kind.name);
        }
    }
}
