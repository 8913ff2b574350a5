//! Why a cache could not be read or written.

use super::{ExportError, RemoteError};
use kiln_cache::{ImageError, MountError, StoreError};
use kiln_oci::{Digest, registry};
use std::path::PathBuf;

/// Why a shared cache could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The network is not to be used, or the registry's name cannot be one.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The registry said no, or could not be reached.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// A file could not be read or written.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// An object could not be read or written.
    #[error("{key}: {why}")]
    Object {
        /// The object.
        key: String,
        /// What was said, or what broke.
        why: String,
    },
    /// A part of a cache's folder leads elsewhere.
    #[error("{} is a symbolic link, and kiln writes and deletes through none", .0.display())]
    Link(PathBuf),
    /// A blob has other bytes than its digest says.
    #[error("{0} has other bytes than its name says")]
    Damaged(Digest),
    /// What is there is not a cache that this kiln understands.
    #[error("there is {0}")]
    Foreign(Foreign),
    /// Something else is there under the name that a cache should get.
    #[error("it is the name of an image, which a cache would replace: take another name or tag")]
    IsImage,
    /// The manifest or the records cannot be understood.
    #[error("it cannot be understood: {0}")]
    Malformed(String),
    /// The image is not in the store.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The cache is described in a way that means nothing.
    #[error(transparent)]
    Options(#[from] ExportError),
    /// A cache mount cannot be read or made.
    #[error(transparent)]
    Mount(#[from] MountError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The user asked to stop.
    #[error("stopped")]
    Cancelled,
}

/// What is under a name instead of a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Foreign {
    /// An image.
    #[error("an image, and in it no cache of kiln")]
    Image,
    /// A cache of BuildKit.
    #[error("a cache of BuildKit, whose keys are not kiln's")]
    BuildKit,
    /// A cache of another version.
    #[error("a cache of another version of kiln")]
    Version,
    /// Anything else.
    #[error("something that is no cache")]
    Unknown,
}

impl BackendError {
    /// For `map_err` of what cannot be understood.
    pub(crate) fn malformed(error: impl std::error::Error) -> Self {
        Self::Malformed(error.to_string())
    }

    /// For `map_err` of what is done with a path.
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }

    /// Whether something is wrong with what is there, so that it may be replaced, and not with the way to it.
    pub(crate) fn is_about_content(&self) -> bool {
        match self {
            Self::Foreign(_) | Self::Malformed(_) | Self::Damaged(_) | Self::Object { .. } => true,
            Self::Mount(error) => error.is_about_listing(),
            Self::Registry(error) => error.is_not_found(),
            Self::Io { source, .. } => source.kind() == std::io::ErrorKind::NotFound,
            _ => false,
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Remote(error) => error.hint(),
            Self::Registry(error) => error.hint(),
            Self::Link(_) => {
                Some("name the folder that it leads to, or remove the link".to_owned())
            }
            _ => None,
        }
    }
}
