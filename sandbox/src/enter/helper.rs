//! Gives a user namespace its ids from outside: a forked process stays in the old namespace and, once the caller has left that, calls
//! newuidmap and newgidmap (or, as root, writes the maps itself). Unaware of mounts.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{getegid, geteuid};

use crate::enter::subid;
use crate::sys::{self, Fork};
use crate::{Disabled, EnterError, Feature, IdMap, IdRange};

/// Where newuidmap is looked up: the crate does not read `PATH`. The last is of NixOS.
const FOLDERS: &str = "/usr/bin:/bin:/usr/local/bin:/usr/sbin:/sbin:/run/wrappers/bin";

/// The forked process, waiting.
#[derive(Debug)]
pub struct IdHelper {
    pid: libc::pid_t,
    go: OwnedFd,
    answer: OwnedFd,
    ids: IdMap,
}

/// What the helper did.
#[derive(Debug)]
pub enum Mapped {
    /// The namespace has these ids.
    Yes(IdMap),
    /// Nothing was mapped; why.
    No(String),
}

/// How the maps are written.
#[derive(Debug)]
enum Plan {
    /// By the two helpers with these arguments after the process id.
    Helpers {
        newuidmap: (PathBuf, Vec<String>),
        newgidmap: (PathBuf, Vec<String>),
    },
    /// By root of the outer namespace: every id maps to itself.
    Identity { uids: String, gids: String },
}

impl IdHelper {
    /// Forks the helper if there is a range to map; else says why there is none.
    pub fn start(
        uid: u32,
        gid: u32,
        disabled: Disabled,
    ) -> Result<(Option<Self>, Option<String>), EnterError> {
        match plan(uid, gid, disabled) {
            Ok((ids, plan)) => {
                let helper = fork(ids, &plan).map_err(EnterError::at("fork the id helper"))?;
                Ok((Some(helper), None))
            }
            Err(why) => Ok((None, Some(why))),
        }
    }

    /// Called in the new user namespace: lets the helper map and waits for it.
    pub fn map(self) -> Result<Mapped, EnterError> {
        drop(self.go);
        let mut answer = String::new();
        let read = File::from(self.answer).read_to_string(&mut answer);
        let ended = sys::wait(self.pid);
        read.and(ended)
            .map_err(EnterError::at("wait for the id helper"))?;
        match answer.split_once('\n') {
            Some(("mapped", _)) => Ok(Mapped::Yes(self.ids)),
            Some(("first", message)) => Ok(Mapped::No(message.to_owned())),
            _ => Err(EnterError::IdRange {
                helper: "newgidmap",
                message: answer.trim_start_matches("second\n").to_owned(),
            }),
        }
    }
}

/// The ids that the calling user would get, or why there are none.
pub fn available(disabled: Disabled) -> Result<IdMap, String> {
    plan(geteuid().as_raw(), getegid().as_raw(), disabled).map(|(ids, _)| ids)
}

fn plan(uid: u32, gid: u32, disabled: Disabled) -> Result<(IdMap, Plan), String> {
    if disabled.has(Feature::Idrange) {
        return Err("the id range is disabled".to_owned());
    }
    if uid == 0 {
        return Ok((IdMap::Root, plan_of_root()?));
    }
    let (uids, gids) = (ranges("/etc/subuid", uid)?, ranges("/etc/subgid", uid)?);
    let plan = Plan::Helpers {
        newuidmap: (find("newuidmap")?, arguments(uid, &uids)),
        newgidmap: (find("newgidmap")?, arguments(gid, &gids)),
    };
    let ids = IdMap::Range {
        uid,
        gid,
        uids,
        gids,
    };
    Ok((ids, plan))
}

fn plan_of_root() -> Result<Plan, String> {
    let same = |file| {
        let map = fs::read_to_string(file).map_err(|error| error.to_string())?;
        Ok::<_, String>(identity(&map))
    };
    let uids = same("/proc/self/uid_map")?;
    let gids = same("/proc/self/gid_map")?;
    Ok(Plan::Identity { uids, gids })
}

