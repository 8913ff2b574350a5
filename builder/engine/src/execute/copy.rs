//! `COPY` and `ADD`: which files are meant ([`select`]), where they go ([`place`]) and the layer that they become ([`write`]).
//!
//! Sources are chains, whether they are build contexts, stages, images or unpacked archives; the destination is a chain too.
//! Nothing here looks at a mounted tree. The rules are BuildKit's (its copy of a file, of a directory's contents, of links).

pub mod archive;
pub mod place;
pub mod select;
pub mod write;

/// A path for people: bytes that are no text are replaced.
pub(crate) fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

/// `folder/name`, or just one of them when the other is empty.
pub(crate) fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    match (folder.is_empty(), name.is_empty()) {
        (true, _) => name.to_vec(),
        (_, true) => folder.to_vec(),
        _ => [folder, b"/", name].concat(),
    }
}

/// Everything before the last slash; empty when there is none.
pub(crate) fn parent(path: &[u8]) -> &[u8] {
    path.iter()
        .rposition(|&byte| byte == b'/')
        .map_or(b"", |at| &path[..at])
}

/// Everything after the last slash.
pub(crate) fn base_name(path: &[u8]) -> &[u8] {
    path.iter()
        .rposition(|&byte| byte == b'/')
        .map_or(path, |at| &path[at + 1..])
}
