//! Caches that builds on several machines share: `--cache-from` and `--cache-to`. One file for each kind of place and a line in
//! [`KINDS`]; names, keys and defaults are BuildKit's ("Cache storage backends" in docker's manual) where nothing else is said.
//! Unaware of the command line, and of what keys of results are made from.
//!
//! A place holds one cache under one name: the records of the last build that wrote it, and the layers of those records as
//! compressed blobs ([`format`]). A build whose whole outcome is in a cache takes it with two requests; else steps are looked up as
//! always, and of the layers only those come that something reads. BuildKit's own caches are of another kind: their keys are not
//! kiln's.

mod error;
mod export;
mod format;
mod import;
mod layout;
mod registry;
mod s3;
mod source;

pub use error::PlaceError;
pub(crate) use export::export;
pub(crate) use import::{Outcome, forget_lost, import, secure};
pub(crate) use source::joined;

use crate::image::export::{Attributes, ExportError};
use crate::transfer::remote::Remote;
use kiln_cache::shared::Mode;
use kiln_oci::{Descriptor, LayerCompression};
use std::fmt::Debug;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

/// Opens a blob that is to be sent, from its start.
pub type OpenBlob<'a> = &'a (dyn Fn() -> io::Result<Box<dyn Read + Send>> + Sync);

/// The right to write: a locked file.
pub type Turn = std::fs::File;

/// Where a cache is.
pub trait Place: Debug + Send + Sync {
    /// What people call it.
    fn name(&self) -> String;

    /// What the store calls whoever holds its blobs: a repository, or an address that only builds that name it understand.
    fn origin(&self) -> String;

    /// What the store calls the cache, to tell what it said from what others did: no two caches have one.
    fn identity(&self) -> String;

    /// Whether blobs can be had later too, without this place being named: a build need not take all layers of its image home.
    fn lasts(&self) -> bool {
        false
    }

    /// Whether asking for a blob costs next to nothing.
    fn is_near(&self) -> bool {
        false
    }

    /// Waits until nobody else writes there, where writers could hinder each other. The turn ends with the value.
    ///
    /// # Errors
    /// It cannot be written at all.
    fn turn(&self, _ways: &Remote) -> Result<Option<Turn>, PlaceError> {
        Ok(None)
    }

    /// What is there under the name: a manifest or index; `None` for nothing.
    ///
    /// # Errors
    /// It does not answer.
    fn manifest(&self, ways: &Remote) -> Result<Option<Vec<u8>>, PlaceError>;

    /// A small blob, checked.
    ///
    /// # Errors
    /// It is not there, or is another.
    fn document(&self, ways: &Remote, blob: &Descriptor) -> Result<Vec<u8>, PlaceError>;

    /// Whether it has a blob, or can take it from one of these repositories by itself.
    ///
    /// # Errors
    /// It does not answer.
    fn has(
        &self,
        ways: &Remote,
        blob: &Descriptor,
        repositories: &[String],
    ) -> Result<bool, PlaceError>;

    /// Writes a blob to the file `part`, and tells how many bytes are there.
    ///
    /// # Errors
    /// It is not there, or does not come.
    fn fetch(
        &self,
        ways: &Remote,
        blob: &Descriptor,
        part: &Path,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), PlaceError>;

    /// Takes a blob.
    ///
    /// # Errors
    /// It cannot be written.
    fn send(&self, ways: &Remote, blob: &Descriptor, open: OpenBlob<'_>) -> Result<(), PlaceError>;

    /// Gives the name to a manifest whose blobs were sent.
    ///
    /// # Errors
    /// It cannot be written.
    fn publish(&self, ways: &Remote, manifest: &[u8]) -> Result<(), PlaceError>;
}

/// `--cache-from`.
#[derive(Clone, Debug)]
pub struct CacheFrom {
    /// Where it is.
    pub place: Arc<dyn Place>,
}

/// `--cache-to`.
#[derive(Clone, Debug)]
pub struct CacheTo {
    /// Where to.
    pub place: Arc<dyn Place>,
    /// Which results.
    pub mode: Mode,
    /// In which form layers go there that did not come compressed.
    pub compression: LayerCompression,
    /// Layers that are there in another form are replaced.
    pub force: bool,
    /// What goes wrong is a warning.
    pub ignore_error: bool,
}

/// What is done with a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    From,
    To,
}

/// A kind of place.
#[derive(Debug)]
struct Kind {
    /// What `type=` says.
    name: &'static str,
    /// Its own keys for reading.
    from: &'static [&'static str],
    /// Its own keys for writing.
    to: &'static [&'static str],
    make: Make,
}

