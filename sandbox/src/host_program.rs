//! Programs of the host that help a build and must not outlive it. Unaware of what they do.
#![allow(unsafe_code)]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::process::{Signal, set_parent_process_death_signal, setsid};
use rustix::thread::set_no_new_privs;

/// A program that is looked for in `search_path` (the form of `PATH`), with an environment that holds nothing else and no input.
///
/// The kernel kills it when the **thread** that starts it ends. It has no terminal to ask for a password on, and gains no privileges by
/// its file's mode: a program that did would shake off the death signal.
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
