//! The re-executed process that watches over one command: takes the request, opens the sources of mounts, makes the mount points, forks
//! the command into its namespaces, waits for it, removes the mount points and answers. It has one thread.
//! Unaware of what the command's side does in its namespaces ([`init`](crate::init)).
//!
//! It lives in a session of its own, so signals of a terminal do not reach it; when the caller's end of the socket closes, it kills the
//! command, and with it, as the first of its PID namespace, everything that the command started.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Signal, pidfd_send_signal, setsid};
use rustix::stdio::{dup2_stderr, dup2_stdout, stdin};

use crate::cgroup::Cgroups;
use crate::detached::{self, NO_DEV, NO_SUID, READ_ONLY};
use crate::init::{self, Given, Job, Source};
use crate::path::{is_folder, open_in_root};
use crate::stubs::Stubs;
use crate::sys::{self, Ended, Fork};
use crate::wire::{self, Failure, Reply, Request};
use crate::{MountKind, Network, RunSpec, workdir};

/// What the child says before it executes the command, one JSON value a line.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub enum Report {
    Note(String),
    Failed(Failure),
}

/// The whole life of the process.
pub fn main() -> ExitCode {
    let Ok(socket) = stdin().try_clone_to_owned() else {
        return ExitCode::FAILURE;
    };
    match supervise(&socket) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // The caller may be gone; then nobody is left to tell.
            let _ = wire::send(&socket, &Reply::Failed(failure), &[]);
            ExitCode::FAILURE
        }
    }
}

fn supervise(socket: &OwnedFd) -> Result<(), Failure> {
    // Fails only for the leader of a process group, which is fine too.
    let _ = setsid();
    // Mount points are as in an image, whatever the caller's own files shall be.
    sys::set_umask(0o022);
    let request = wire::receive::<Request>(socket).map_err(Failure::of("receive the request"))?;
    let Some((request, fds)) = request else {
        return Ok(());
    };
    let (job, stubs) = prepare(&request, fds)?;
    let cgroups =
        Cgroups::make(job.spec.cgroup.as_ref()).map_err(cgroup_failed("make the cgroup"))?;
    let (report, say) =
        pipe_with(PipeFlags::CLOEXEC).map_err(|errno| Failure::of("pipe")(errno.into()))?;
    match sys::fork_into(namespaces(&job.spec)).map_err(fork_failed)? {
        Fork::Child => {
            drop(report);
            init::main(job, &cgroups, &say)
        }
        Fork::Parent(pid, pidfd) => {
            drop((job, say));
            match started(report) {
                Ok(notes) => {
                    let started = Reply::Started { notes };
                    watch(socket, &started, pid, &pidfd, Left { stubs, cgroups })
                }
                Err(failure) => {
                    let _ = pidfd_send_signal(&pidfd, Signal::KILL);
                    let _ = sys::wait(pid);
                    // The first failure is the one to tell.
                    let _ = stubs.remove();
                    Err(failure)
                }
            }
        }
    }
}

fn fork_failed(error: io::Error) -> Failure {
    let full = error.raw_os_error() == Some(libc::ENOSPC);
    let failure = Failure::of("clone into new namespaces")(error);
    if full {
        failure.with_hint("a limit in /proc/sys/user/max_*_namespaces is reached")
    } else {
        failure
    }
}

/// A failed step about a file or folder of a cgroup.
pub fn cgroup_failed(step: &str) -> impl FnOnce((PathBuf, io::Error)) -> Failure {
    move |(path, error)| Failure::at(step, &path.to_string_lossy())(error)
}

/// All but the cgroup namespace, whose root shall be the cgroup that the child joins.
fn namespaces(spec: &RunSpec) -> libc::c_int {
    let all = libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
    match spec.network {
        Network::Host => all,
        Network::None => all | libc::CLONE_NEWNET,
    }
}

