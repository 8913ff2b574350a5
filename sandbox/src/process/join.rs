//! One more command in the namespaces of one that runs: the calling side, and the re-executed process that watches over it. It enters the
//! PID namespace, and forks; the child enters the others and the root, and becomes the command as the first one did. So the kernel
//! ends it with the first one, and this process ends it when the caller is gone. Unaware of what runs there already.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::process::ExitCode;

use rustix::fs::{Mode, OFlags, open};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Signal, chdir, chroot, fchdir, pidfd_send_signal, setsid};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};
use serde::{Deserialize, Serialize};

use crate::cgroup::Cgroups;
use crate::process::guard::Guard;
use crate::process::init::{die_with_supervisor, give_stdin, say, supervisor_is_gone};
use crate::process::prepare::{check, read_spec};
use crate::process::starting::Starting;
use crate::process::supervisor::{exit, serve_socket, started, wait_or_kill};
use crate::process::terminal::{Borrowed, Terminal};
use crate::process::wire::{self, Descriptors, JOINS, Reply, Report};
use crate::process::{KillHandle, Running, Stdio, anonymous_file, exec, rights};
use crate::sys::{self, Fork};
use crate::{Network, RunSpec, SpawnError, TerminalSize};

/// Which descriptors come with the request, besides the spec and the command's pidfd.
#[derive(Debug, Serialize, Deserialize)]
struct Request {
    stdin: bool,
    borrowed: bool,
}

/// Starts `spec` beside a command that [`run`](crate::run) has started in namespaces. What is mounted, the host name and the network are those
/// of that command; the network of `spec` only says whether it is the host's. The modes of `borrowed`, a terminal of a person, become what
/// they are now when it ends.
///
/// # Errors
/// With the step that failed, as when the command has ended.
pub fn join(
    command: &KillHandle,
    spec: &RunSpec,
    stdio: Stdio,
    borrowed: Option<BorrowedFd<'_>>,
) -> Result<Running, SpawnError> {
    let (socket, starting) = Starting::start(JOINS)?;
    let stdin = stdio.stdin.fd();
    let request = Request {
        stdin: stdin.is_some(),
        borrowed: borrowed.is_some(),
    };
    let spec = anonymous_file(spec).map_err(SpawnError::of("write the spec"))?;
    let mut fds = vec![stdio.stdout.as_fd(), stdio.stderr.as_fd()];
    fds.extend([spec.as_fd(), command.as_fd()]);
    fds.extend(stdin.into_iter().chain(borrowed));
    let sent = wire::send(&socket, &request, &fds);
    sent.map_err(SpawnError::of("send the request"))?;
    // a pipe must reach its end with the command
    drop(stdio);
    super::started(socket, starting, (None, borrowed.is_some()))
}

/// The root folder of a command, for who looks into its files from outside.
///
/// # Errors
/// It has ended.
pub fn root_of(command: &KillHandle) -> io::Result<OwnedFd> {
    let path = format!("/proc/{}/root", process(command)?);
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = open(path, flags, Mode::empty())?;
    // the number could be another process's by now
    process(command)?;
    Ok(root)
}

/// The number of the process of a pidfd here, as long as it has not ended.
pub(super) fn process(command: impl AsFd) -> io::Result<i32> {
    let path = format!("/proc/self/fdinfo/{}", command.as_fd().as_raw_fd());
    let mut text = String::new();
    File::open(path)?.read_to_string(&mut text)?;
    let pid = text.lines().find_map(|line| line.strip_prefix("Pid:"));
    let pid = pid.and_then(|pid| pid.trim().parse().ok());
    pid.filter(|pid| *pid > 0)
        .ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))
}

/// The whole life of the process.
pub fn main() -> ExitCode {
    serve_socket(watch)
}

/// What is needed for the command.
struct Job {
    spec: RunSpec,
    command: OwnedFd,
    /// Its root folder.
    root: OwnedFd,
    pid: i32,
    stdin: Option<OwnedFd>,
    ignored: Vec<i32>,
}

fn watch(socket: &OwnedFd) -> Result<(), SpawnError> {
    // fails only for the leader of a process group, which is fine too
    let _ = setsid();
    let request = wire::receive::<Request>(socket);
    let Some((request, fds)) = request.map_err(SpawnError::of("receive the request"))? else {
        return Ok(());
    };
    let (job, borrowed) = unpacked(&request, fds)?;
    let (report, say) = pipe_with(PipeFlags::CLOEXEC).map_err(SpawnError::of("pipe"))?;
    enter(&job.command, ThreadNameSpaceType::PROCESS_ID)?;
    match sys::fork_into(0).map_err(SpawnError::of("fork"))? {
        Fork::Child => {
            drop(report);
            let Err(error) = become_command(job, &say, socket);
            init_failed(&say, error)
        }
        Fork::Parent(pid, pidfd) => {
            drop((job, say));
            until_ended(socket, (pid, &pidfd), report)?;
            Borrowed::release(borrowed, socket);
            Ok(())
        }
    }
}

