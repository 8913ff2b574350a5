//! What this machine does not give to a build: SSH agents, and programs of its own.

use kiln_cache::StoreError;
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// Why an agent cannot be used.
#[derive(Debug, Error)]
pub enum AgentError {
    /// A step requires one that was not given.
    #[error("the SSH agent {0} is required and was not given: build with --ssh {0}")]
    Missing(String),
    /// Nobody answers at the socket.
    #[error("the SSH agent at {path} cannot be reached")]
    Connect {
        /// The socket.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Keys from files need a program of the host.
    #[error(
        "--ssh with a key needs {program} of OpenSSH on this machine; or start an agent and give its socket"
    )]
    Program {
        /// Its name.
        program: &'static str,
        /// Why it did not start.
        #[source]
        source: io::Error,
    },
    /// A key was not accepted.
    #[error(
        "ssh-add does not accept the key {path}: {message} (a key with a passphrase needs an agent: ssh-add it there and give the agent with --ssh default)"
    )]
    Key {
        /// The file.
        path: PathBuf,
        /// What ssh-add said.
        message: String,
    },
    /// The folder of an agent could not be made.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why the programs cannot be collected.
#[derive(Debug, Error)]
pub enum HostToolsError {
    /// No program was named.
    #[error("host-tools: needs the names of programs, e.g. host-tools:sh,ls,cat")]
    Empty,
    /// A name that is neither a plain name nor an absolute path.
    #[error("host-tools: {0:?} is neither the name of a program nor an absolute path")]
    BadName(String),
    /// Not on the search path.
    #[error("host-tools: there is no program {name:?} in {path}")]
    NotFound {
        /// As asked for.
        name: String,
        /// Where it was looked for.
        path: String,
    },
    /// A file could not be read.
    #[error("host-tools: cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// The loader does not accept the program.
    #[error("host-tools: {loader} --list {program} failed: {message}")]
    Loader {
        /// The dynamic loader.
        loader: PathBuf,
        /// The program.
        program: PathBuf,
        /// What it said.
        message: String,
    },
    /// Script interpreters that never end.
    #[error("host-tools: {0}: too many script interpreters in a row")]
    Interpreters(PathBuf),
}