/// Reads what the child says until it executes the command (its end of the pipe closes).
fn started(report: OwnedFd) -> Result<Vec<String>, Failure> {
    let mut text = String::new();
    File::from(report)
        .read_to_string(&mut text)
        .map_err(Failure::of("read the report"))?;
    let mut notes = Vec::new();
    for line in text.lines() {
        match serde_json::from_str(line) {
            Ok(Report::Note(note)) => notes.push(note),
            Ok(Report::Failed(failure)) => return Err(failure),
            Err(error) => return Err(Failure::of("understand the report")(error.into())),
        }
    }
    Ok(notes)
}

/// What is taken away after the command.
struct Left {
    stubs: Stubs,
    cgroups: Cgroups,
}

fn watch(
    socket: &OwnedFd,
    started: &Reply,
    pid: libc::pid_t,
    pidfd: &OwnedFd,
    Left { stubs, cgroups }: Left,
) -> Result<(), Failure> {
    // A pipe that the command writes to must end with the command, not with this process.
    if let Ok(null) = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()) {
        let _ = (dup2_stdout(&null), dup2_stderr(&null));
    }
    // When the caller is gone already, the watch sees it at once.
    let _ = wire::send(socket, started, &[pidfd.as_fd()]);
    wait_or_kill(socket, pidfd);
    let ended = sys::wait(pid).map_err(Failure::of("wait4"))?;
    let out_of_memory = cgroups.ran_out_of_memory();
    drop(cgroups);
    stubs
        .remove()
        .map_err(Failure::of("remove the mount points"))?;
    let _ = wire::send(socket, &reply(&ended, out_of_memory), &[]);
    Ok(())
}

