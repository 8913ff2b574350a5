//! Which calls of a command wait for an answer, and where their arguments are. Unaware of what is answered.

use std::collections::HashMap;

use crate::seccomp;

/// What a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Opens a file; the flags are the argument of this number.
    Open(usize),
    /// Makes a file, or empties it, and opens it.
    Create,
    /// Opens a file, with flags in a `struct open_how` whose address is the argument of this number.
    OpenHow(usize),
    /// Stores what a file is; where, is the argument of this number.
    Stat(usize, Layout, Links),
    /// Asks for access; the mode is the argument of this number.
    Access(usize),
    /// Stores where a link leads; where, is the argument of this number, and the size is the next.
    ReadLink(usize),
    /// Becomes another program.
    Execute,
    /// Asks for extended attributes.
    Attributes,
    /// Changes what a file is beside its content.
    Change(Change, Links),
    /// Changes the working folder.
    ChangeFolder,
    /// Sends a signal to a process or a group.
    Signal,
    /// Sends a signal through a descriptor of a process.
    SignalByDescriptor,
    /// Does something to the process or thread that the argument of this number names.
    Process(usize),
    /// Does something to a process, or to more: the first argument says to what, where this is one process, and the second to which.
    ProcessOrMore(u64),
}

/// What is changed of a file, and the first argument that says to what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Mode(usize),
    /// User and group.
    Owner(usize),
    /// Two `struct timespec` of 64 bits.
    Times(usize),
    Length(usize),
    /// The folder and the path of another name, then flags.
    Name(usize),
}

/// How the kernel stores what a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `struct stat` of this machine.
    Native,
    /// `struct stat64` of i386.
    Stat64,
    /// `struct statx`.
    Statx,
}

/// Whether a link at the end of a path is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    Followed,
    Taken,
    /// As AT_SYMLINK_NOFOLLOW in the argument of this number says.
    Flag(usize),
}

/// A call that waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    pub act: Act,
    /// The argument that holds the descriptor of the folder from which a path leads, if the call has one.
    pub folder: Option<usize>,
    /// The argument that holds the address of the path.
    pub path: usize,
}

const fn at(folder: usize, act: Act) -> Call {
    Call {
        act,
        folder: Some(folder),
        path: folder + 1,
    }
}

const fn plain(act: Act) -> Call {
    Call {
        act,
        folder: None,
        path: 0,
    }
}

use Act::Change as Changes;
use Change::{Length, Mode, Name, Owner, Times};
use Layout::{Native, Stat64, Statx};
use Links::{Flag, Followed, Taken};

const CALLS: [(&str, Call); 51] = [
    ("open", plain(Act::Open(1))),
    ("openat", at(0, Act::Open(2))),
    ("openat2", at(0, Act::OpenHow(2))),
    ("creat", plain(Act::Create)),
    ("chmod", plain(Changes(Mode(1), Followed))),
    ("fchmodat", at(0, Changes(Mode(2), Followed))),
    ("fchmodat2", at(0, Changes(Mode(2), Flag(3)))),
    ("chown", plain(Changes(Owner(1), Followed))),
    ("chown32", plain(Changes(Owner(1), Followed))),
    ("fchownat", at(0, Changes(Owner(2), Flag(4)))),
    ("utimensat", at(0, Changes(Times(2), Flag(3)))),
    ("utimensat_time64", at(0, Changes(Times(2), Flag(3)))),
    ("truncate", plain(Changes(Length(1), Followed))),
    ("linkat", at(0, Changes(Name(2), Followed))),
    ("stat", plain(Act::Stat(1, Native, Followed))),
    ("lstat", plain(Act::Stat(1, Native, Taken))),
    ("newfstatat", at(0, Act::Stat(2, Native, Flag(3)))),
    ("stat64", plain(Act::Stat(1, Stat64, Followed))),
    ("lstat64", plain(Act::Stat(1, Stat64, Taken))),
    ("fstatat64", at(0, Act::Stat(2, Stat64, Flag(3)))),
    ("statx", at(0, Act::Stat(4, Statx, Flag(2)))),
    ("access", plain(Act::Access(1))),
    ("faccessat", at(0, Act::Access(2))),
    ("faccessat2", at(0, Act::Access(2))),
    ("readlink", plain(Act::ReadLink(1))),
    ("readlinkat", at(0, Act::ReadLink(2))),
    ("execve", plain(Act::Execute)),
    ("execveat", at(0, Act::Execute)),
    ("getxattr", plain(Act::Attributes)),
    ("lgetxattr", plain(Act::Attributes)),
    ("listxattr", plain(Act::Attributes)),
    ("llistxattr", plain(Act::Attributes)),
    ("chdir", plain(Act::ChangeFolder)),
    ("kill", plain(Act::Signal)),
    ("tkill", plain(Act::Process(0))),
    ("tgkill", plain(Act::Process(0))),
    ("rt_sigqueueinfo", plain(Act::Process(0))),
    ("rt_tgsigqueueinfo", plain(Act::Process(0))),
    ("pidfd_open", plain(Act::Process(0))),
    ("pidfd_send_signal", plain(Act::SignalByDescriptor)),
    ("ptrace", plain(Act::Process(1))),
    ("process_vm_readv", plain(Act::Process(0))),
    ("process_vm_writev", plain(Act::Process(0))),
    ("prlimit64", plain(Act::Process(0))),
    ("sched_setscheduler", plain(Act::Process(0))),
    ("sched_setparam", plain(Act::Process(0))),
    ("sched_setattr", plain(Act::Process(0))),
    ("sched_setaffinity", plain(Act::Process(0))),
    ("setpriority", plain(Act::ProcessOrMore(0))),
    ("ioprio_set", plain(Act::ProcessOrMore(1))),
    ("setpgid", plain(Act::Process(1))),
];

/// Whether calls of this name wait for an answer.
pub fn is_notified(name: &str) -> bool {
    CALLS.iter().any(|(notified, _)| *notified == name)
}

/// Arguments of these are others in programs of 32 bits: ids of 16 bits, times of 32.
const NATIVE: [&str; 2] = ["chown", "utimensat"];

/// All of them, by binary interface and number.
pub fn by_number() -> HashMap<(u32, u32), Call> {
    let call = |name: &str| CALLS.iter().find(|(known, _)| *known == name);
    let native = seccomp::calls().next().map(|(arch, ..)| arch);
    let is_known = |arch, name| Some(arch) == native || !NATIVE.contains(&name);
    let known = seccomp::calls().filter(|(arch, _, name)| is_known(*arch, *name));
    known
        .filter_map(|(arch, number, name)| Some(((arch, number), call(name)?.1)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_has_a_number_somewhere() {
        let known: Vec<&str> = seccomp::calls().map(|(.., name)| name).collect();
        for (name, _) in CALLS {
            let is_of_others = cfg!(target_arch = "aarch64");
            assert!(known.contains(&name) || is_of_others, "{name}");
        }
        assert!(by_number().len() >= 30);
    }
}
