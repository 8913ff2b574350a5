//! A run where namespaces are refused, as in a container with docker's default profile: the re-executed process that watches over a command
//! in a chroot. It puts what is mounted into the tree ([`planting`]), starts the command ([`confined`]), answers its calls ([`serve`]) and
//! leaves no process of it behind ([`family`]). Unaware of what each call comes to.
//!
//! The chroot is what keeps the command in: every call that is not answered here is carried out by the kernel with the command's own rights, in
//! its tree, where there is neither `/proc` nor a device of others. What is answered never gives it a folder outside of its tree. So it does not
//! matter that a command can change a name after it was looked at.
//!
//! Two processes stand above the command, and the kernel gives its orphans to the lower one that lives: the first one outlives the second only
//! to end what is left.

mod call;
mod caller;
mod changes;
mod confined;
mod family;
mod files;
mod made_up;
mod name;
mod opening;
mod planting;
mod procfs;
mod secrets;
mod serve;
mod signals;
mod stat;
mod tree;
pub mod trial;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;

use rustix::fs::{Mode, OFlags, open};
use rustix::process::{
    DumpableBehavior, Signal, getpid, pidfd_send_signal, set_child_subreaper,
    set_dumpable_behavior, setsid,
};
use rustix::stdio::{dup2_stderr, dup2_stdout, stdin};

use crate::cgroup::Cgroups;
use crate::process::supervisor::exit;
use crate::process::terminal::Borrowed;
use crate::process::wire::{self, Reply, Request};
use crate::root::planted::Planted;
use crate::sys::{self, Fork};
use crate::{Exit, SpawnError};
use confined::Job;
use secrets::Secrets;
use serve::Server;

/// The whole life of the process: it only waits for the one that does everything, and ends what that one leaves.
pub fn main() -> ExitCode {
    // Fails only for the leader of a process group, which is fine too.
    let _ = setsid();
    let guarded = take_orphans().and_then(|()| sys::fork_into(0));
    match guarded {
        Ok(Fork::Child) => supervise_and_answer(),
        Ok(Fork::Parent(pid, _)) => {
            release_streams();
            let ended = sys::wait(pid);
            family::end_all();
            match ended {
                Ok(ended) if ended.status == 0 => ExitCode::SUCCESS,
                _ => ExitCode::FAILURE,
            }
        }
        Err(_) => ExitCode::FAILURE,
    }
}

/// Orphans become children of this process, and no process of the same user may look into it.
fn take_orphans() -> io::Result<()> {
    set_child_subreaper(Some(getpid()))?;
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// A pipe that the command writes to must end with the command, and the caller's socket with the supervisor.
fn release_streams() {
    if let Ok(null) = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()) {
        let _ = (dup2_stdout(&null), dup2_stderr(&null));
        let _ = rustix::stdio::dup2_stdin(&null);
    }
}

fn supervise_and_answer() -> ExitCode {
    let Ok(socket) = stdin().try_clone_to_owned() else {
        return ExitCode::FAILURE;
    };
    match supervise(&socket) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The caller may be gone; then nobody is left to tell.
            let _ = wire::send(&socket, &Reply::Failed(error), &[]);
            ExitCode::FAILURE
        }
    }
}

fn supervise(socket: &OwnedFd) -> Result<(), SpawnError> {
    take_orphans().map_err(SpawnError::of("prctl"))?;
    sys::set_umask(0o022);
    let request = wire::receive::<Request>(socket);
    let Some((request, fds)) = request.map_err(SpawnError::of("receive the request"))? else {
        return Ok(());
    };
    let (mut job, mut planted) = planting::unpack(&request, fds)?;
    let mut secrets = Secrets::default();
    let put = planting::plant(&job, &mut planted, &mut secrets);
    let ran = put.and_then(|()| run(socket, &job, secrets));
    let removed = remove(planted);
    let exit = ran?;
    removed?;
    let _ = wire::send(socket, &Reply::Ended(exit), &[]);
    let borrowed = job.borrowed.take();
    // a terminal of the command ends with all that holds it
    drop(job);
    Borrowed::release(borrowed, socket);
    Ok(())
}

fn remove(planted: Planted) -> Result<(), SpawnError> {
    let removed = planted.remove();
    removed.map_err(SpawnError::of("take the mounts out of the tree"))
}

/// Runs the command to its end, and every process that it has started with it.
fn run(socket: &OwnedFd, job: &Job, secrets: Secrets) -> Result<Exit, SpawnError> {
    let cgroups = Cgroups::make(job.spec.cgroup.as_ref())?;
    let (ours, theirs) = wire::pair().map_err(SpawnError::of("socketpair"))?;
    let forked = sys::fork_into(0).map_err(SpawnError::of("fork"))?;
    let Fork::Parent(pid, pidfd) = forked else {
        drop(ours);
        confined::main(job, &cgroups, &theirs)
    };
    drop(theirs);
    // It listens until nothing is left that calls.
    let served = Server::start(job, secrets, &ours).map(|mut server| {
        release_streams();
        // If the caller is gone already, the server sees it at once.
        let notes = Vec::new();
        let _ = wire::send(socket, &Reply::Started { notes }, &[pidfd.as_fd()]);
        server.serve(socket, &pidfd, pid);
        server
    });
    // It has ended, or is to end now.
    let _ = pidfd_send_signal(&pidfd, Signal::KILL);
    let ended = sys::wait(pid).map_err(SpawnError::of("wait4"));
    family::end_all();
    drop(served?);
    Ok(exit(&ended?, &cgroups))
}
