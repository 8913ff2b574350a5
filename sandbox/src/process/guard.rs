//! A process outside the command's namespaces that ends the command when its supervisor is gone, even if the engine died with it. The kernel
//! does the same for a command that stays who it is; one that changes its user clears the signal of its parent's death (prctl(2)). Unaware
//! of what the command is.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Signal, pidfd_send_signal};

use crate::sys::{self, Fork};

/// Guards as long as it lives; dropping it ends the process.
#[derive(Debug)]
pub struct Guard {
    /// The only writing end of a pipe: it is closed however this process ends.
    alive: Option<OwnedFd>,
    pid: libc::pid_t,
}

impl Guard {
    /// Starts it for the process of a pidfd.
    pub fn start(command: &OwnedFd) -> io::Result<Self> {
        let (end, alive) = pipe_with(PipeFlags::CLOEXEC)?;
        match sys::fork_into(0)? {
            Fork::Child => guard(end, command),
            Fork::Parent(pid, _) => Ok(Self {
                alive: Some(alive),
                pid,
            }),
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.alive = None;
        // it ends at once; whatever is said of that, nobody can do anything about it
        let _ = sys::wait(self.pid);
    }
}

fn guard(end: OwnedFd, command: &OwnedFd) -> ! {
    // the command's pipes must end with the command, and the caller's socket with the supervisor
    sys::close_all_but([end.as_raw_fd(), command.as_raw_fd()]);
    let _ = File::from(end).read(&mut [0]);
    // it may have ended, and then nothing happens
    let _ = pidfd_send_signal(command, Signal::KILL);
    sys::exit_now(0)
}
