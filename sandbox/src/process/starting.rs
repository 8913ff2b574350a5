//! Starts this program's own binary as the process that watches over a command, also before it is known over which: the new process needs as
//! long to begin as its caller does to find out. Unaware of what it is asked for then.

use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use crate::SpawnError;
use crate::process::watcher::Watcher;
use crate::process::wire::{self, SUPERVISOR};
use crate::process::{KillHandle, program};

/// A supervisor, and the socket at which it waits for its request.
type Started = (OwnedFd, Starting);

/// A supervisor that [`run`](crate::run) finds started; dropping this ends it if it was not needed.
#[derive(Debug, Default)]
pub struct Ahead(Mutex<Option<JoinHandle<Option<Started>>>>);

impl Ahead {
    /// Starts it, in the namespaces of this process: on a thread, since who starts a process waits until that executes its program.
    #[must_use]
    pub fn start() -> Self {
        // where that fails it is tried again, and told, when it is needed
        let start = || Starting::start(SUPERVISOR).ok();
        let thread = Builder::new().name("ahead".to_owned()).spawn(start);
        Self(Mutex::new(thread.ok()))
    }

    pub(super) fn take(&self) -> Option<Started> {
        let mut thread = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // one that panicked has started nothing
        thread.take()?.join().ok()?
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        drop(self.take());
    }
}

/// A supervisor that has not answered yet; when something fails it is killed and waited for.
#[derive(Debug)]
pub struct Starting(Option<Child>);

impl Starting {
    /// Starts it under a name; with the socket at which it waits for its request. All streams of the command come with that.
    pub fn start(name: &str) -> Result<(OwnedFd, Self), SpawnError> {
        let (socket, theirs) = wire::pair().map_err(SpawnError::of("socketpair"))?;
        let mut command = Command::new(program::path());
        command.arg0(name).env_clear().stdin(theirs);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.map_err(SpawnError::of("start the sandbox process"))?;
        Ok((socket, Starting(Some(child))))
    }

    /// It has answered, with a descriptor of the command.
    pub fn answered(
        &mut self,
        socket: OwnedFd,
        fds: Vec<OwnedFd>,
        is_lent: bool,
    ) -> Result<(Watcher, KillHandle), SpawnError> {
        let command = fds.into_iter().next().map(KillHandle::from);
        let watcher = command.and_then(|command| {
            let process = self.0.take()?;
            Some((Watcher::new(socket, process, is_lent), command))
        });
        watcher.ok_or_else(|| SpawnError::Lost("its answer has no descriptor".to_owned()))
    }

    /// It has ended without an answer.
    pub fn lost(&mut self) -> SpawnError {
        let status = self.0.take().map(|mut supervisor| supervisor.wait());
        SpawnError::Lost(match status {
            Some(Ok(status)) => status.to_string(),
            _ => "its status is unknown".to_owned(),
        })
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(supervisor) = &mut self.0 {
            // It may have ended by itself. In any case it must not stay a zombie.
            let _ = supervisor.kill();
            let _ = supervisor.wait();
        }
    }
}
