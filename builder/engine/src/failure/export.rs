//! Why a result could not be exported.

use super::{ArchiveError, RemoteError};
use kiln_cache::{DamagedBlob, ImageError, ReadError, StoreError};
use kiln_oci::Digest;
use kiln_oci::archive::SaveError;
use kiln_oci::daemon::DaemonError;
use kiln_oci::tarfile::TarError;
use kiln_parser::suggest;
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// Why a result could not be exported, or an exporter could not be made.
#[derive(Debug, Error)]
pub enum ExportError {
    /// There is no `type`.
    #[error("an output needs a type")]
    NoType,
    /// A type or key that there is not.
    #[error("there is no {what} {name:?}{}", suggestion.as_ref().map(|near| format!(": did you mean {near}?")).unwrap_or_default())]
    Unknown {
        /// `type`, or `key` with its type.
        what: String,
        /// What was given.
        name: String,
        /// What may have been meant.
        suggestion: Option<String>,
    },
    /// A value that means nothing.
    #[error("{key}={value}: {problem}")]
    Value {
        /// The key.
        key: String,
        /// Its value.
        value: String,
        /// What is wrong.
        problem: String,
    },
    /// A key without which the exporter has nowhere to go.
    #[error("an output of type {kind} needs dest=…")]
    NoDestination {
        /// The type.
        kind: &'static str,
    },
    /// Two platforms have the same file, and no folders of their own.
    #[error(
        "{path} is in the result for {first} and in that for {second}, and platform-split=false gives them one place"
    )]
    Overwrites {
        /// The file.
        path: String,
        /// The platform whose file it is.
        first: String,
        /// The platform that has it too.
        second: String,
    },
    /// Something that this kind cannot hold, or kiln does not do.
    #[error("{0}")]
    Unsupported(String),
    /// A folder with files that are no export's.
    #[error("{path} is not empty and no OCI layout: it is not replaced")]
    NoLayout {
        /// The folder.
        path: PathBuf,
    },
    /// The destination could not be written.
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
    /// An export into a folder that stopped on the way.
    #[error("{written} files of the result are in {path}, then it stopped")]
    Partly {
        /// The folder.
        path: PathBuf,
        /// How many are there.
        written: u64,
        /// Why it stopped.
        #[source]
        source: Box<ExportError>,
    },
    /// A file of the result cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The tar cannot be written.
    #[error(transparent)]
    Tar(#[from] FlattenError),
    /// The archive cannot be written.
    #[error(transparent)]
    Save(#[from] SaveError),
    /// The image could not be pushed.
    #[error(transparent)]
    Push(#[from] Box<RemoteError>),
    /// A layer cannot be compressed.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The store lost the image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A daemon that was to have the image.
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    /// A daemon that has taken an image, and does not have it.
    #[error("the daemon has taken the image and does not have it under {id}")]
    NotLoaded {
        /// The ID that it must have there.
        id: Digest,
    },
    /// containerd does not take an image.
    #[error("containerd does not take the image: {said}")]
    Containerd {
        /// What its program says.
        said: String,
    },
    /// The user asked to stop.
    #[error("stopped")]
    Cancelled,
}

impl ExportError {
    /// For a name that is not among `known`.
    pub(crate) fn unknown<'a>(
        what: impl Into<String>,
        name: &str,
        known: impl Iterator<Item = &'a str>,
    ) -> Self {
        Self::Unknown {
            what: what.into(),
            name: name.to_owned(),
            suggestion: suggest::nearest(name, known).map(str::to_owned),
        }
    }

    /// For a value that means nothing.
    pub(crate) fn value(key: &str, value: &str, problem: &str) -> Self {
        Self::Value {
            key: key.to_owned(),
            value: value.to_owned(),
            problem: problem.to_owned(),
        }
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
}

/// Why there is no whole tar.
#[derive(Debug, Error)]
pub enum FlattenError {
    /// An entry cannot be written.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// A file's content cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The other end is full, or gone.
    #[error("cannot write the tar")]
    Write(#[source] io::Error),
    /// A layer is damaged.
    #[error(transparent)]
    Damaged(#[from] DamagedBlob),
    /// A layer ends too early.
    #[error("a layer holds only {found} of {size} bytes of {path}")]
    Short {
        /// The file.
        path: String,
        /// What its entry says.
        size: u64,
        /// What was there.
        found: u64,
    },
}
