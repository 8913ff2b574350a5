//! The child of the supervisor, in its new namespaces: builds the root, becomes the command's user and executes the command.
//! It has one thread and never returns. Unaware of how each step is done; here is their order.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, MountPropagationFlags, mount_change};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::process::{Signal, set_parent_process_death_signal, setsid};
use rustix::stdio::dup2_stdin;
use rustix::system::sethostname;
use rustix::thread::UnshareFlags;

use crate::cgroup::Cgroups;
use crate::process::network::Gate;
use crate::process::terminal::Terminal;
use crate::process::wire::{self, Reply, Report};
use crate::process::{exec, reaper, rights};
use crate::root::change::enter_root;
use crate::root::detached::{self, NO_DEV, READ_ONLY};
use crate::root::devices::Dev;
use crate::root::mounts::{Detached, Given, Source};
use crate::root::system::System;
use crate::{Feature, Network, RunSpec, SpawnError, sys};

/// Everything that the child gets from the supervisor.
#[derive(Debug)]
pub struct Job {
    pub spec: RunSpec,
    pub root: OwnedFd,
    pub stdin: Option<OwnedFd>,
    pub given: Given,
    /// Signals that are ignored, to be put back to their default.
    pub ignored: Vec<i32>,
    /// One for each of the spec's mounts.
    pub sources: Vec<Source>,
    /// What was made of `/dev` before it was known what runs.
    pub dev: Option<Dev>,
}

/// Runs the command, or says on `report` why not and ends. `caller` gets the other side of the command's terminal.
pub fn main(
    job: Job,
    cgroups: &Cgroups,
    (report, caller): (&OwnedFd, &OwnedFd),
    gate: Option<Gate>,
) -> ! {
    let Err(error) = start(job, cgroups, (report, caller), gate);
    say(report, &Report::Failed(error));
    sys::exit_now(125)
}

/// The supervisor reads until the end of the pipe; when it is gone there is nobody to tell.
pub(super) fn say(report: &OwnedFd, what: &Report) {
    let Ok(mut line) = serde_json::to_vec(what) else {
        return;
    };
    line.push(b'\n');
    if let Ok(report) = report.try_clone() {
        let _ = File::from(report).write_all(&line);
    }
}

fn start(
    job: Job,
    cgroups: &Cgroups,
    (report, caller): (&OwnedFd, &OwnedFd),
    gate: Option<Gate>,
) -> Result<Infallible, SpawnError> {
    die_with_supervisor()?;
    cgroups.join()?;
    sys::unshare(UnshareFlags::NEWCGROUP).map_err(SpawnError::of("unshare(cgroup namespace)"))?;
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).map_err(SpawnError::at("mount(MS_REC|MS_PRIVATE)", "/"))?;
    give_stdin(job.stdin)?;
    let spec = job.spec;
    let system = System::open(&spec, cgroups, job.dev)?;
    if let Some(note) = system.note {
        say(report, &Report::Note(note.to_owned()));
    }
    let terminal = terminal(&spec, &system, caller)?;
    let mounts = Detached::open(&spec, job.sources, &job.given)?;
    drop(job.given);
    build_root(&spec, job.root, system, mounts)?;
    set_host_name(&spec, report)?;
    bring_up(&spec.network, gate)?;
    let _ = setsid();
    let taken = terminal.map(|terminal| terminal.take(spec.uid));
    taken.transpose()?;
    rights::assume(&spec)?;
    // The change of the user has cleared it.
    die_with_supervisor()?;
    if supervisor_is_gone(report) {
        sys::exit_now(125);
    }
    sys::close_others_on_exec().map_err(SpawnError::of("close_range"))?;
    if spec.has_init {
        reaper::start(&spec)?;
    }
    sys::reset_signals(&job.ignored);
    exec::exec(&spec)
}

