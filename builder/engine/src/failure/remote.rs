//! Why an image could not be pulled or pushed. Unaware of the protocol.

use kiln_cache::{ImageError, StoreError};
use kiln_oci::registry::Error;
use kiln_oci::{Digest, DocumentError, ReferenceError};

/// Why an image could not be pulled or pushed.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The network is not to be used.
    #[error("the network is not used (--offline)")]
    Offline,
    /// The user asked to stop.
    #[error("stopped")]
    Cancelled,
    /// The registry said no, or could not be reached.
    #[error(transparent)]
    Registry(#[from] Error),
    /// The name cannot be one of a registry.
    #[error(transparent)]
    Name(#[from] ReferenceError),
    /// A manifest, index or config cannot be understood.
    #[error("{digest}: {source}")]
    Document {
        /// The document.
        digest: Digest,
        /// Why.
        source: DocumentError,
    },
    /// The config's bytes are not what the manifest says.
    #[error("the config that came is not {expected}")]
    Config {
        /// What the manifest says.
        expected: Digest,
    },
    /// The index lists no image for the platform.
    #[error("{reference} is not made for {wanted}, only for {}", if available.is_empty() { "no platform" } else { available })]
    NoPlatform {
        /// The image.
        reference: String,
        /// What was asked for.
        wanted: String,
        /// What there is, separated by commas.
        available: String,
    },
    /// An index of indexes of indexes.
    #[error("{reference} is an index of indexes of indexes")]
    TooDeep {
        /// The image.
        reference: String,
    },
    /// An image of an index is neither in the store nor in the registry.
    #[error(
        "the index lists an image for {platform}, {digest}, which is neither in the store nor in the registry"
    )]
    AbsentChild {
        /// The image.
        digest: Digest,
        /// What it is for.
        platform: String,
    },
    /// Docker's media types know no zstd.
    #[error("docker's media types have none for zstd: use OCI's, or gzip")]
    DockerZstd,
    /// The registry says that it stored something else.
    #[error("the registry stored {found}, not {expected}")]
    OtherDigest {
        /// What was sent.
        expected: Digest,
        /// What it says.
        found: Digest,
    },
    /// The store has no such image, or refuses it.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RemoteError {
    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Registry(error) => error.hint(),
            Self::Offline => Some("leave out --offline, and unset KILN_OFFLINE".to_owned()),
            _ => None,
        }
    }

    /// Whether the registry does not know the image.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Registry(error) if error.is_not_found())
    }
}
