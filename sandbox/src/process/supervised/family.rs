//! The processes below the supervisor: all that a command has started, since orphans become children of the supervisor. Unaware of what they do.

use std::collections::HashMap;
use std::fs;

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, wait};

/// A process, as its `stat` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    parent: i32,
    group: i32,
}

/// Whether a process, or the process of a thread, is below this one.
pub fn is_below(pid: i32) -> bool {
    let own = getpid().as_raw_nonzero().get();
    let mut at = pid;
    // as many generations as there can be processes
    for _ in 0..1 << 22 {
        match place(at) {
            Some(place) if place.parent == own => return true,
            Some(place) if place.parent > 1 => at = place.parent,
            _ => return false,
        }
    }
    false
}

/// All processes below this one, and those in a process group only if one is named.
pub fn below(group: Option<i32>) -> Vec<i32> {
    let all = all();
    let own = getpid().as_raw_nonzero().get();
    let is_below = |mut pid: i32| {
        for _ in 0..=all.len() {
            match all.get(&pid) {
                Some(place) if place.parent == own => return true,
                Some(place) => pid = place.parent,
                None => return false,
            }
        }
        false
    };
    let is_wanted = |pid: i32| {
        is_below(pid) && group.is_none_or(|group| all.get(&pid).is_some_and(|p| p.group == group))
    };
    all.keys().copied().filter(|pid| is_wanted(*pid)).collect()
}

/// Kills all processes below this one and waits until none is left.
pub fn end_all() {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) => continue,
            Ok(None) => {}
            // There is no child, so there is nothing below.
            Err(_) => return,
        }
        for pid in below(None) {
            if let Some(pid) = Pid::from_raw(pid) {
                // It may have ended; then it is waited for.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        if wait(WaitOptions::empty()).is_err() {
            return;
        }
    }
}

/// Waits for orphans that have ended, up to the process of this id, for which somebody else waits.
pub fn reap_orphans(but: i32) {
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    let peek = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    while let Ok(Some(_)) = waitid(WaitId::All, peek) {
        let ended = all().into_iter().find(|(pid, place)| {
            *pid != but && place.parent == getpid().as_raw_nonzero().get() && is_zombie(*pid)
        });
        let Some(pid) = ended.and_then(|(pid, _)| Pid::from_raw(pid)) else {
            return;
        };
        let _ = rustix::process::waitpid(Some(pid), WaitOptions::NOHANG);
    }
}

fn is_zombie(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    after_name(&stat).next() == Some("Z")
}

fn all() -> HashMap<i32, Place> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| Some((pid, place(pid)?))).collect()
}

fn place(pid: i32) -> Option<Place> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// proc_pid_stat(5): the name stands in parentheses and may hold anything; then come state, parent and process group.
fn parse(stat: &str) -> Option<Place> {
    let mut fields = after_name(stat).skip(1);
    let mut number = || fields.next()?.parse().ok();
    Some(Place {
        parent: number()?,
        group: number()?,
    })
}

fn after_name(stat: &str) -> impl Iterator<Item = &str> {
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    rest.split_ascii_whitespace()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_parentheses_are_no_trap() {
        let stat = "7 (a) S 1 (b)) R 12 34 34 0 -1";
        let place = Place {
            parent: 12,
            group: 34,
        };
        assert_eq!(parse(stat), Some(place));
        assert_eq!(parse("7"), None);
    }

    #[test]
    fn the_own_process_is_not_below_itself() {
        let own = getpid().as_raw_nonzero().get();
        assert!(!is_below(own) && !is_below(1));
    }
}
