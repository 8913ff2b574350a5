//! Cache import and export, for builds on several machines: `--cache-from` and `--cache-to`. One file for each kind of backend and a
//! line in [`KINDS`]; names, keys and defaults are BuildKit's ("Cache storage backends" in docker's manual) where nothing else is said.
//! Unaware of the command line, and of what keys of results are made from.
//!
//! A backend holds one cache under one name: the records of the last build that exported it, and the layers of those records as
//! compressed blobs ([`format`]). A build whose whole outcome is in a cache takes it with two requests; else steps are looked up as
//! always, and of the layers only those are fetched that something reads. BuildKit's own caches are of another kind: their keys are not
//! kiln's.

mod backend;
mod export;
mod fetcher;
mod format;
mod import;
mod layout;
pub(crate) mod mounts;
mod options;
pub(crate) mod prune;
mod registry;
mod s3;

pub use backend::{Backend, OpenBlob, Turn};
pub(crate) use export::Exported;
use export::export;
pub(crate) use fetcher::view;
pub(crate) use import::{Outcome, forget_lost, import, secure};
pub use options::CacheOptions;

use crate::failure::{BuildError, ExportError};
use crate::session::Session;
use crate::transfer::attributes::Attributes;
use crate::transfer::remote::Remote;
use kiln_cache::CacheOrigin;
use kiln_cache::exchange::Mode;
use kiln_oci::LayerCompression;
use std::sync::Arc;

/// A cache that a build imports.
pub type Import = Arc<dyn Backend>;

/// A cache that a build exports.
#[derive(Clone, Debug)]
pub(crate) struct Export {
    /// Where it is kept.
    pub backend: Arc<dyn Backend>,
    /// Which results.
    pub mode: Mode,
    /// The form in which layers go there that did not come compressed.
    pub compression: LayerCompression,
    /// Layers that are there in another form are replaced.
    pub force: bool,
    /// An error is only a warning.
    pub ignore_error: bool,
    /// Which cache mounts.
    pub mounts: Option<mounts::Selection>,
}

/// The caches of a build.
#[derive(Debug)]
pub(crate) struct SharedCaches {
    /// Those that it imports.
    pub imports: Vec<Import>,
    /// What its commands see of their mounts.
    pub mounts: mounts::Mounts,
    exports: Vec<Export>,
}

impl SharedCaches {
    /// Whether the build is exported at all.
    pub(crate) fn are_written(&self) -> bool {
        !self.exports.is_empty()
    }

    /// Exports a build to all caches that want it: its results, then the mounts that its commands have used.
    ///
    /// # Errors
    /// One cannot be written, and its error is not to be ignored.
    pub(crate) fn export(
        &self,
        session: &Session,
        outcome: Exported<'_>,
    ) -> Result<(), BuildError> {
        export(&session.store, &session.remote, &self.exports, outcome)?;
        mounts::export(session, &self.exports, &self.mounts)
    }
}

/// What is done with a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    From,
    To,
}

/// A kind of backend.
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
type Make = fn(&mut Attributes, Use, &Remote) -> Result<Arc<dyn Backend>, ExportError>;

/// All of them, by name.
const KINDS: [Kind; 3] = [layout::KIND, registry::KIND, s3::KIND];

/// What BuildKit has and kiln does not, with what to use instead.
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

/// Opens what `--cache-from` describes. Nothing is asked yet.
///
/// # Errors
/// The type or a key is unknown, or a value means nothing.
pub(crate) fn cache_from(options: &CacheOptions, remote: &Remote) -> Result<Import, ExportError> {
    let mut attributes = Attributes::new(options.pairs());
    let kind = kind(&mut attributes)?;
    let what = format!("key of type {}", kind.name);
    attributes.only(&what, kind.from)?;
    (kind.make)(&mut attributes, Use::From, remote)
}

/// Opens what `--cache-to` describes. Nothing is asked yet.
///
/// # Errors
/// The type or a key is unknown, or a value means nothing.
pub(crate) fn cache_to(options: &CacheOptions, remote: &Remote) -> Result<Export, ExportError> {
    let mut attributes = Attributes::new(options.pairs());
    let kind = kind(&mut attributes)?;
    let what = format!("key of type {}", kind.name);
    attributes.only(&what, &[kind.to, &WRITING, &mounts::KEYS].concat())?;
    let mode = match attributes.take("mode").as_deref() {
        None | Some("min") => Mode::Min,
        Some("max") => Mode::Max,
        Some(other) => return Err(ExportError::value("mode", other, "expected min or max")),
    };
    // kiln's caches are always image manifests with OCI's types
    for key in ["image-manifest", "oci-mediatypes"] {
        attributes.flag(key, true)?;
    }
    let compression = attributes.compression()?;
    Ok(Export {
        mode,
        force: attributes.flag("force-compression", false)?,
        ignore_error: attributes.flag("ignore-error", false)?,
        mounts: mounts::Selection::read(&mut attributes)?,
        compression: compression.unwrap_or(LayerCompression::gzip()),
        backend: (kind.make)(&mut attributes, Use::To, remote)?,
    })
}

/// Opens all caches of a build.
///
/// # Errors
/// As [`cache_from`].
pub(crate) fn open(
    from: &[CacheOptions],
    to: &[CacheOptions],
    remote: &Remote,
) -> Result<SharedCaches, ExportError> {
    let imports = from.iter().map(|options| cache_from(options, remote));
    let imports = imports.collect::<Result<Vec<_>, _>>()?;
    let exports = to.iter().map(|options| cache_to(options, remote));
    Ok(SharedCaches {
        exports: exports.collect::<Result<_, _>>()?,
        mounts: mounts::Mounts::of(&imports),
        imports,
    })
}

/// Checks what `--cache-from` describes. Returns where that is.
///
/// # Errors
/// The type or a key is unknown, or a value means nothing.
pub fn check_cache_from(options: &CacheOptions) -> Result<CacheOrigin, ExportError> {
    cache_from(options, &Remote::offline()).map(|import| import.origin())
}

/// The same for `--cache-to`.
///
/// # Errors
/// As [`check_cache_from`].
pub fn check_cache_to(options: &CacheOptions) -> Result<CacheOrigin, ExportError> {
    cache_to(options, &Remote::offline()).map(|export| export.backend.origin())
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

    fn options(text: &str) -> CacheOptions {
        let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
        CacheOptions::new(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())))
    }

    #[test]
    fn options_name_backends() {
        let remote = Remote::offline();
        let from = options("type=registry,ref=r.test/app:cache");
        let from = cache_from(&from, &remote).unwrap();
        assert_eq!(from.name(), "r.test/app:cache");
        assert_eq!(from.origin().to_string(), "r.test/app");
        let to = options("type=local,dest=/x/y,mode=max,compression=zstd,ignore-error=true");
        let to = cache_to(&to, &remote).unwrap();
        assert_eq!((to.mode, to.ignore_error), (Mode::Max, true));
        assert_eq!(to.compression, LayerCompression::zstd());
        assert_eq!(to.backend.origin().to_string(), "oci-layout:///x/y");
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
            ("type=local,dest=x,mounts=true,mount-max-size=x", "bytes"),
        ] {
            let error = check_cache_to(&options(text)).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
        assert!(check_cache_from(&options("type=local,dest=x")).is_err());
        assert!(check_cache_from(&options("type=registry,ref=x,mode=max")).is_err());
        assert!(foreign("gha").is_some() && foreign("registry").is_none());
        let secret = options("type=s3,secret_access_key=hidden");
        assert!(!format!("{secret:?}").contains("hidden"));
    }
}
