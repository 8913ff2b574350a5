//! Programs of the host that help a build and must not outlive it, even when it is killed. Unaware of what they do.
#![allow(unsafe_code)]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::process::{Signal, set_parent_process_death_signal, setsid};
use rustix::thread::set_no_new_privs;

/// A program that is looked up in `search_path` (which has the form of `PATH`), with no input and nothing else in its environment.
///
/// The kernel kills it when the **thread** that starts it ends. It has no terminal to ask for a password on, and gains no privileges from
/// its file's mode: a program that gained some would lose the death signal.
#[must_use]
pub fn host_program(name: &str, search_path: &str) -> Command {
    let mut command = Command::new(name);
    command
        .env_clear()
        .env("PATH", search_path)
        .stdin(Stdio::null());
    let prepare = || {
        // Fails only for the leader of a process group, which a new process is not.
        let _ = setsid();
        set_no_new_privs(true)?;
        set_parent_process_death_signal(Some(Signal::KILL)).map_err(io::Error::from)
    };
    // SAFETY: three system calls, which is all that may be done between fork and exec of a process with threads.
    unsafe { command.pre_exec(prepare) };
    command
}

/// Makes the kernel kill the command when the **thread** that starts it ends: start it and wait for it on one thread.
pub fn die_with_parent(command: &mut Command) {
    let prepare = || Ok(set_parent_process_death_signal(Some(Signal::KILL))?);
    // SAFETY: between fork and exec one system call is made (prctl PR_SET_PDEATHSIG), which neither allocates nor locks.
    unsafe { command.pre_exec(prepare) };
}