/// Takes what it needs of the attributes.
type Make = fn(&mut Attributes, Use) -> Result<Arc<dyn Place>, ExportError>;

/// All of them, by name.
const KINDS: [Kind; 3] = [layout::KIND, registry::KIND, s3::KIND];

/// What BuildKit has and kiln has not, with what to use instead.
const FOREIGN: [(&str, &str); 3] = [
    ("azblob", "use type=registry or type=local"),
    (
        "gha",
        "keep a folder with type=local and actions/cache, or use type=registry",
    ),
    (
        "inline",
        "an image holds no cache: use type=registry,ref=NAME-cache",
    ),
];

/// Keys that every kind has for writing.
const WRITING: [&str; 7] = [
    "compression",
    "compression-level",
    "force-compression",
    "ignore-error",
    "image-manifest",
    "mode",
    "oci-mediatypes",
];

/// Why a type of BuildKit's does nothing here; `None` for all others.
#[must_use]
pub fn foreign(kind: &str) -> Option<&'static str> {
    let known = FOREIGN.iter().find(|(name, _)| *name == kind);
    known.map(|(_, instead)| *instead)
}

/// What `--cache-from` says.
///
/// # Errors
/// The type or a key is unknown, or a value means nothing.
pub fn cache_from(mut attributes: Attributes) -> Result<CacheFrom, ExportError> {
    let kind = kind(&mut attributes)?;
    let what = format!("key of type {}", kind.name);
    attributes.only(&what, kind.from)?;
    let place = (kind.make)(&mut attributes, Use::From)?;
    Ok(CacheFrom { place })
}

/// What `--cache-to` says.
///
/// # Errors
/// The type or a key is unknown, or a value means nothing.
pub fn cache_to(mut attributes: Attributes) -> Result<CacheTo, ExportError> {
    let kind = kind(&mut attributes)?;
    let what = format!("key of type {}", kind.name);
    attributes.only(&what, &[kind.to, &WRITING].concat())?;
    let mode = match attributes.take("mode").as_deref() {
        None | Some("min") => Mode::Min,
        Some("max") => Mode::Max,
        Some(other) => return Err(ExportError::value("mode", other, "expected min or max")),
    };
    // kiln's caches are always image manifests with OCI's types
    for key in ["image-manifest", "oci-mediatypes"] {
        attributes.flag(key, true)?;
    }
    Ok(CacheTo {
        mode,
        force: attributes.flag("force-compression", false)?,
        ignore_error: attributes.flag("ignore-error", false)?,
        compression: attributes
            .compression()?
            .unwrap_or(LayerCompression::gzip()),
        place: (kind.make)(&mut attributes, Use::To)?,
    })
}

fn kind(attributes: &mut Attributes) -> Result<&'static Kind, ExportError> {
    let name = attributes.take("type").ok_or(ExportError::NoType)?;
    KINDS
        .iter()
        .find(|kind| kind.name == name)
        .ok_or_else(|| ExportError::unknown("type", &name, KINDS.iter().map(|kind| kind.name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(text: &str) -> Attributes {
        let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
        Attributes::new(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())))
    }

    #[test]
    fn texts_name_places() {
        let from = cache_from(attributes("type=registry,ref=r.test/app:cache")).unwrap();
        assert_eq!(from.place.name(), "r.test/app:cache");
        assert_eq!(from.place.origin(), "r.test/app");
        assert!(from.place.lasts());
        let to = cache_to(attributes(
            "type=local,dest=/x/y,mode=max,compression=zstd,ignore-error=true",
        ))
        .unwrap();
        assert_eq!((to.mode, to.ignore_error), (Mode::Max, true));
        assert_eq!(to.compression, LayerCompression::zstd());
        assert!(!to.place.lasts() && to.place.is_near());
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for (text, why) in [
            ("ref=x", "type"),
            ("type=registri,ref=x", "registry"),
            ("type=registry", "ref"),
            ("type=registry,ref=UPPER", "UPPER"),
            ("type=registry,ref=x,mod=max", "mode"),
            ("type=local,dest=x,mode=all", "min or max"),
            ("type=local,src=x", "src"),
            ("type=local,dest=x,compression=lzma", "lzma"),
        ] {
            let error = cache_to(attributes(text)).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
        assert!(cache_from(attributes("type=local,dest=x")).is_err());
        assert!(cache_from(attributes("type=registry,ref=x,mode=max")).is_err());
        assert!(foreign("gha").is_some() && foreign("registry").is_none());
    }
}
