//! Starts this program's own binary as the process that watches over a command, also before it is known over which: the new process needs as
//! long to begin as its caller does to find out. Unaware of what it is asked for then.

use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

use crate::SpawnError;
use crate::process::watcher::Watcher;
use crate::process::wire::{self, SUPERVISOR};
use crate::process::{KillHandle, program};

/// A supervisor, and the socket at which it waits for its request.
type Started = (OwnedFd, Starting);

/// Supervisors that [`run`](crate::run) finds started, one at a time; dropping this ends one that was not needed.
#[derive(Debug, Default)]
pub struct Ahead(Mutex<Expected>);

#[derive(Debug, Default)]
struct Expected {
    /// Commands that may still come.
    commands: usize,
    /// What starts the supervisor of the next one: a thread, since who starts a process waits until that executes its program.
    next: Option<JoinHandle<Option<Started>>>,
}

impl Ahead {
    /// So many commands may come. The supervisor of the first one is started now if it comes `surely`, that of another one while the one before
    /// it runs; all in the namespaces of this process.
    pub fn expect(&self, commands: usize, surely: bool) {
        let mut expected = self.expected();
        expected.commands = commands;
        if surely {
            expected.start();
        }
    }

    pub(super) fn take(&self) -> Option<Started> {
        let mut expected = self.expected();
        let taken = expected.next.take();
        expected.commands = expected.commands.saturating_sub(1);
        expected.start();
        drop(expected);
        // one that panicked has started nothing
        taken?.join().ok()?
    }

    fn expected(&self) -> MutexGuard<'_, Expected> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Expected {
    /// Where that fails it is tried again, and told, when it is needed.
    fn start(&mut self) {
        if self.commands > 0 && self.next.is_none() {
            let start = || Starting::start(SUPERVISOR).ok();
            let thread = Builder::new().name("ahead".to_owned()).spawn(start);
            self.next = thread.ok();
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.expected().commands = 0;
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
