//! `COPY` and `ADD`: which files are meant ([`select`]), where they go ([`place`]) and the layer that they become ([`write`]).
//!
//! Sources are chains, whether they are build contexts, stages, images or unpacked archives; the destination is a chain too.
//! Nothing here looks at a mounted tree. The rules are BuildKit's (its copy of a file, of a directory's contents, of links).

pub mod archive;
pub mod place;
pub mod select;
pub mod write;

pub(crate) use kiln_cache::path::{join, name as base_name};

/// A path for people: bytes that are no text are replaced.
pub(crate) fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

/// The directory of a path; empty when there is none.
pub(crate) fn parent(path: &[u8]) -> &[u8] {
    kiln_cache::path::parent(path).unwrap_or_default()
}
