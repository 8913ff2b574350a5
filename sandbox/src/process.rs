//! Starts a command in a root file system and waits for it: the calling side. Unaware of mounts and namespaces, which the re-executed
//! binary makes: [`supervisor`] watches over the command, [`prepare`] makes ready what it needs outside, [`init`] is the command's side. Where
//! there are no namespaces, [`supervised`] is all of that.
//!
//! Nothing depends on the thread that calls: the supervisor watches a socket, not its parent thread. When the caller is gone (even by
//! SIGKILL) the socket ends and the supervisor kills the command's PID namespace. When the supervisor is killed, the kernel kills the
//! command, or the [`guard`] does it.

pub(crate) mod again;
mod exec;
mod guard;
pub(crate) mod host_program;
mod init;
pub(crate) mod join;
mod network;
pub mod packets;
mod prepare;
mod program;
mod reaper;
pub(crate) mod rights;
pub mod starting;
pub(crate) mod streams;
pub(crate) mod supervised;
pub(crate) mod supervisor;
mod terminal;
mod watcher;
pub(crate) mod wire;

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{MemfdFlags, SeekFrom, memfd_create, seek};
use rustix::process::{DumpableBehavior, Signal, pidfd_send_signal, set_dumpable_behavior};

use crate::{Exit, RootMount, RunSpec, SpawnError, sys};
use starting::{Ahead, Starting};
use terminal::Terminal;
use watcher::Watcher;
use wire::{MAX_FDS, Reply, Request, SUPERVISOR, SUPERVISOR_OF_CALLS};

pub use watcher::Lent;

/// Descriptors of a request besides the extra ones.
const OTHER_FDS: usize = 7;

/// Where the command reads from.
#[derive(Debug)]
pub enum Stdin {
    /// `/dev/null`.
    Null,
    /// This file.
    Fd(OwnedFd),
}

impl Stdin {
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Stdin::Null => None,
            Stdin::Fd(fd) => Some(fd.as_fd()),
        }
    }
}

/// The command's standard streams. Pipes are given to the command's user, so that it can open `/dev/stdout`.
#[derive(Debug)]
pub struct Stdio {
    /// Standard input.
    pub stdin: Stdin,
    /// Standard output. A pipe reaches its end when the command and all its children are gone.
    pub stdout: OwnedFd,
    /// Standard error; may be a duplicate of `stdout`.
    pub stderr: OwnedFd,
}

/// What mounts refer to, besides the root.
#[derive(Debug, Clone, Copy, Default)]
pub struct Extra<'a> {
    /// The roots to which the index of a [`MountKind::Root`](crate::MountKind::Root) refers.
    pub roots: &'a [&'a RootMount],
    /// The sockets to which the index of a [`MountKind::Socket`](crate::MountKind::Socket) refers: stream sockets without a name. They
    /// listen when [`run`] returns.
    pub sockets: &'a [BorrowedFd<'a>],
    /// A terminal of a person, whose modes the caller changes while the command runs. They become what they are now when the command has
    /// ended, even if the caller is killed.
    pub borrowed: Option<BorrowedFd<'a>>,
    /// What may have been started already.
    pub ahead: Option<&'a Ahead>,
}

/// A running command. Dropping this kills it and every process that it started.
#[derive(Debug)]
pub struct Running {
    watcher: Watcher,
    command: KillHandle,
    notes: Vec<String>,
    terminal: Option<OwnedFd>,
}

/// Signals and kills a [`Running`] from another thread, any number of times.
#[derive(Debug, Clone)]
pub struct KillHandle {
    pidfd: Arc<OwnedFd>,
}

/// Starts `spec` in `root`. May be called from any thread; the command does not depend on that thread's life. Returns once the command is
/// executing (or was not found: see [`Exit::code`]).
///
/// # Errors
/// With the step that failed. What the command itself does is never an error.
pub fn run(
    root: &RootMount,
    spec: &RunSpec,
    stdio: Stdio,
    extra: Extra<'_>,
) -> Result<Running, SpawnError> {
    let given = extra.roots.len() + extra.sockets.len();
    if given + OTHER_FDS > MAX_FDS {
        return Err(SpawnError::Invalid(format!(
            "{given} extra root mounts and sockets; at most {} are possible",
            MAX_FDS - OTHER_FDS
        )));
    }
    if !extra.roots.iter().chain([&root]).all(|mount| mount.take()) {
        return Err(SpawnError::RootUsed);
    }
    let (stdio, terminal) = given_terminal(root, spec, stdio)?;
    let (socket, supervisor) = start_supervisor(root, extra.ahead)?;
    let spec = anonymous_file(spec).map_err(SpawnError::of("write the spec"))?;
    send_request(&socket, spec, root, &stdio, extra).map_err(SpawnError::of("send the request"))?;
    // A pipe must reach its end with the command.
    drop(stdio);
    let is_lent = extra.borrowed.is_some();
    started(socket, supervisor, (terminal, is_lent))
}

/// Where nothing is mounted, the command gets a terminal from outside.
fn given_terminal(
    root: &RootMount,
    spec: &RunSpec,
    stdio: Stdio,
) -> Result<(Stdio, Option<OwnedFd>), SpawnError> {
    let Some(size) = spec.terminal.filter(|_| root.aside().is_some()) else {
        return Ok((stdio, None));
    };
    let (stdio, person) = Terminal::outside(size)?.streams(spec.uid)?;
    Ok((stdio, Some(person)))
}

