//! Where the result of a build goes besides the store: the exporters of `--output`, one file each and a line in [`KINDS`]. Their
//! names, keys and defaults are BuildKit's ("Exporters" in its manual) where nothing else is said. Unaware of the command line and
//! of how the result was built.
//!
//! `rewrite-timestamp` needs no work: with SOURCE_DATE_EPOCH kiln sets or clamps the times of all layers that it makes when it makes them,
//! and never those of a base.

mod archive;
mod building_folder;
mod containerd;
mod daemon;
mod destination;
mod files;
mod handover;
mod local;
mod others;
mod store;
mod tar;
mod whole;

use crate::failure::ExportError;
use crate::request::Exporter;
use crate::transfer::attributes::Attributes;

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
