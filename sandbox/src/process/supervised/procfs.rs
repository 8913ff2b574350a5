//! What stands at a served name for one caller: the container's own `/proc` and `/sys` as far as they concern the command's processes or
//! nobody in particular, devices, and what is made up. Unaware of calls.
//!
//! Of a process that is not the caller's nothing is served that leads out of the tree or tells its secrets: no `root`, `cwd`, `environ`, `mem`, `fd`.

use std::path::{Path, PathBuf};

use super::caller::Caller;
use super::family;
use super::made_up;
use super::name::Name;
use super::planting::DEVICES;

/// What stands at a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A file or folder of the container, and whether it may be written.
    Real(PathBuf, bool),
    /// A link of the caller's own process whose end only the kernel can reach: a descriptor, its program.
    Magic(PathBuf),
    /// A link that only its text is good for: the real one, and the text if it is another.
    Link(PathBuf, Option<String>),
    /// A file that is made up, in the place of a real one.
    Text(PathBuf, String),
    /// A path in the tree.
    Tree(PathBuf),
    /// A file in memory, where this process can open it.
    Secret(PathBuf),
    /// A device.
    Device(&'static str),
    /// Nothing: the call fails with this error number.
    Nothing(i32),
    /// Not served: the kernel finds in the tree whatever is there.
    Unserved,
}

const MISSING: Found = Found::Nothing(libc::ENOENT);
const DENIED: Found = Found::Nothing(libc::EACCES);

/// Of every process of the command.
const PUBLIC: &str = "arch_status autogroup cgroup cmdline comm coredump_filter cpuset gid_map ksm_merging_pages ksm_stat latency limits loginuid oom_adj oom_score oom_score_adj \
                      projid_map sched schedstat sessionid setgroups stat statm status timens_offsets timerslack_ns uid_map attr net";

/// Of the caller's own process only.
const OWN: &str = "auxv clear_refs environ fdinfo io maps numa_maps pagemap personality smaps smaps_rollup stack syscall timers wchan";

/// What a process may write of itself.
const WRITABLE: &str =
    "autogroup clear_refs comm coredump_filter loginuid oom_adj oom_score_adj timerslack_ns";

fn is_in(list: &str, name: &str) -> bool {
    list.split_ascii_whitespace().any(|known| known == name)
}

/// What the caller finds at a name.
pub fn find(name: &Name, caller: &Caller) -> Found {
    let Ok(own) = caller.process() else {
        return Found::Unserved;
    };
    match name {
        Name::Proc(rest) => in_proc(&strs(rest), own, caller),
        Name::Sys(rest) => in_sys(&strs(rest)),
        Name::Dev(rest) => in_dev(&strs(rest), own, caller),
    }
}

fn strs(parts: &[String]) -> Vec<&str> {
    parts.iter().map(String::as_str).collect()
}

fn in_proc(parts: &[&str], own: i32, caller: &Caller) -> Found {
    let real = || Path::new("/proc").join(parts.join("/"));
    match parts {
        ["self"] => Found::Link(real(), Some(own.to_string())),
        ["thread-self"] => Found::Link(real(), Some(format!("{own}/task/{}", caller.thread))),
        ["mounts"] => Found::Link(real(), Some("self/mounts".to_owned())),
        ["net"] => Found::Link(real(), Some("self/net".to_owned())),
        ["self", rest @ ..] => in_process(own, rest, own, caller),
        ["thread-self", rest @ ..] => in_task(own, caller.thread, rest, own, caller),
        ["net", rest @ ..] => in_process(own, &[&["net"], rest].concat(), own, caller),
        [] => Found::Real(real(), false),
        [first, rest @ ..] => match first.parse::<i32>() {
            Ok(pid) if pid == own || family::is_below(pid) => in_process(pid, rest, own, caller),
            Ok(_) => MISSING,
            Err(_) if made_up::is_masked(first.as_ref()) => MISSING,
            Err(_) if first.starts_with(made_up::PROGRAM) => Found::Unserved,
            Err(_) => Found::Real(real(), false),
        },
    }
}

fn in_process(pid: i32, parts: &[&str], own: i32, caller: &Caller) -> Found {
    let base = PathBuf::from(format!("/proc/{pid}"));
    match parts {
        ["task"] => Found::Real(base.join("task"), false),
        ["task", thread, rest @ ..] => match thread.parse() {
            Ok(thread) => in_task(pid, thread, rest, own, caller),
            Err(_) => MISSING,
        },
        parts => of_process(&base, parts, pid == own, caller),
    }
}

fn in_task(pid: i32, thread: i32, parts: &[&str], own: i32, caller: &Caller) -> Found {
    let base = PathBuf::from(format!("/proc/{pid}/task/{thread}"));
    of_process(&base, parts, pid == own, caller)
}

fn of_process(base: &Path, parts: &[&str], is_own: bool, caller: &Caller) -> Found {
    let real = base.join(parts.join("/"));
    match parts {
        [] => Found::Real(real, false),
        ["fd"] if is_own => Found::Real(real, false),
        ["fd", _] | ["exe"] if is_own => Found::Magic(real),
        ["fd", _, rest @ ..] if is_own => through(&base.join("fd").join(parts[1]), rest, caller),
        ["exe"] => Found::Link(real, None),
        ["cwd" | "root"] if is_own => Found::Link(real, None),
        [link @ ("cwd" | "root"), rest @ ..] if is_own => through(&base.join(link), rest, caller),
        ["ns"] => Found::Real(real, false),
        ["ns", _] => Found::Link(real, None),
        ["mounts"] => Found::Text(real, made_up::mounts()),
        ["mountinfo"] => Found::Text(real, made_up::mountinfo()),
        ["mountstats"] => Found::Text(real, made_up::mountstats()),
        [name, ..] if is_in(PUBLIC, name) || (is_own && is_in(OWN, name)) => {
            Found::Real(real, is_own && is_in(WRITABLE, name))
        }
        [name, ..] if is_in(OWN, name) || matches!(*name, "cwd" | "root" | "fd" | "mem") => DENIED,
        _ => MISSING,
    }
}

/// A path beyond a link to a folder of the tree.
fn through(link: &Path, rest: &[&str], caller: &Caller) -> Found {
    match caller.link(link) {
        Ok(folder) => Found::Tree(folder.join(rest.join("/"))),
        Err(error) => Found::Nothing(error.raw_os_error().unwrap_or(libc::ENOENT)),
    }
}

fn in_sys(parts: &[&str]) -> Found {
    match parts {
        ["firmware", ..] | ["devices", "virtual", "powercap", ..] => MISSING,
        parts => Found::Real(Path::new("/sys").join(parts.join("/")), false),
    }
}

/// A link to a standard stream.
fn stream(number: u32) -> Found {
    let text = format!("/proc/self/fd/{number}");
    Found::Link(PathBuf::from("/dev/stdin"), Some(text))
}

fn in_dev(parts: &[&str], own: i32, caller: &Caller) -> Found {
    match parts {
        ["fd", rest @ ..] if !rest.is_empty() => {
            in_process(own, &[&["fd"], rest].concat(), own, caller)
        }
        ["stdin"] => stream(0),
        ["stdout"] => stream(1),
        ["stderr"] => stream(2),
        [name] => match DEVICES.iter().find(|(device, ..)| device == name) {
            Some((device, ..)) => Found::Device(device),
            None => Found::Unserved,
        },
        _ => Found::Unserved,
    }
}