/// The command's terminal, if it is to have one; its other side is the caller's.
fn terminal(
    spec: &RunSpec,
    system: &System,
    caller: &OwnedFd,
) -> Result<Option<Terminal>, SpawnError> {
    let open = |size| {
        let terminal = Terminal::open(system.terminals()?, size)?;
        let sent = wire::send(caller, &Reply::Terminal, &[terminal.person.as_fd()]);
        sent.map_err(SpawnError::of("send the terminal"))?;
        Ok(terminal)
    };
    spec.terminal.map(open).transpose()
}

fn build_root(
    spec: &RunSpec,
    root: OwnedFd,
    system: System,
    mounts: Detached,
) -> Result<(), SpawnError> {
    if spec.privileged {
        // Refused where the namespace may not: then devices stay closed.
        let _ = sys::clear_mount_attributes(&root, NO_DEV);
    }
    enter_root(&root, spec.disabled)?;
    system.attach(root.as_fd(), spec)?;
    mounts.attach(root.as_fd(), spec)?;
    if spec.read_only {
        enter_read_only(&root, spec)?;
    }
    Ok(())
}

/// Enters the root once more, by a mount that is read-only: the mount points that were made are removed by the other one.
fn enter_read_only(root: &OwnedFd, spec: &RunSpec) -> Result<(), SpawnError> {
    let copy = || {
        let copy = detached::copy(root, true, MountAttrFlags::empty())?;
        sys::set_mount_attributes(&copy, READ_ONLY, false)?;
        Ok::<_, io::Error>(copy)
    };
    let copy = copy().map_err(SpawnError::of("make the root read-only"))?;
    enter_root(&copy, spec.disabled)
}

/// Where it is refused, as podman's default profile does, the caller's name stays: it is a name, not a protection.
fn set_host_name(spec: &RunSpec, report: &OwnedFd) -> Result<(), SpawnError> {
    let answer = if spec.disabled.has(Feature::Sethostname) {
        Err(Errno::PERM)
    } else {
        sethostname(spec.hostname.as_bytes())
    };
    match answer {
        Err(Errno::PERM | Errno::ACCESS) => {
            let note = "this container forbids sethostname: RUN sees the container's host name";
            say(report, &Report::Note(note.to_owned()));
            Ok(())
        }
        answer => answer.map_err(SpawnError::at("sethostname", &spec.hostname)),
    }
}

pub(super) fn die_with_supervisor() -> Result<(), SpawnError> {
    let set = set_parent_process_death_signal(Some(Signal::KILL));
    set.map_err(SpawnError::of("prctl(PR_SET_PDEATHSIG)"))
}

/// It may have died before the death signal was set. It holds the only reading end of the pipe.
pub(super) fn supervisor_is_gone(report: &OwnedFd) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let now = Timespec::default();
    let mut fds = [PollFd::new(report, PollFlags::OUT)];
    poll(&mut fds, Some(&now)).is_ok() && fds.iter().any(|fd| fd.revents().contains(PollFlags::ERR))
}

pub(super) fn give_stdin(stdin: Option<OwnedFd>) -> Result<(), SpawnError> {
    let null = || File::open("/dev/null").map_err(SpawnError::at("open", "/dev/null"));
    let stdin = stdin.map_or_else(|| null().map(OwnedFd::from), Ok)?;
    dup2_stdin(stdin).map_err(SpawnError::of("dup2 stdin"))
}

fn bring_up(network: &Network, gate: Option<Gate>) -> Result<(), SpawnError> {
    if *network != Network::Host {
        loopback_up().map_err(SpawnError::of("bring the loopback interface up"))?;
    }
    let passed = gate.map_or(Ok(()), Gate::pass);
    passed.map_err(SpawnError::of("wait for the network"))
}

fn loopback_up() -> io::Result<()> {
    let (family, flags) = (AddressFamily::INET, SocketFlags::CLOEXEC);
    sys::loopback_up(socket_with(family, SocketType::DGRAM, flags, None)?)
}