fn ranges(file: &str, uid: u32) -> Result<Vec<IdRange>, String> {
    let name = subid::user_name(uid);
    let ranges = subid::ranges(Path::new(file), uid, name.as_deref());
    if ranges.is_empty() {
        let advice =
            subid::advice(uid).map_or(String::new(), |advice| format!("; as root: {advice}"));
        return Err(format!("{file} has no line for this user{advice}"));
    }
    Ok(ranges)
}

/// Finds a setuid helper of the shadow suite.
fn find(name: &str) -> Result<PathBuf, String> {
    let mut paths = FOLDERS
        .split(':')
        .map(|folder| Path::new(folder).join(name));
    paths.find(|path| path.is_file()).ok_or_else(|| {
        format!("{name} is missing; install the package uidmap (Debian) or shadow-utils (Fedora)")
    })
}

/// `inside outside count` for each extent: 0 is the caller, then the ranges one after the other.
fn arguments(id: u32, ranges: &[IdRange]) -> Vec<String> {
    let mut next = 1_u32;
    let mut arguments = vec!["0".to_owned(), id.to_string(), "1".to_owned()];
    for range in ranges {
        arguments.extend([next, range.start, range.count].map(|number| number.to_string()));
        next = next.saturating_add(range.count);
    }
    arguments
}

/// The map that maps every id of an outer map to itself.
fn identity(map: &str) -> String {
    let extent = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        Some(format!("{0} {0} {1}\n", fields.next()?, fields.nth(1)?))
    };
    map.lines().filter_map(extent).collect()
}

fn fork(ids: IdMap, plan: &Plan) -> io::Result<IdHelper> {
    let (wait, go) = pipe_with(PipeFlags::CLOEXEC)?;
    let (answer, say) = pipe_with(PipeFlags::CLOEXEC)?;
    let caller = std::process::id();
    match sys::fork_into(0)? {
        Fork::Parent(pid, _) => Ok(IdHelper {
            pid,
            go,
            answer,
            ids,
        }),
        Fork::Child => {
            drop(go);
            // Nothing is written: the end of the pipe says that the caller has its namespace, or is gone.
            let _ = File::from(wait).read(&mut [0]);
            let said = match write_maps(caller, plan) {
                Ok(()) => "mapped\n".to_owned(),
                Err(said) => said,
            };
            let _ = File::from(say).write_all(said.as_bytes());
            sys::exit_now(0)
        }
    }
}

/// The error starts with `first` when nothing was mapped, with `second` when the uids are mapped and the gids are not.
fn write_maps(process: u32, plan: &Plan) -> Result<(), String> {
    let both = |uids: Result<(), String>, gids: &dyn Fn() -> Result<(), String>| {
        uids.map_err(|error| format!("first\n{error}"))?;
        gids().map_err(|error| format!("second\n{error}"))
    };
    match plan {
        Plan::Helpers {
            newuidmap,
            newgidmap,
        } => both(call(newuidmap, process), &|| call(newgidmap, process)),
        Plan::Identity { uids, gids } => {
            let write = |file, map: &String| {
                fs::write(format!("/proc/{process}/{file}"), map)
                    .map_err(|error| format!("write {file}: {error}"))
            };
            both(write("uid_map", uids), &|| write("gid_map", gids))
        }
    }
}

fn call((program, arguments): &(PathBuf, Vec<String>), process: u32) -> Result<(), String> {
    let name = program.display();
    let mut command = Command::new(program);
    command.arg(process.to_string()).args(arguments);
    let output = command.env_clear().stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{name}: {} ({})", said.trim(), output.status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extents_follow_each_other() {
        let ranges = [
            IdRange {
                start: 100_000,
                count: 65536,
            },
            IdRange {
                start: 300_000,
                count: 10,
            },
        ];
        let expected = [
            "0", "1000", "1", "1", "100000", "65536", "65537", "300000", "10",
        ];
        assert_eq!(arguments(1000, &ranges), expected);
    }

    #[test]
    fn identity_keeps_the_extents_of_the_outer_map() {
        assert_eq!(
            identity("         0       1000          1\n         1     100000      65536\n"),
            "0 0 1\n1 1 65536\n"
        );
    }
}
