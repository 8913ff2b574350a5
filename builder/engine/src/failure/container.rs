//! Why a container cannot run. How its command ends is no failure.

use super::{ArchiveError, KeptError, StepError};
use kiln_cache::{ImageError, StoreError};
use kiln_sandbox::LimitError;
use thiserror::Error;

/// See the module.
#[derive(Debug, Error)]
pub enum ContainerError {
    /// A limit asks for what the machine does not have.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// As for a RUN.
    #[error(transparent)]
    Start(#[from] StepError),
    /// What it has left cannot be kept.
    #[error("the image cannot be stored")]
    Keep(#[from] ImageError),
    /// An instruction cannot change its config.
    #[error(transparent)]
    Change(#[from] ArchiveError),
    /// What is written of it.
    #[error(transparent)]
    Kept(#[from] KeptError),
    /// The same.
    #[error(transparent)]
    Store(#[from] StoreError),
}
