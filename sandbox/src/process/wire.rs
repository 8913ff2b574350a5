//! What the caller and the re-executed binary say to each other over a socket pair, in [`packets`](super::packets). Both ends are the same binary, so the format has no version. Unaware of what the messages cause.
//!
//! The caller sends a [`Request`] with these descriptors: the command's standard output and error output, *spec* (an anonymous file that holds the [`RunSpec`](crate::RunSpec) as JSON, since
//! secrets may be larger than a packet), *root*, *upper*, *aside*, *stdin* and *borrowed* if there are any, then the extra *roots* and *sockets*.
//! The answer is [`Reply::Terminal`] with the caller's side of the command's terminal, if it has one, [`Reply::Started`] with a pidfd of the
//! command, then [`Reply::Ended`]; or [`Reply::Failed`]. A caller that has lent a terminal may answer the end with [`GivenBack`].

use std::os::fd::OwnedFd;

use rustix::stdio::{dup2_stderr, dup2_stdout};
use serde::{Deserialize, Serialize};

pub use crate::process::packets::{MAX_FDS, pair, receive, send};
use crate::{Exit, SpawnError};

/// The name (`argv[0]`) that makes the re-executed binary the supervisor of one command.
pub const SUPERVISOR: &str = "kiln-init";
/// The same for a command that joins another one.
pub const JOINS: &str = "kiln-exec";
/// The same for a run without namespaces.
pub const SUPERVISOR_OF_CALLS: &str = "kiln-calls";

/// Which descriptors come with the first packet.
#[derive(Debug, Serialize, Deserialize)]
pub struct Request {
    pub upper: bool,
    /// Then nothing is mounted: see [`crate::plain_folder`].
    pub aside: bool,
    pub stdin: bool,
    /// A terminal of a person: see [`crate::Extra`].
    pub borrowed: bool,
    pub roots: usize,
}

/// The descriptors of a request, one by one.
#[derive(Debug)]
pub struct Descriptors(pub std::vec::IntoIter<OwnedFd>);

impl Descriptors {
    /// Those of a request, after the first two, which become this process's streams, and so the command's.
    pub fn after_streams(fds: Vec<OwnedFd>) -> Result<Self, SpawnError> {
        let mut fds = Self(fds.into_iter());
        let (stdout, stderr) = (fds.next()?, fds.next()?);
        let taken = dup2_stdout(&stdout).and_then(|()| dup2_stderr(&stderr));
        taken.map_err(SpawnError::of("dup2 the streams"))?;
        Ok(fds)
    }

    pub fn next(&mut self) -> Result<OwnedFd, SpawnError> {
        let missing = || SpawnError::Invalid("the request lacks a descriptor".to_owned());
        self.0.next().ok_or_else(missing)
    }

    /// One that is there if the request says so.
    pub fn next_if(&mut self, is_there: bool) -> Result<Option<OwnedFd>, SpawnError> {
        is_there.then(|| self.next()).transpose()
    }
}

/// What the supervisor answers.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reply {
    Terminal,
    Started { notes: Vec<String> },
    Failed(SpawnError),
    Ended(Exit),
}

/// What the caller says when the command has ended and the borrowed terminal is as it was; nothing where it has not put it back itself.
#[derive(Debug, Serialize, Deserialize)]
pub struct GivenBack;

/// What the command's side says before it executes the command, one JSON value a line on a pipe.
#[derive(Debug, Serialize, Deserialize)]
pub enum Report {
    Note(String),
    Failed(SpawnError),
}
