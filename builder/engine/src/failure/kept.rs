//! Why nothing can be done with a container that is kept, or with one that is to be.

use kiln_cache::StoreError;
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// See the module.
#[derive(Debug, Error)]
pub enum KeptError {
    /// None is called so, or has such an ID.
    #[error("there is no container {0}")]
    NoSuch(String),
    /// The IDs of several begin so.
    #[error("{count} containers have an ID that begins with {name}")]
    Several {
        /// How.
        name: String,
        /// How many.
        count: usize,
    },
    /// Another container has the name.
    #[error("the container {id} is called {name}")]
    NameTaken {
        /// The name.
        name: String,
        /// Who has it.
        id: String,
    },
    /// It runs, and may not.
    #[error("the container {0} runs")]
    Runs(String),
    /// It does not run, and should.
    #[error("the container {0} does not run")]
    DoesNotRun(String),
    /// It cannot do that.
    #[error("{0}")]
    Refused(String),
    /// A file of it was not written by kiln, or is damaged.
    #[error("{} cannot be used: {why}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// An input or output error.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
