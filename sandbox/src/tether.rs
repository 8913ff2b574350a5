//! Processes of other programs that must not outlive kiln, also when it is killed. Unaware of what they do.

#![allow(unsafe_code)]

use std::process::Command;

use rustix::process::{Signal, set_parent_process_death_signal};

/// Has the kernel kill the command when the thread that starts it ends: start it and wait for it on one thread.
pub fn die_with_parent(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    let before_exec = || Ok(set_parent_process_death_signal(Some(Signal::KILL))?);
    // SAFETY: between fork and exec one system call is made (prctl PR_SET_PDEATHSIG), which neither allocates nor locks.
    unsafe {
        command.pre_exec(before_exec);
    }
}
