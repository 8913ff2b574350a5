//! The child of the supervisor, in its new namespaces: builds the root, becomes the command's user and executes the command.
//! Each step is in its own module; here is their order. It has one thread and never returns.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::process::{Signal, set_parent_process_death_signal, setsid};
use rustix::stdio::dup2_stdin;
use rustix::system::sethostname;
use rustix::thread::UnshareFlags;

use crate::cgroup::Cgroups;
use crate::detached::NO_DEV;
use crate::mounts::{self, Detached};
use crate::supervisor::{Report, cgroup_failed};
use crate::wire::Failure;
use crate::{Feature, Network, RunSpec, exec, identity, rootfs, sys};

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
}

/// What mounts refer to, as in [`Extra`](crate::Extra).
#[derive(Debug)]
pub struct Given {
    pub roots: Vec<OwnedFd>,
    pub sockets: Vec<OwnedFd>,
}

/// What is mounted, as far as the supervisor can prepare it.
#[derive(Debug)]
pub enum Source {
    /// A detached copy.
    Opened(OwnedFd),
    /// Made in the new namespaces.
    Made,
}

/// Runs the command, or says on `report` why not and ends.
pub fn main(job: Job, cgroups: &Cgroups, report: &OwnedFd) -> ! {
    let Err(failure) = start(job, cgroups, report);
    say(report, &Report::Failed(failure));
    sys::exit_now(125)
}

/// The supervisor reads until the end of the pipe; when it is gone there is nobody to tell.
fn say(report: &OwnedFd, what: &Report) {
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
    report: &OwnedFd,
) -> Result<std::convert::Infallible, Failure> {
    let Job {
        spec,
        root,
        stdin,
        given,
        ignored,
        sources,
    } = job;
    die_with_supervisor()?;
    cgroups.join().map_err(cgroup_failed("join the cgroup"))?;
    sys::unshare(UnshareFlags::NEWCGROUP).map_err(Failure::of("unshare(cgroup namespace)"))?;
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private)
        .map_err(|errno| Failure::at("mount(MS_REC|MS_PRIVATE)", "/")(errno.into()))?;
    give_stdin(stdin)?;
    let system = rootfs::System::open(&spec, cgroups)?;
    if let Some(note) = system.note() {
        say(report, &Report::Note(note.to_owned()));
    }
    let detached = Detached::open(&spec, sources, &given)?;
    drop(given);
    if spec.privileged {
        // Refused where the namespace may not: then devices stay closed.
        let _ = sys::clear_mount_attributes(&root, NO_DEV);
    }
    mounts::enter_root(&root, spec.disabled)?;
    system.attach(root.as_fd(), &spec)?;
    detached.attach(root.as_fd(), &spec)?;
    drop(root);
    set_host_name(&spec, report)?;
    if spec.network == Network::None {
        loopback_up().map_err(Failure::of("bring the loopback interface up"))?;
    }
    let _ = setsid();
    identity::assume(&spec)?;
    // Changing the user has cleared it.
    die_with_supervisor()?;
    if supervisor_is_gone(report) {
        sys::exit_now(125);
    }
    sys::close_others_on_exec().map_err(Failure::of("close_range"))?;
    sys::reset_signals(&ignored);
    exec::exec(&spec)
}

/// Where it is refused, as podman's default profile does, the caller's name stays: it is a name, no protection.
fn set_host_name(spec: &RunSpec, report: &OwnedFd) -> Result<(), Failure> {
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
        answer => answer.map_err(|errno| Failure::at("sethostname", &spec.hostname)(errno.into())),
    }
}

fn die_with_supervisor() -> Result<(), Failure> {
    let set = set_parent_process_death_signal(Some(Signal::KILL));
    set.map_err(|errno| Failure::of("prctl(PR_SET_PDEATHSIG)")(errno.into()))
}

/// It may have died before the death signal was asked for. It holds the only reading end of the pipe.
fn supervisor_is_gone(report: &OwnedFd) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let mut fds = [PollFd::new(report, PollFlags::OUT)];
    poll(&mut fds, Some(&now)).is_ok() && fds.iter().any(|fd| fd.revents().contains(PollFlags::ERR))
}

fn give_stdin(stdin: Option<OwnedFd>) -> Result<(), Failure> {
    let stdin = match stdin {
        Some(stdin) => stdin,
        None => File::open("/dev/null")
            .map_err(Failure::at("open", "/dev/null"))?
            .into(),
    };
    dup2_stdin(stdin).map_err(|errno| Failure::of("dup2 stdin")(errno.into()))
}

fn loopback_up() -> io::Result<()> {
    let socket = socket_with(
        AddressFamily::INET,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    sys::loopback_up(socket)
}
