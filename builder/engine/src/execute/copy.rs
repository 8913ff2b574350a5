//! `COPY` and `ADD`: which files are meant ([`select`]), where they go ([`place`]) and the layer that they become ([`write`]).
//!
//! Sources are chains, whether they are build contexts, stages, images or unpacked archives; the destination is a chain too.
//! Nothing here looks at a mounted tree. The rules are BuildKit's (its copy of a file, of a directory's contents, of links).

pub mod archive;
pub mod place;
pub mod select;
pub mod write;

use kiln_cache::{LayerError, ReadError, ResolveError};
use thiserror::Error;

/// Why a COPY or ADD fails.
#[derive(Debug, Error)]
pub enum CopyError {
    /// A path without wildcards that is not there.
    #[error("{path}: not found{}", hint.as_deref().map(|h| format!(" ({h})")).unwrap_or_default())]
    NotFound {
        /// As written.
        path: String,
        /// Why that may be.
        hint: Option<String>,
    },
    /// A pattern that cannot be matched.
    #[error("{0}: bad pattern")]
    BadPattern(String),
    /// An `--exclude` pattern that cannot be matched.
    #[error("--exclude={pattern}: {message}")]
    BadExclude {
        /// As written.
        pattern: String,
        /// What is wrong.
        message: String,
    },
    /// A directory would have to become something else.
    #[error("cannot replace to directory /{0} with file")]
    DirectoryInTheWay(String),
    /// Something that is not a directory would have to hold files.
    #[error("cannot copy to non-directory: /{0}")]
    NotADirectory(String),
    /// `--chown` has an impossible number.
    #[error("--chown={chown}: {source}")]
    Owner {
        /// As written.
        chown: String,
        /// The reason.
        source: crate::execute::users::UserError,
    },
    /// Links that lead in circles.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// A file could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The layer could not be written.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// The store could not keep the layer.
    #[error(transparent)]
    Store(#[from] kiln_cache::StoreError),
    /// A source could not be read.
    #[error("{path}: {source}")]
    Io {
        /// The source.
        path: String,
        /// The reason.
        source: std::io::Error,
    },
    /// An archive that ADD should unpack is damaged or hostile.
    #[error("cannot unpack {path}: {message}")]
    Archive {
        /// The archive.
        path: String,
        /// What is wrong.
        message: String,
    },
}

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
