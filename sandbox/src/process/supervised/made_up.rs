//! What a command finds of `/proc` and `/sys` that is made for it: its mounts, since the container's are not its own, and lists of names.
//!
//! A list is a folder in the command's own tree, at the same path, with an empty file for each name: the command never gets a folder that is
//! not in its tree, since `..` would lead on from there. Unaware of calls.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, mkdirat, openat, readlinkat, symlinkat, unlinkat,
};
use rustix::io::Errno;

use super::family;
use crate::root::detached::open_folder_at;

/// Below `/proc`: nothing for a command, as in `root/system.rs`, and nothing else of the kernel's insides.
const MASKED: &str = "acpi asound interrupts kallsyms kcore key-users keys kmsg kpagecgroup kpagecount kpageflags latency_stats mtrr \
                      sched_debug scsi sysrq-trigger timer_list timer_stats vmallocinfo";

/// Whether a name below `/proc` is hidden.
pub fn is_masked(name: &OsStr) -> bool {
    MASKED.split_ascii_whitespace().any(|masked| name == masked)
}

/// proc_pid_mounts(5).
const MOUNTS: [(&str, &str, &str); 4] = [
    ("overlay", "/", "overlay"),
    ("proc", "/proc", "proc"),
    ("sysfs", "/sys", "sysfs"),
    ("tmpfs", "/dev", "tmpfs"),
];

pub fn mounts() -> String {
    let line = |(source, target, kind)| format!("{source} {target} {kind} rw,relatime 0 0\n");
    MOUNTS.into_iter().map(line).collect()
}

pub fn mountinfo() -> String {
    let line = |(number, (source, target, kind))| {
        let parent = if number == 0 { 1 } else { 21 };
        let id = 21 + number;
        format!("{id} {parent} 0:{id} / {target} rw,relatime - {kind} {source} rw\n")
    };
    MOUNTS.into_iter().enumerate().map(line).collect()
}

pub fn mountstats() -> String {
    let line = |(source, target, kind)| {
        format!("device {source} mounted on {target} with fstype {kind}\n")
    };
    MOUNTS.into_iter().map(line).collect()
}

/// Makes the folder in the tree that lists the names of a real one, as they are now, and opens it.
pub fn list(tree: BorrowedFd<'_>, real: &Path, own: i32) -> io::Result<OwnedFd> {
    let mut folder = open_folder_at(tree, OsStr::new("."))?;
    for name in real.iter().skip(1) {
        folder = enter(&folder, name)?;
    }
    let wanted = names(real)?;
    // by the descriptor: the command may have moved it meanwhile
    let present = fs::read_dir(format!("/proc/self/fd/{}", folder.as_raw_fd()))?;
    let present: BTreeSet<OsString> = present.flatten().map(|entry| entry.file_name()).collect();
    for (name, kind) in &wanted {
        if !present.contains(name) || name == "self" {
            add(&folder, name, *kind, own)?;
        }
    }
    let known: BTreeSet<&OsString> = wanted.iter().map(|(name, _)| name).collect();
    for name in present.iter().filter(|name| !known.contains(name)) {
        remove(&folder, name);
    }
    Ok(folder)
}

/// A name in the tree for a program there, of as many bytes as `/proc/self/exe`, and with the same end, which names the process.
pub fn program(tree: BorrowedFd<'_>, program: &Path) -> io::Result<String> {
    let proc = enter(&open_folder_at(tree, OsStr::new("."))?, OsStr::new("proc"))?;
    for number in 0..PROGRAMS {
        let name = format!("{PROGRAM}{number:03x}");
        let folder = enter(&proc, OsStr::new(&name))?;
        match symlinkat(program, &folder, "exe") {
            Err(Errno::EXIST) if leads_to(&folder, "exe", program) => {}
            Err(Errno::EXIST) => continue,
            made => made?,
        }
        return Ok(format!("/proc/{name}/exe"));
    }
    Err(Errno::NOSPC.into())
}

fn leads_to(folder: &OwnedFd, name: &str, program: &Path) -> bool {
    let target = readlinkat(folder, name, Vec::new());
    target.is_ok_and(|target| target.as_bytes() == program.as_os_str().as_bytes())
}

/// How the names of [`program`] begin: no name of procfs does.
pub const PROGRAM: &str = "=";
/// As many programs of one tree can execute themselves.
const PROGRAMS: u32 = 1 << 12;

fn enter(folder: &OwnedFd, name: &OsStr) -> io::Result<OwnedFd> {
    match mkdirat(folder, name, Mode::from_raw_mode(0o555)) {
        Err(Errno::EXIST) => {}
        made => made?,
    }
    // a link that the command has put there is not followed
    open_folder_at(folder, name)
}

/// The names of a real folder that the command may know.
fn names(real: &Path) -> io::Result<Vec<(OsString, FileType)>> {
    let is_proc = real == Path::new("/proc");
    let mut names = Vec::new();
    for entry in fs::read_dir(real)?.flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.parse().ok());
        let is_hidden = || match pid {
            Some(pid) => !family::is_below(pid),
            None => is_masked(&name),
        };
        if is_proc && is_hidden() {
            continue;
        }
        let kind = match entry.file_type()? {
            kind if kind.is_dir() => FileType::Directory,
            kind if kind.is_symlink() => FileType::Symlink,
            _ => FileType::RegularFile,
        };
        names.push((name, kind));
    }
    Ok(names)
}

fn add(folder: &OwnedFd, name: &OsStr, kind: FileType, own: i32) -> io::Result<()> {
    let made = match kind {
        FileType::Directory => mkdirat(folder, name, Mode::from_raw_mode(0o555)),
        FileType::Symlink if name == "self" => {
            let _ = unlinkat(folder, name, AtFlags::empty());
            symlinkat(own.to_string(), folder, name)
        }
        FileType::Symlink => symlinkat("served", folder, name),
        _ => {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
            openat(folder, name, flags, Mode::from_raw_mode(0o444)).map(drop)
        }
    };
    match made {
        Err(Errno::EXIST) => Ok(()),
        made => Ok(made?),
    }
}

/// A folder that is in use keeps its names, which the command has no way to look at any more.
fn remove(folder: &OwnedFd, name: &OsStr) {
    if unlinkat(folder, name, AtFlags::empty()).is_err() {
        let _ = unlinkat(folder, name, AtFlags::REMOVEDIR);
    }
}
