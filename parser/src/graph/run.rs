//! The operation behind `RUN`, and its mounts. Unaware of how it is executed.

use serde::{Deserialize, Serialize};

use super::NodeId;

/// `RUN`: one process in a file system.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct RunOp {
    /// The root file system, which the process changes.
    pub base: NodeId,
    /// What is executed. The shell form has `SHELL` in front already. A heredoc that is a
    /// program by itself (`#!`) is the command `/dev/pipes/NAME`, with one entry in `heredocs`.
    pub argv: Vec<String>,
    /// The command for people, as written.
    pub command_display: String,
    /// `KEY=value`: the stage's `ENV` with the `ARG`s in scope, each key once, in order.
    pub env: Vec<String>,
    /// Absolute working directory. It may not exist in `base` when no `WORKDIR` made it.
    pub cwd: String,
    /// The current `USER` (`""` is root), names unresolved.
    pub user: String,
    /// In the order written.
    pub mounts: Vec<RunMount>,
    /// `--network`, else the build's.
    pub network: Network,
    /// `--security`.
    pub security: Security,
    /// Files to show at `/dev/pipes/NAME`.
    pub heredocs: Vec<HeredocFile>,
    /// Predefined proxy variables (`KEY=value`) given with `--build-arg`. Part of the
    /// process's environment, not of its definition: they are neither serialised nor compared.
    #[serde(skip)]
    pub proxy_env: ProxyEnv,
    /// `--device`.
    pub devices: Vec<Device>,
    /// Host name to show (`BUILDKIT_SANDBOX_HOSTNAME`).
    pub hostname: Option<String>,
}

/// Environment that must not influence keys: all values compare equal.
#[derive(Clone, Debug, Default)]
pub struct ProxyEnv(pub Vec<String>);

impl PartialEq for ProxyEnv {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl Eq for ProxyEnv {}
impl std::hash::Hash for ProxyEnv {
    fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
}

/// A file that stands at `/dev/pipes/NAME` while the process runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct HeredocFile {
    /// The delimiter.
    pub name: String,
    /// As the process reads it.
    pub content: String,
    /// Mode 0755 instead of 0644: the file is itself the program.
    pub executable: bool,
}

/// `RUN --device`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Device {
    /// CDI name: `vendor/class`, `vendor/class=name`, `vendor/class=*`.
    pub name: String,
    /// Whether its absence is an error.
    pub required: bool,
}

/// `RUN --mount`. Targets are absolute and cleaned.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum RunMount {
    /// A file or folder of another file system.
    Bind(BindMount),
    /// A directory that is kept between builds.
    Cache(CacheMount),
    /// An empty file system in memory.
    Tmpfs {
        /// Path in the root file system.
        target: String,
        /// Limit in bytes.
        size: Option<u64>,
    },
    /// A secret as a file, an environment variable or both.
    Secret(SecretMount),
    /// An SSH agent's socket.
    Ssh(SshMount),
}

impl RunMount {
    /// The file system whose files it shows or begins with, the path in it, and the target; none if it has no such files.
    pub fn files(&self) -> Option<(NodeId, &str, &str)> {
        match self {
            RunMount::Bind(bind) => Some((bind.from, &bind.source, &bind.target)),
            RunMount::Cache(cache) => Some((cache.from?, &cache.source, &cache.target)),
            _ => None,
        }
    }

    /// The same file system, to be replaced.
    pub(super) fn source_mut(&mut self) -> Option<&mut NodeId> {
        match self {
            RunMount::Bind(bind) => Some(&mut bind.from),
            RunMount::Cache(cache) => cache.from.as_mut(),
            _ => None,
        }
    }
}

/// `type=bind`: a file or folder of another file system; writes (with `rw`) are thrown away.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct BindMount {
    /// Where it is.
    pub from: NodeId,
    /// Path in `from`, absolute and cleaned; `/` is its root.
    pub source: String,
    /// Path in the root file system.
    pub target: String,
    /// Writable.
    pub rw: bool,
}

/// `type=cache`: a directory that is kept between builds. Its content never enters the layer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct CacheMount {
    /// Its name; the cleaned target if not given. Holds the namespace
    /// (`BUILDKIT_CACHE_MOUNT_NS`) as `ns/id` if there is one.
    pub id: String,
    /// Path in the root file system.
    pub target: String,
    /// What several users at once do.
    pub sharing: Sharing,
    /// Initial content.
    pub from: Option<NodeId>,
    /// Path in `from`; `/` is its root.
    pub source: String,
    /// Mode of a new cache directory; None is that of `source`.
    pub mode: Option<u32>,
    /// Owner of a new cache directory; None is that of `source`.
    pub uid: Option<u32>,
    /// Group of a new cache directory; None is that of `source`.
    pub gid: Option<u32>,
    /// Read-only.
    pub ro: bool,
}

/// `type=secret`: a secret as a file, an environment variable or both.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct SecretMount {
    /// Its name at `--secret`.
    pub id: String,
    /// File to show it as.
    pub target: Option<String>,
    /// Environment variable to set.
    pub env: Option<String>,
    /// Whether its absence is an error.
    pub required: bool,
    /// Mode of the file.
    pub mode: u32,
    /// Owner of the file.
    pub uid: u32,
    /// Group of the file.
    pub gid: u32,
}

/// `type=ssh`: an SSH agent's socket; `SSH_AUTH_SOCK` points to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct SshMount {
    /// Its name at `--ssh`.
    pub id: String,
    /// Socket's path; None is `/run/buildkit/ssh_agent.N`, N counted from 0 in one RUN.
    pub target: Option<String>,
    /// Whether its absence is an error.
    pub required: bool,
    /// Mode of the socket.
    pub mode: u32,
    /// Owner of the socket.
    pub uid: u32,
    /// Group of the socket.
    pub gid: u32,
}

/// What several RUNs that use one cache mount at once do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sharing {
    /// Use it at once.
    #[default]
    Shared,
    /// Each has its own; a new one is made if all are in use.
    Private,
    /// Wait for each other.
    Locked,
}

/// Network of a `RUN`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// The engine's default.
    #[default]
    Default,
    /// Loopback only.
    None,
    /// The host's; needs an entitlement.
    Host,
}

/// Confinement of a `RUN`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Security {
    /// As usual.
    #[default]
    Sandbox,
    /// Privileged; needs an entitlement.
    Insecure,
}
