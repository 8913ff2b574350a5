//! What to run (the command, its identity, its limits and its mounts) and how it ended. Plain data that crosses between the caller and the
//! re-executed process as JSON; both ends are the same binary, so the format has no version. Unaware of how any of it is done.

pub(crate) mod network;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::spec::network::{Network, Port};
use crate::{Cgroup, Disabled};

/// Docker's `PATH`, where a command's environment has none.
pub(crate) const DEFAULT_PATH: &str =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// One process to run in a root file system.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunSpec {
    /// The command and its arguments. A first argument without a slash is looked up in the `PATH` of `env`.
    pub argv: Vec<String>,
    /// The whole environment, each `NAME=value`; nothing is added.
    pub env: Vec<String>,
    /// The folder to start in, absolute inside the root. What is missing is made, mode 0755, owned by the command's user, and stays.
    pub cwd: String,
    /// The user id.
    pub uid: u32,
    /// The group id.
    pub gid: u32,
    /// Supplementary groups; ignored where the user namespace forbids setgroups (a single id).
    pub groups: Vec<u32>,
    /// The host name inside.
    pub hostname: String,
    /// Which network the command sees.
    pub network: Network,
    /// What leads into a private network from outside.
    pub ports: Vec<Port>,
    /// Mounted in this order, after `/proc`, `/sys` and `/dev`.
    pub mounts: Vec<Mount>,
    /// The command has a terminal of its own of this size, and this is its standard input, output and error.
    pub terminal: Option<TerminalSize>,
    /// The command is not the first process: that one takes in orphans, hands signals on, and ends as the command does (a signal `N` as
    /// exit code 128 + `N`).
    pub has_init: bool,
    /// Writes to the root fail with EROFS.
    pub read_only: bool,
    /// Nobody looks at what it leaves: mount points that were made for it stay in the upper.
    pub is_thrown_away: bool,
    /// All capabilities, no seccomp filter, nothing masked, `/sys` writable, devices usable as far as the user namespace allows
    /// (with loop devices, fuse and kvm, if the host has them).
    pub privileged: bool,
    /// The size of `/dev/shm` in bytes.
    pub shm_size: u64,
    /// Name as in `docker --ulimit` (`nofile`), soft and hard limit; `u64::MAX` is unlimited.
    pub rlimits: Vec<(String, u64, u64)>,
    /// The cgroup that limits it, as [`find_cgroup`](crate::find_cgroup) found it.
    pub cgroup: Option<Cgroup>,
    /// The file mode creation mask.
    pub umask: u32,
    /// Features of the kernel that must not be used.
    pub disabled: Disabled,
}

impl Default for RunSpec {
    /// Root in `/`, with docker's `PATH`, 64 MiB of `/dev/shm`, umask 022, the host's network; no command.
    fn default() -> Self {
        Self {
            argv: Vec::new(),
            env: vec![format!("PATH={DEFAULT_PATH}")],
            cwd: "/".to_owned(),
            uid: 0,
            gid: 0,
            groups: Vec::new(),
            hostname: "kiln".to_owned(),
            network: Network::Host,
            ports: Vec::new(),
            mounts: Vec::new(),
            terminal: None,
            has_init: false,
            read_only: false,
            is_thrown_away: false,
            privileged: false,
            shm_size: 64 << 20,
            rlimits: Vec::new(),
            cgroup: None,
            umask: 0o022,
            disabled: Disabled::default(),
        }
    }
}

/// How large a terminal is, in letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalSize {
    /// How many lines it has.
    pub rows: u16,
    /// How many letters a line has.
    pub columns: u16,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// The exit code, when it ended by itself. 127: not found, 126: found but not executable.
    pub code: Option<i32>,
    /// The signal that ended it otherwise.
    pub signal: Option<i32>,
    /// What it has used.
    pub used: Used,
    /// Whether one of its processes was killed because the memory of its cgroup ran out.
    pub out_of_memory: bool,
}

/// What a command has used. Where it has a cgroup that counts, that is the source; else the kernel's account of the command and the children
/// that it waited for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// Time of processors.
    pub cpu: Duration,
    /// Bytes at the peak: of all processes and of files in memory in a cgroup, else the largest resident set of one process.
    pub memory: u64,
    /// Bytes that the command and the children that it waited for have written to file systems on disks.
    pub written: u64,
}

/// One mount inside the root. All are `nosuid` and `nodev`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Mount {
    /// Absolute, inside the root. Symbolic links in it are followed inside the root. What is missing is made (a
    /// folder, or a file for a file) and removed from the upper after the run if it is still empty. What is
    /// missing inside an earlier mount is made there and stays. Links inside an earlier mount are an error.
    pub target: String,
    /// What is mounted.
    pub kind: MountKind,
    /// Whether writes fail with EROFS.
    pub read_only: bool,
}

/// What is mounted.
#[derive(Clone, Serialize, Deserialize)]
pub enum MountKind {
    /// A folder or file of the host, with what is mounted below it.
    Bind {
        /// The trusted path of a folder or file.
        base: PathBuf,
        /// An untrusted path below `base`, resolved inside `base` with its links. If empty, `base` itself.
        path: String,
    },
    /// An empty file system in memory.
    Tmpfs {
        /// Its size in bytes; half of the memory by default.
        size: Option<u64>,
        /// The mode of its root folder, `0o1777` for a temporary folder.
        mode: u32,
    },
    /// One small file in memory: a secret, `resolv.conf`, `hosts`. Writes to it stay in memory.
    File {
        /// What it holds.
        content: Vec<u8>,
        /// Its mode, as `0o400`.
        mode: u32,
        /// Its owner.
        uid: u32,
        /// Its group.
        gid: u32,
    },
    /// A socket in memory. The caller accepts the connections.
    Socket {
        /// Its place in [`Extra::sockets`](crate::Extra).
        index: usize,
        /// Its mode, as `0o600`.
        mode: u32,
        /// Its owner.
        uid: u32,
        /// Its group.
        gid: u32,
    },
    /// A part of one of the root mounts that are given to [`run`](crate::run).
    Root {
        /// Its place in [`Extra::roots`](crate::Extra). Each can be used by one mount.
        index: usize,
        /// An untrusted path in it, resolved inside it. If empty, its root.
        path: String,
    },
}

impl fmt::Debug for MountKind {
    /// Without the content of files, which may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind { base, path } => write!(f, "bind of {path:?} in {}", base.display()),
            Self::Tmpfs { size, mode } => write!(f, "tmpfs of {size:?} bytes, {mode:o}"),
            Self::File { content, mode, .. } => {
                write!(f, "file of {} bytes, {mode:o}", content.len())
            }
            Self::Socket { index, mode, .. } => write!(f, "socket {index}, {mode:o}"),
            Self::Root { index, path } => write!(f, "{path:?} in root {index}"),
        }
    }
}
