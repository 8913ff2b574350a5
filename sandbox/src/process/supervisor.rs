//! The re-executed process that watches over one command: takes the request, has everything prepared, forks the command into its
//! namespaces, waits for it, cleans up and answers. It has one thread. Unaware of what the command's side does in its namespaces
//! ([`init`]).
//!
//! It lives in a session of its own, so signals from a terminal do not reach it. When the caller's end of the socket closes, it kills the
//! command, which is the first of its PID namespace and takes everything that it started with it.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Signal, pidfd_send_signal, setsid};
use rustix::stdio::{dup2_stderr, dup2_stdout, stdin};

use crate::cgroup::Cgroups;
use crate::process::guard::Guard;
use crate::process::init;
use crate::process::network::{Connection, Gate};
use crate::process::prepare::{Behind, prepare};
use crate::process::terminal::Borrowed;
use crate::process::wire::{self, Reply, Report, Request};
use crate::root::devices::Dev;
use crate::seccomp;
use crate::sys::{self, Ended, Fork};
use crate::{Exit, Network, RunSpec, SpawnError, Used};

/// The whole life of the process.
pub fn main() -> ExitCode {
    serve_socket(supervise)
}

/// Does something with the socket that is standard input; says at it why that fails.
pub(super) fn serve_socket(serve: impl FnOnce(&OwnedFd) -> Result<(), SpawnError>) -> ExitCode {
    let Ok(socket) = stdin().try_clone_to_owned() else {
        return ExitCode::FAILURE;
    };
    match serve(&socket) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The caller may be gone; then nobody is left to tell.
            let _ = wire::send(&socket, &Reply::Failed(error), &[]);
            ExitCode::FAILURE
        }
    }
}

/// What is done before it is known what runs: the caller is busy with that. Part of the `/dev` of the command.
fn begin() -> Option<Dev> {
    // Fails only for the leader of a process group, which is fine too.
    let _ = setsid();
    // Mount points are as in an image, whatever umask the caller's own files get.
    sys::set_umask(0o022);
    seccomp::make_ready();
    Dev::ahead()
}

fn supervise(socket: &OwnedFd) -> Result<(), SpawnError> {
    let dev = begin();
    let request = wire::receive::<Request>(socket);
    let Some((request, fds)) = request.map_err(SpawnError::of("receive the request"))? else {
        return Ok(());
    };
    let (job, behind) = prepare(&request, fds, dev)?;
    let cgroups = Cgroups::make(job.spec.cgroup.as_ref())?;
    let (report, say) = pipe_with(PipeFlags::CLOEXEC).map_err(SpawnError::of("pipe"))?;
    let gate = Gate::before(&job.spec).map_err(SpawnError::of("pipe"))?;
    match sys::fork_into(namespaces(&job.spec)).map_err(fork_failed)? {
        Fork::Child => {
            drop(report);
            init::main(job, &cgroups, (&say, socket), gate)
        }
        Fork::Parent(pid, pidfd) => {
            drop((job, say));
            let forked = Forked { pid, report, gate };
            watch(socket, &pidfd, forked, (behind, cgroups))
        }
    }
}

fn fork_failed(error: io::Error) -> SpawnError {
    let advice = "a limit in /proc/sys/user/max_*_namespaces is reached";
    SpawnError::of("clone into new namespaces")(error).with_hint(libc::ENOSPC, advice)
}

/// All but the cgroup namespace: the child makes that one after it has joined its cgroup, which becomes the root there.
fn namespaces(spec: &RunSpec) -> libc::c_int {
    let all = libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
    match spec.network {
        Network::Host => all,
        Network::None | Network::Private(_) => all | libc::CLONE_NEWNET,
    }
}

/// Reads what the child says until it executes the command, which closes its end of the pipe.
pub(super) fn started(report: OwnedFd) -> Result<Vec<String>, SpawnError> {
    let mut text = String::new();
    let read = File::from(report).read_to_string(&mut text);
    read.map_err(SpawnError::of("read the report"))?;
    let mut notes = Vec::new();
    for line in text.lines() {
        match serde_json::from_str(line) {
            Ok(Report::Note(note)) => notes.push(note),
            Ok(Report::Failed(error)) => return Err(error),
            Err(error) => return Err(SpawnError::of("understand the report")(error)),
        }
    }
    Ok(notes)
}

