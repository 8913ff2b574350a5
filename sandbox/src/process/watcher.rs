//! The process that watches over a command, from the side of its caller, who is watched as well. Unaware of what runs.

use std::os::fd::OwnedFd;
use std::process::{Child, ExitStatus};

use rustix::net::{Shutdown, shutdown};

use crate::SpawnError;
use crate::process::wire::{self, GivenBack};

/// Dropping this hangs up and waits for it: a command that still runs is killed, and a terminal that is still lent has its modes again.
#[derive(Debug)]
pub struct Watcher {
    pub socket: OwnedFd,
    process: Child,
    /// Whether it has a terminal of a person to give back.
    is_lent: bool,
}

impl Watcher {
    pub fn new(socket: OwnedFd, process: Child, is_lent: bool) -> Self {
        Self {
            socket,
            process,
            is_lent,
        }
    }

    /// How it has ended, of which it has said nothing.
    pub fn lost(mut self) -> SpawnError {
        match self.end() {
            Ok(status) => SpawnError::Lost(status.to_string()),
            Err(error) => SpawnError::of("wait for the sandbox process")(error),
        }
    }

    fn end(&mut self) -> std::io::Result<ExitStatus> {
        // it may listen, and this waits for it; or it is gone already
        let _ = shutdown(&self.socket, Shutdown::Both);
        self.process.wait()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // nobody else waits for it
        let _ = self.end();
    }
}

/// The terminal of a person that was lent, if one was, after the end of the command: what that wrote may still be shown with the modes that it
/// has. Dropping this puts back those that it had, even if this process is killed.
#[derive(Debug)]
pub struct Lent(Option<Watcher>);

impl From<Watcher> for Lent {
    /// With who puts them back, who has nothing else to do any more.
    fn from(watcher: Watcher) -> Self {
        Self(watcher.is_lent.then_some(watcher))
    }
}

impl Lent {
    /// The caller has put them back itself: somebody who waits for that may change them already.
    pub fn given_back(self) {
        if let Some(watcher) = &self.0 {
            // who is gone puts nothing back
            let _ = wire::send(&watcher.socket, &GivenBack, &[]);
        }
    }
}