fn start_supervisor(
    root: &RootMount,
    ahead: Option<&Ahead>,
) -> Result<(OwnedFd, Starting), SpawnError> {
    if root.aside().is_none() {
        let waiting = ahead.and_then(Ahead::take);
        return waiting.map_or_else(|| Starting::start(SUPERVISOR), Ok);
    }
    // The command has the user of this process: it must not look into its memory and its descriptors.
    let hidden = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    hidden.map_err(SpawnError::of("prctl(PR_SET_DUMPABLE)"))?;
    Starting::start(SUPERVISOR_OF_CALLS)
}

fn started(
    socket: OwnedFd,
    mut starting: Starting,
    (mut terminal, is_lent): (Option<OwnedFd>, bool),
) -> Result<Running, SpawnError> {
    loop {
        let answer = wire::receive(&socket).map_err(SpawnError::of("receive the answer"))?;
        let (notes, fds) = match answer {
            Some((Reply::Started { notes }, fds)) => (notes, fds),
            Some((Reply::Terminal, fds)) => {
                terminal = fds.into_iter().next();
                continue;
            }
            Some((Reply::Failed(error), _)) => return Err(error),
            Some((Reply::Ended(_), _)) | None => return Err(starting.lost()),
        };
        let (watcher, command) = starting.answered(socket, fds, is_lent)?;
        return Ok(Running {
            watcher,
            command,
            notes,
            terminal,
        });
    }
}

fn send_request(
    socket: &OwnedFd,
    spec: OwnedFd,
    root: &RootMount,
    stdio: &Stdio,
    extra: Extra<'_>,
) -> io::Result<()> {
    let stdin = stdio.stdin.fd();
    let request = Request {
        upper: root.upper().is_some(),
        aside: root.aside().is_some(),
        stdin: stdin.is_some(),
        borrowed: extra.borrowed.is_some(),
        roots: extra.roots.len(),
    };
    let mut fds = vec![stdio.stdout.as_fd(), stdio.stderr.as_fd()];
    fds.extend([spec.as_fd(), root.as_fd()]);
    fds.extend(root.upper().into_iter().chain(root.aside()).chain(stdin));
    fds.extend(extra.borrowed);
    fds.extend(extra.roots.iter().map(|mount| mount.as_fd()));
    fds.extend(extra.sockets);
    wire::send(socket, &request, &fds)
}

fn anonymous_file(spec: &RunSpec) -> io::Result<OwnedFd> {
    let file = memfd_create("kiln-spec", MemfdFlags::CLOEXEC)?;
    let mut file = File::from(file);
    file.write_all(&serde_json::to_vec(spec)?)?;
    seek(&file, SeekFrom::Start(0))?;
    Ok(file.into())
}

impl Running {
    /// Waits until the command has ended and all its processes are gone, and a terminal that was borrowed has its modes back.
    ///
    /// # Errors
    /// When the process that watches over it was killed.
    pub fn wait(self) -> Result<Exit, SpawnError> {
        self.ended().map(|(exit, _lent)| exit)
    }

    /// The same, but a terminal that was borrowed is left to the caller, who may show what the command wrote at its end.
    ///
    /// # Errors
    /// As of [`wait`](Self::wait).
    pub fn ended(self) -> Result<(Exit, Lent), SpawnError> {
        let answer = wire::receive(&self.watcher.socket);
        match answer.map_err(SpawnError::of("receive the answer"))? {
            Some((Reply::Ended(exit), _)) => Ok((exit, self.watcher.into())),
            _ => {
                self.command.kill();
                Err(self.watcher.lost())
            }
        }
    }

    /// A handle that kills the command and everything that it started.
    #[must_use]
    pub fn kill_handle(&self) -> KillHandle {
        self.command.clone()
    }

    /// The caller's side of the command's terminal, once: what is written to it are keys, and what is read from it is shown. It ends when the
    /// command and all its children are gone.
    pub fn take_terminal(&mut self) -> Option<OwnedFd> {
        self.terminal.take()
    }

    /// What is weaker inside than it should be (a `/proc` that shows the host's processes), for a person.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}

impl From<OwnedFd> for KillHandle {
    /// Of a pidfd that another process has opened.
    fn from(pidfd: OwnedFd) -> Self {
        let pidfd = Arc::new(pidfd);
        Self { pidfd }
    }
}

impl AsFd for KillHandle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

impl KillHandle {
    /// Sends a signal by its number to the command alone. As the first process of its namespace, it gets none that it does not handle.
    pub fn signal(&self, signal: i32) {
        // It has ended, or there is no such signal.
        let _ = sys::signal(&self.pidfd, signal);
    }

    /// The number of the command's process here.
    ///
    /// # Errors
    /// It has ended.
    pub fn number(&self) -> io::Result<i32> {
        join::process(self)
    }

    /// Kills with SIGKILL. Nothing happens when it has ended already.
    pub fn kill(&self) {
        // A pidfd of our own child can give only one error: the process has ended.
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
    }
}