/// The command's side, until it executes the command.
struct Forked {
    pid: libc::pid_t,
    report: OwnedFd,
    gate: Option<Gate>,
}

/// What ends with the command.
type Helpers = (Guard, Option<Connection>);

impl Forked {
    /// Helps it until it executes the command: what it says, and who goes on helping.
    fn help(self, pidfd: &OwnedFd, caller: &OwnedFd) -> Result<(Vec<String>, Helpers), SpawnError> {
        let guard = Guard::start(pidfd).map_err(SpawnError::of("fork"))?;
        let connect = |gate: Gate| gate.connect(self.pid, caller);
        let connected = self.gate.map(connect).transpose()?;
        let (network, note) = connected.unzip();
        let mut notes = started(self.report)?;
        notes.extend(note.flatten());
        Ok((notes, (guard, network)))
    }
}

fn watch(
    socket: &OwnedFd,
    pidfd: &OwnedFd,
    forked: Forked,
    (behind, cgroups): (Behind, Cgroups),
) -> Result<(), SpawnError> {
    let pid = forked.pid;
    let (notes, helpers) = match forked.help(pidfd, socket) {
        Ok(helped) => helped,
        Err(error) => {
            let _ = pidfd_send_signal(pidfd, Signal::KILL);
            // This failure came first and is the one to report.
            let _ = (sys::wait(pid), behind.stubs.remove());
            return Err(error);
        }
    };
    // A pipe that the command writes to must end with the command, not with this process.
    if let Ok(null) = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()) {
        let _ = (dup2_stdout(&null), dup2_stderr(&null));
    }
    // If the caller is gone already, `wait_or_kill` sees it at once.
    let _ = wire::send(socket, &Reply::Started { notes }, &[pidfd.as_fd()]);
    wait_or_kill(socket, pidfd);
    let ended = sys::wait(pid).map_err(SpawnError::of("wait4"))?;
    let exit = exit(&ended, &cgroups);
    drop((cgroups, helpers));
    let removed = behind.stubs.remove();
    removed.map_err(SpawnError::of("remove the mount points"))?;
    let _ = wire::send(socket, &Reply::Ended(exit), &[]);
    Borrowed::release(behind.borrowed, socket);
    Ok(())
}

/// Returns when the command has ended; kills it when the caller is gone.
pub(super) fn wait_or_kill(socket: &OwnedFd, pidfd: &OwnedFd) {
    loop {
        let mut fds = [
            PollFd::new(pidfd, PollFlags::IN),
            PollFd::new(socket, PollFlags::IN),
        ];
        if poll(&mut fds, None).is_err() {
            continue;
        }
        let [command, caller] = fds;
        if !command.revents().is_empty() {
            return;
        }
        if !caller.revents().is_empty() {
            // The caller says nothing after its request, so this is the end of the socket.
            let _ = pidfd_send_signal(pidfd, Signal::KILL);
            return;
        }
    }
}

pub(super) fn exit(ended: &Ended, cgroups: &Cgroups) -> Exit {
    let status = ended.status;
    Exit {
        code: libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status)),
        signal: libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status)),
        used: cgroups.used(account(&ended.usage)),
        out_of_memory: cgroups.ran_out_of_memory(),
    }
}

fn account(usage: &libc::rusage) -> Used {
    let time = |time: libc::timeval| {
        let micros = time.tv_sec * 1_000_000 + time.tv_usec;
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    };
    let units = |count: libc::c_long, bytes: u64| u64::try_from(count).unwrap_or(0) * bytes;
    Used {
        cpu: time(usage.ru_utime) + time(usage.ru_stime),
        memory: units(usage.ru_maxrss, 1024),
        written: units(usage.ru_oublock, 512),
    }
}
