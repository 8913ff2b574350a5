//! Starts a command in a root file system and waits for it: the calling side. Unaware of mounts and namespaces, which are
//! made by the re-executed binary ([`supervisor`](crate::supervisor)).
//!
//! Nothing depends on the thread that calls: the supervisor watches a socket, not its parent thread. When the caller is gone (also by
//! SIGKILL) the socket ends and the supervisor kills the command's PID namespace; when the supervisor is killed the kernel kills the command.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{MemfdFlags, SeekFrom, memfd_create, seek};
use rustix::process::{Signal, pidfd_send_signal};

use crate::reexec::SUPERVISOR;
use crate::wire::{self, MAX_FDS, Reply, Request};
use crate::{RootMount, RunSpec, SpawnError, program};

/// Where the command reads from.
#[derive(Debug)]
pub enum Stdin {
    /// `/dev/null`.
    Null,
    /// This file.
    Fd(OwnedFd),
}

/// The command's standard streams. Pipes are given to the command's user, so that it can open `/dev/stdout`.
#[derive(Debug)]
pub struct Stdio {
    /// What it reads.
    pub stdin: Stdin,
    /// What it writes to. A pipe reaches its end when the command and all its children are gone.
    pub stdout: OwnedFd,
    /// What it complains to; may be a duplicate of `stdout`.
    pub stderr: OwnedFd,
}

/// What mounts refer to besides the root.
#[derive(Debug, Clone, Copy, Default)]
pub struct Extra<'a> {
    /// What [`MountKind::Root`](crate::MountKind::Root) counts.
    pub roots: &'a [&'a RootMount],
    /// What [`MountKind::Socket`](crate::MountKind::Socket) counts: stream sockets without a name. They listen when [`run`] returns.
    pub sockets: &'a [BorrowedFd<'a>],
}

/// A command that runs. Dropping it kills it, with every process that it started.
#[derive(Debug)]
pub struct Running {
    socket: OwnedFd,
    supervisor: Child,
    command: KillHandle,
    notes: Vec<String>,
}

/// Kills a [`Running`] from another thread, however often.
#[derive(Debug, Clone)]
pub struct KillHandle {
    pidfd: Arc<OwnedFd>,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// The exit code, when it ended by itself. 127: not found, 126: found but not executable.
    pub code: Option<i32>,
    /// The signal that ended it otherwise.
    pub signal: Option<i32>,
    /// CPU time in user mode, of it and the children that it waited for.
    pub user_time: Duration,
    /// CPU time in the kernel, likewise.
    pub system_time: Duration,
    /// The largest resident set of one process, in KiB.
    pub max_rss_kib: u64,
    /// Whether a process of it was killed because the memory of its cgroup ran out.
    pub out_of_memory: bool,
}

/// Starts `spec` in `root`. May be called from any thread; the
/// command does not depend on that thread's life. Returns once the command is executing (or was not found: see [`Exit::code`]).
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
    if given + 4 > MAX_FDS {
        return Err(SpawnError::Invalid(format!(
            "{given} extra root mounts and sockets; at most {} are possible",
            MAX_FDS - 4
        )));
    }
    if !extra.roots.iter().chain([&root]).all(|mount| mount.take()) {
        return Err(SpawnError::RootUsed);
    }
    let (socket, theirs) = wire::pair().map_err(step("socketpair"))?;
    let mut command = Command::new(program::path());
    command
        .arg0(SUPERVISOR)
        .env_clear()
        .stdin(theirs)
        .stdout(stdio.stdout)
        .stderr(stdio.stderr);
    let supervisor = command.spawn().map_err(step("start the sandbox process"))?;
    // The command holds the ends that it was given; it must be gone for a pipe to reach its end.
    drop(command);
    let mut starting = Starting(Some(supervisor));
    let spec = anonymous_file(spec).map_err(step("write the spec"))?;
    send_request(&socket, spec, root, &stdio.stdin, extra).map_err(step("send the request"))?;
    match wire::receive(&socket).map_err(step("receive the answer"))? {
        Some((Reply::Started { notes }, fds)) => {
            match (fds.into_iter().next(), starting.0.take()) {
                (Some(pidfd), Some(supervisor)) => {
                    let command = KillHandle {
                        pidfd: Arc::new(pidfd),
                    };
                    Ok(Running {
                        socket,
                        supervisor,
                        command,
                        notes,
                    })
                }
                _ => Err(SpawnError::Lost("its answer has no descriptor".to_owned())),
            }
        }
        Some((Reply::Failed(failure), _)) => Err(failure.into()),
        Some((Reply::Ended { .. }, _)) | None => Err(starting.lost()),
    }
}

/// A supervisor that has not answered yet; it is ended and waited for when something fails.
struct Starting(Option<Child>);

impl Starting {
    fn lost(&mut self) -> SpawnError {
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
            // It may have ended by itself. Either way it must not stay a zombie.
            let _ = supervisor.kill();
            let _ = supervisor.wait();
        }
    }
}

fn send_request(
    socket: &OwnedFd,
    spec: OwnedFd,
    root: &RootMount,
    stdin: &Stdin,
    extra: Extra<'_>,
) -> io::Result<()> {
    let stdin = match stdin {
        Stdin::Null => None,
        Stdin::Fd(fd) => Some(fd.as_fd()),
    };
    let request = Request {
        upper: root.upper().is_some(),
        stdin: stdin.is_some(),
        roots: extra.roots.len(),
    };
    let first: [Option<BorrowedFd<'_>>; 4] =
        [Some(spec.as_fd()), Some(root.as_fd()), root.upper(), stdin];
    let fds: Vec<_> = first
        .into_iter()
        .flatten()
        .chain(extra.roots.iter().map(|mount| mount.as_fd()))
        .chain(extra.sockets.iter().copied())
        .collect();
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
    /// Waits until the command has ended and all its processes are gone.
    ///
    /// # Errors
    /// When the process that watches over it was killed.
    pub fn wait(mut self) -> Result<Exit, SpawnError> {
        let answer = wire::receive(&self.socket).map_err(step("receive the answer"))?;
        let Some((
            Reply::Ended {
                status,
                user_us,
                system_us,
                max_rss_kib,
                out_of_memory,
            },
            _,
        )) = answer
        else {
            self.command.kill();
            let status = self
                .supervisor
                .wait()
                .map_err(step("wait for the sandbox process"))?;
            return Err(SpawnError::Lost(status.to_string()));
        };
        self.supervisor
            .wait()
            .map_err(step("wait for the sandbox process"))?;
        Ok(Exit {
            code: libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status)),
            signal: libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status)),
            user_time: Duration::from_micros(user_us),
            system_time: Duration::from_micros(system_us),
            max_rss_kib,
            out_of_memory,
        })
    }

    /// A handle that kills the command and everything that it started.
    #[must_use]
    pub fn kill_handle(&self) -> KillHandle {
        self.command.clone()
    }

    /// What is weaker inside than it should be (a `/proc` that shows the host's processes), for a person.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.command.kill();
        // Waits a moment at most: the command is dead. After `wait` this finds nothing to do.
        let _ = self.supervisor.wait();
    }
}

impl KillHandle {
    /// Kills with SIGKILL. Nothing happens when it has ended already.
    pub fn kill(&self) {
        // The only error that a pidfd of our own child can give is that the process has ended.
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
    }
}

fn step(step: &str) -> impl FnOnce(io::Error) -> SpawnError {
    let step = step.to_owned();
    move |source| SpawnError::Step {
        step,
        path: None,
        source,
        hint: None,
    }
}
