//! The first process of a run whose command is not to be it: takes in orphans, hands signals on to the command, and ends as it does, as
//! docker's `--init`. Unaware of what the command is.

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::process::{WaitOptions, WaitStatus, getpid, setpgid, wait};
use rustix::stdio::stdin;
use rustix::termios::tcsetpgrp;

use crate::sys::{self, Fork};
use crate::{RunSpec, SpawnError};

/// Returns in a new process, which is to execute the command. This one ends with it.
pub fn start(spec: &RunSpec) -> Result<(), SpawnError> {
    sys::block_signals();
    match sys::fork_into(0).map_err(SpawnError::of("fork"))? {
        Fork::Parent(pid, command) => reap(pid, &command),
        Fork::Child => {
            // a group of its own, in the foreground of its terminal: SIGTTOU is blocked still
            let _ = setpgid(None, None);
            if spec.terminal.is_some() {
                let given = tcsetpgrp(stdin(), getpid());
                given.map_err(SpawnError::of("give the command the terminal"))?;
            }
            Ok(())
        }
    }
}

fn reap(pid: libc::pid_t, command: &OwnedFd) -> ! {
    // pipes end with the command, and the report when it is executed
    sys::close_all_but([command.as_raw_fd()]);
    loop {
        match sys::next_signal() {
            libc::SIGCHLD => {
                if let Some(code) = ended(pid) {
                    sys::exit_now(code);
                }
            }
            // it may be about to end
            signal => drop(sys::signal(command, signal)),
        }
    }
}

/// Takes in all that have ended; the exit code, if the command is among them.
fn ended(command: libc::pid_t) -> Option<i32> {
    let mut code = None;
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid.as_raw_nonzero().get() == command => {
                code = Some(exit_code(status));
            }
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) | Err(_) => return code,
        }
    }
}

fn exit_code(status: WaitStatus) -> i32 {
    let killed = || status.terminating_signal().map(|signal| 128 + signal);
    status.exit_status().or_else(killed).unwrap_or(1)
}
