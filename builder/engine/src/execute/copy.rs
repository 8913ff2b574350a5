//! `COPY` and `ADD`: which files are meant ([`select`]), where they go ([`place`]) and the layer that they become ([`write`]).
//!
//! Sources are chains, whether they are build contexts, stages, images or unpacked archives; the destination is a chain, too.
//! Nothing here looks at a mounted tree. The rules are BuildKit's (its copy of a file, of a directory's contents, of links).

mod earlier;
pub mod place;
pub mod select;
pub mod write;

pub(crate) use kiln_cache::path::{join, lossy as shown, name as base_name};

/// The folder of a path; that of the root is the root.
pub(crate) fn parent(path: &[u8]) -> &[u8] {
    kiln_cache::path::parent(path).unwrap_or_default()
}