/// Returns when the command has ended; kills it when the caller is gone.
fn wait_or_kill(socket: &OwnedFd, pidfd: &OwnedFd) {
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

fn reply(Ended { status, usage }: &Ended, out_of_memory: bool) -> Reply {
    let micros =
        |time: libc::timeval| u64::try_from(time.tv_sec * 1_000_000 + time.tv_usec).unwrap_or(0);
    Reply::Ended {
        status: *status,
        user_us: micros(usage.ru_utime),
        system_us: micros(usage.ru_stime),
        max_rss_kib: u64::try_from(usage.ru_maxrss).unwrap_or(0),
        out_of_memory,
    }
}

fn prepare(request: &Request, fds: Vec<OwnedFd>) -> Result<(Job, Stubs), Failure> {
    let mut fds = fds.into_iter();
    let mut next = || {
        fds.next()
            .ok_or_else(|| Failure::Invalid("the request lacks a descriptor".to_owned()))
    };
    let spec = read_spec(next()?)?;
    let root = next()?;
    let upper = request.upper.then(&mut next).transpose()?;
    let stdin = request.stdin.then(&mut next).transpose()?;
    let mut roots: Vec<OwnedFd> = fds.collect();
    let sockets = roots.split_off(request.roots.min(roots.len()));
    let given = Given { roots, sockets };
    check(&spec)?;
    if upper.is_some() {
        workdir::make(root.as_fd(), &spec).map_err(Failure::at("make the folder", &spec.cwd))?;
    }
    let mut stubs = Stubs::new(upper, spec.disabled);
    for folder in ["/proc", "/sys", "/dev"] {
        stubs
            .ensure(root.as_fd(), Path::new(folder), true)
            .map_err(Failure::at("make the mount point", folder))?;
    }
    let mut sources = Vec::new();
    for mount in &spec.mounts {
        let (source, folder) = source(&mount.kind, mount.read_only, &spec, &given.roots)?;
        let made = stubs.ensure(root.as_fd(), Path::new(&mount.target), folder);
        made.map_err(Failure::at("make the mount point", &mount.target))?;
        sources.push(source);
    }
    stubs.seal();
    Ok((
        Job {
            spec,
            root,
            stdin,
            given,
            ignored: sys::ignored_signals(),
            sources,
        },
        stubs,
    ))
}

fn read_spec(file: OwnedFd) -> Result<RunSpec, Failure> {
    let mut json = Vec::new();
    File::from(file)
        .read_to_end(&mut json)
        .map_err(Failure::of("read the spec"))?;
    serde_json::from_slice(&json).map_err(|error| Failure::Invalid(format!("the spec: {error}")))
}

fn check(spec: &RunSpec) -> Result<(), Failure> {
    let invalid = |text: &str| Err(Failure::Invalid(text.to_owned()));
    if spec.argv.is_empty() {
        return invalid("there is no command to run");
    }
    if spec
        .argv
        .iter()
        .chain(&spec.env)
        .chain([&spec.cwd])
        .any(|text| text.contains('\0'))
    {
        return invalid("a NUL byte in the command, its environment or its folder");
    }
    if let Some(mount) = spec
        .mounts
        .iter()
        .find(|mount| !mount.target.starts_with('/'))
    {
        return Err(Failure::Invalid(format!(
            "the mount target {:?} is not absolute",
            mount.target
        )));
    }
    if is_mapped("/proc/self/uid_map", spec.uid) && is_mapped("/proc/self/gid_map", spec.gid) {
        return Ok(());
    }
    Err(Failure::NoSuchId {
        uid: spec.uid,
        gid: spec.gid,
    })
}

/// Whether the user namespace has `id`. Lines are: first id inside, first outside, count.
pub fn is_mapped(map: &str, id: u32) -> bool {
    let Ok(map) = fs::read_to_string(map) else {
        return false;
    };
    map.lines().any(|line| {
        let mut fields = line.split_ascii_whitespace().map(str::parse::<u64>);
        let (Some(Ok(first)), Some(Ok(count))) = (fields.next(), fields.nth(1)) else {
            return false;
        };
        (first..first + count).contains(&u64::from(id))
    })
}

/// Opens a mount's source while this process is in the caller's mount namespace; also whether its mount point is a folder.
fn source(
    kind: &MountKind,
    read_only: bool,
    spec: &RunSpec,
    roots: &[OwnedFd],
) -> Result<(Source, bool), Failure> {
    match kind {
        MountKind::Tmpfs { .. } => Ok((Source::Made, true)),
        MountKind::File { .. } | MountKind::Socket { .. } => Ok((Source::Made, false)),
        MountKind::Root { index, path } => {
            let root = roots
                .get(*index)
                .ok_or_else(|| Failure::Invalid(format!("there is no extra root mount {index}")))?;
            let opened = open_source(root.as_fd(), path, spec);
            let folder = opened
                .and_then(is_folder)
                .map_err(Failure::at("open the mount source", path))?;
            Ok((Source::Made, folder))
        }
        MountKind::Bind { base, path } => {
            let shown = base.join(path.trim_start_matches('/'));
            let shown = shown.to_string_lossy();
            let opened =
                open(base, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).map_err(io::Error::from);
            let opened = opened.and_then(|base| {
                if path.is_empty() {
                    Ok(base)
                } else {
                    open_source(base.as_fd(), path, spec)
                }
            });
            let opened = opened.map_err(Failure::at("open the mount source", &shown))?;
            let attributes = NO_SUID | NO_DEV | if read_only { READ_ONLY } else { NO_DEV };
            let folder =
                is_folder(&opened).map_err(Failure::at("stat the mount source", &shown))?;
            let tree = detached::copy(&opened, true, attributes)
                .map_err(Failure::at("open_tree", &shown))?;
            Ok((Source::Opened(tree), folder))
        }
    }
}

/// Opens an untrusted path inside a source.
pub fn open_source(root: BorrowedFd<'_>, path: &str, spec: &RunSpec) -> io::Result<OwnedFd> {
    open_in_root(
        root,
        Path::new(path),
        OFlags::PATH,
        Mode::empty(),
        spec.disabled,
    )
}
