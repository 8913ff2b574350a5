//! Signals and other effects of a command on processes: they reach its own family and nobody else. Unaware of files.
//!
//! What is named by number is looked at, and then the kernel does it, with the command's own rights. A number could only mean another process by
//! then if all numbers had been given once meanwhile.

use std::fs;
use std::io;

use super::caller::Caller;
use super::family;
use crate::sys::{self, notify::Answer};

const NOBODY: Answer = Answer::Errno(libc::ESRCH);

/// Of a call about one process or thread: 0 is the caller's own.
pub fn one(pid: u64) -> Answer {
    let pid = pid as i32;
    match pid == 0 || family::is_below(pid) {
        true => Answer::Continue,
        false => NOBODY,
    }
}

/// Of setpriority(2) and ioprio_set(2): `which` is 0 or 1 for a process, and everything else is more than one.
pub fn one_or_more(name_of_process: u64, which: u64, who: u64) -> Answer {
    match (which == name_of_process, who) {
        (true, who) => one(who),
        // a group of the caller's own session
        (false, 0) if which == name_of_process + 1 => Answer::Continue,
        _ => Answer::Errno(libc::EPERM),
    }
}

/// Of kill(2).
pub fn kill(caller: &Caller, pid: u64, signal: u64) -> Answer {
    let pid = pid as i32;
    match pid {
        0 => Answer::Continue,
        -1 => to_all(caller, family::below(None), signal as i32),
        i32::MIN..-1 => match family::below(Some(-pid)).is_empty() {
            true => NOBODY,
            false => Answer::Continue,
        },
        _ => one(pid as u64),
    }
}

/// Of pidfd_send_signal(2), which is done here: nobody can change meanwhile what the number of a descriptor means.
pub fn by_descriptor(caller: &Caller, descriptor: u64, signal: u64) -> Answer {
    match process_of(caller, descriptor as i32) {
        Ok(pid) if caller.process().is_ok_and(|own| own == pid) => Answer::Continue,
        Ok(pid) if family::is_below(pid) => to_all(caller, vec![pid], signal as i32),
        Ok(_) => NOBODY,
        Err(_) => Answer::Errno(libc::EBADF),
    }
}

fn process_of(caller: &Caller, descriptor: i32) -> io::Result<i32> {
    let path = format!("/proc/{}/fdinfo/{descriptor}", caller.thread);
    let text = caller.with_its_rights(|| fs::read_to_string(path))?;
    let pid = text.lines().find_map(|line| line.strip_prefix("Pid:"));
    let pid = pid.and_then(|pid| pid.trim().parse().ok());
    pid.ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

/// Sends to those of the processes that the caller may send to, but for itself.
fn to_all(caller: &Caller, pids: Vec<i32>, signal: i32) -> Answer {
    let own = caller.process().ok();
    let mut answer = NOBODY;
    for pid in pids.into_iter().filter(|pid| Some(*pid) != own) {
        let may = caller.is_root() || Caller::of(pid).is_ok_and(|its| its.user() == caller.user());
        if may && sys::notify::kill(pid, signal).is_ok() {
            answer = Answer::Value(0);
        }
    }
    answer
}