fn init_failed(report: &OwnedFd, error: SpawnError) -> ! {
    say(report, &Report::Failed(error));
    sys::exit_now(125)
}

fn unpacked(request: &Request, fds: Vec<OwnedFd>) -> Result<(Job, Option<Borrowed>), SpawnError> {
    let mut fds = Descriptors::after_streams(fds)?;
    let (spec, command) = (read_spec(fds.next()?)?, fds.next()?);
    let stdin = fds.next_if(request.stdin)?;
    let borrowed = fds.next_if(request.borrowed)?;
    check(&spec)?;
    let gone = SpawnError::of("look for the command");
    let pid = process(&command).map_err(gone)?;
    let command = KillHandle::from(command);
    let root = root_of(&command).map_err(SpawnError::of("open the command's root"))?;
    let command = command.as_fd().try_clone_to_owned();
    let job = Job {
        spec,
        command: command.map_err(SpawnError::of("dup"))?,
        root,
        pid,
        stdin,
        ignored: sys::ignored_signals(),
    };
    Ok((job, borrowed.and_then(Borrowed::note)))
}

fn enter(command: &OwnedFd, kinds: ThreadNameSpaceType) -> Result<(), SpawnError> {
    let entered = move_into_thread_name_spaces(command.as_fd(), kinds);
    entered.map_err(SpawnError::of("enter the command's namespaces"))
}

/// The namespaces besides that of processes. The host's network is this process's already, and an ordinary user may not enter it.
fn others(spec: &RunSpec) -> ThreadNameSpaceType {
    let all = ThreadNameSpaceType::MOUNT
        | ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION
        | ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME
        | ThreadNameSpaceType::CONTROL_GROUP;
    match spec.network {
        Network::Host => all,
        Network::None | Network::Private(_) => all | ThreadNameSpaceType::NETWORK,
    }
}

/// The child: enters what is left, and executes the command.
fn become_command(job: Job, report: &OwnedFd, caller: &OwnedFd) -> Result<Infallible, SpawnError> {
    die_with_supervisor()?;
    Cgroups::join_run_of(job.pid)?;
    give_stdin(job.stdin)?;
    enter(&job.command, others(&job.spec))?;
    enter_root(&job.root)?;
    let spec = job.spec;
    let terminal = spec.terminal.map(|size| terminal(size, caller));
    let terminal = terminal.transpose()?;
    let _ = setsid();
    let taken = terminal.map(|terminal| terminal.take(spec.uid));
    taken.transpose()?;
    rights::assume(&spec)?;
    // the change of the user has cleared it
    die_with_supervisor()?;
    if supervisor_is_gone(report) {
        sys::exit_now(125);
    }
    sys::close_others_on_exec().map_err(SpawnError::of("close_range"))?;
    sys::reset_signals(&job.ignored);
    exec::exec(&spec)
}

fn enter_root(root: &OwnedFd) -> Result<(), SpawnError> {
    fchdir(root).map_err(SpawnError::of("fchdir to the root"))?;
    chroot(".").map_err(SpawnError::of("chroot to the root"))?;
    chdir("/").map_err(SpawnError::of("chdir to the root"))
}

/// A terminal of the root, whose other side is the caller's.
fn terminal(size: TerminalSize, caller: &OwnedFd) -> Result<Terminal, SpawnError> {
    let terminal = Terminal::inside(size)?;
    let sent = wire::send(caller, &Reply::Terminal, &[terminal.person.as_fd()]);
    sent.map_err(SpawnError::of("send the terminal"))?;
    Ok(terminal)
}

/// The parent: tells the caller when the command runs and when it has ended, and kills it when the caller is gone.
fn until_ended(
    socket: &OwnedFd,
    (pid, pidfd): (libc::pid_t, &OwnedFd),
    report: OwnedFd,
) -> Result<(), SpawnError> {
    let guard = Guard::start(pidfd).map_err(SpawnError::of("fork"));
    let begun = guard.and_then(|guard| Ok((started(report)?, guard)));
    let (notes, guard) = begun.inspect_err(|_| {
        let _ = pidfd_send_signal(pidfd, Signal::KILL);
        let _ = sys::wait(pid);
    })?;
    // a pipe that the command writes to must end with the command, not with this process
    if let Ok(null) = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()) {
        let _ = (dup2_stdout(&null), dup2_stderr(&null), dup2_stdin(&null));
    }
    // if the caller is gone already, that is seen at once
    let _ = wire::send(socket, &Reply::Started { notes }, &[pidfd.as_fd()]);
    wait_or_kill(socket, pidfd);
    let ended = sys::wait(pid).map_err(SpawnError::of("wait4"))?;
    drop(guard);
    let exit = exit(&ended, &Cgroups::default());
    let _ = wire::send(socket, &Reply::Ended(exit), &[]);
    Ok(())
}
