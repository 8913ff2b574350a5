//! What one process sees, whatever runs it: its command, environment, user and mounts. Plain data; unaware of Dockerfiles and of how a
//! root file system or a mount is made.

use crate::execute::users::Identity;
use crate::host::agent::Agent;
use crate::plan::output::Stack;
use crate::request::{DefaultNetwork, RunOptions, Secret, Volume, VolumeAccess};
use crate::session::Host;
use kiln_cache::{CacheSharing, CacheStart};
use kiln_oci::{DEFAULT_PATH, Digest};
use kiln_parser::graph::Network;
use kiln_sandbox::{NetworkStack, Port, TerminalSize};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

/// The same name on every machine, so that it cannot make results differ.
const HOSTNAME: &str = "kiln";
/// Docker's size of `/dev/shm`.
const SHM_SIZE: u64 = 64 << 20;

/// One process.
#[derive(Debug)]
pub struct Process {
    /// The command and its arguments.
    pub argv: Vec<String>,
    /// `NAME=value`, each name once.
    pub env: Vec<String>,
    /// The working directory.
    pub cwd: String,
    /// Who runs it.
    pub user: Identity,
    /// The host name inside.
    pub hostname: String,
    /// What it can reach.
    pub network: ProcessNetwork,
    /// What leads into a network of its own from outside.
    pub ports: Vec<Port>,
    /// Whether it has all capabilities that kiln itself has.
    pub is_privileged: bool,
    /// The size of its terminal, if it has one.
    pub terminal: Option<TerminalSize>,
    /// Whether another process is the first one, and takes in orphans.
    pub has_init: bool,
    /// Whether its root is read-only.
    pub is_read_only: bool,
    /// The size of `/dev/shm` in bytes.
    pub shm_size: u64,
    /// Name, soft and hard limit.
    pub ulimits: Vec<(String, u64, u64)>,
    /// Files that every process gets; other mounts may cover them.
    pub files: Vec<Mount>,
    /// Everything else that is mounted, in any order.
    pub mounts: Vec<Mount>,
    /// What [`Mounted::Cache`] names.
    pub caches: BTreeMap<Digest, Cache>,
}

/// What a process can reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProcessNetwork {
    /// What the machine reaches, and the services on its loopback interface.
    Host,
    /// What the machine reaches, through one of these.
    Private(Vec<NetworkStack>),
    /// Itself.
    None,
}

impl ProcessNetwork {
    /// What a word means of which one has a meaning that somebody chose.
    pub fn of(network: Network, default: &DefaultNetwork) -> Self {
        match (network, default) {
            (Network::None, _) => Self::None,
            (Network::Default, DefaultNetwork::Private(stacks)) => Self::Private(stacks.clone()),
            (Network::Default, DefaultNetwork::Host) | (Network::Host, _) => Self::Host,
        }
    }
}

/// The mode of a folder for temporary files.
pub const TEMPORARY: u32 = 0o1777;

/// Something at a path of the root file system.
#[derive(Debug, Clone)]
pub struct Mount {
    /// The path: absolute, without `..`.
    pub target: String,
    /// What is there.
    pub what: Mounted,
    /// Whether writes fail.
    pub read_only: bool,
}

/// What is mounted.
#[derive(Debug, Clone)]
pub enum Mounted {
    /// A path in layers. Changes are thrown away.
    Layers {
        /// The layers.
        stack: Stack,
        /// The path in them, without links; empty for their root.
        path: String,
    },
    /// A folder or file of the machine.
    Folder {
        /// Where it is.
        path: PathBuf,
        /// Whether changes are thrown away.
        is_scratch: bool,
    },
    /// One of [`Process::caches`].
    Cache(Digest),
    /// An empty file system in memory.
    Tmpfs {
        /// Its limit in bytes.
        size: Option<u64>,
        /// The mode of its root folder.
        mode: u32,
    },
    /// One file in memory, perhaps a secret; changes to it are thrown away.
    File {
        /// What it holds.
        content: Secret,
        /// Its mode.
        mode: u32,
        /// Its owner and group.
        owner: (u32, u32),
    },
    /// The socket of an SSH agent.
    Agent {
        /// Who answers.
        agent: Agent,
        /// The mode of the socket.
        mode: u32,
        /// Its owner and group.
        owner: (u32, u32),
    },
}

/// A directory that is kept between builds.
#[derive(Debug, Clone)]
pub struct Cache {
    /// What people call it.
    pub title: String,
    /// What several processes that use it at once do.
    pub sharing: CacheSharing,
    /// How it begins.
    pub start: CacheStart,
}

impl Process {
    /// A process with what every process of a build sees: names resolved as on the host, volumes, limits. It has no command yet.
    pub fn new(user: Identity, hostname: Option<&str>, host: &Host, options: &RunOptions) -> Self {
        let hostname = hostname.unwrap_or(HOSTNAME).to_owned();
        Process {
            argv: Vec::new(),
            env: Vec::new(),
            cwd: "/".to_owned(),
            user,
            files: names(&hostname, host, options),
            hostname,
            network: ProcessNetwork::Host,
            ports: Vec::new(),
            is_privileged: false,
            terminal: None,
            has_init: false,
            is_read_only: false,
            shm_size: options.shm_size.unwrap_or(SHM_SIZE),
            ulimits: options.ulimits.clone(),
            mounts: options.volumes.iter().map(Mount::volume).collect(),
            caches: BTreeMap::new(),
        }
    }

    /// Puts it on a network, and has names resolved there.
    pub fn set_network(&mut self, network: ProcessNetwork, host: &Host) {
        let at = "/etc/resolv.conf";
        if let ProcessNetwork::Private(_) = network {
            let resolv_conf = resolved_at(NetworkStack::RESOLVER, &host.resolv_conf);
            self.files.retain(|file| file.target != at);
            self.files.push(Mount::file(at, &resolv_conf, 0o644));
        }
        self.network = network;
    }

    /// Adds variables, which replace those of the same name.
    pub fn set_env<'v>(&mut self, variables: impl IntoIterator<Item = &'v String>) {
        for variable in variables {
            self.env.retain(|other| name(other) != name(variable));
            self.env.push(variable.clone());
        }
    }

    /// Adds the variables that every process has, where they are missing: PATH, HOME, HOSTNAME. As in runc, an empty HOME is missing.
    pub fn complete_env(&mut self) {
        self.env.retain(|variable| variable != "HOME=");
        let path = format!("PATH={DEFAULT_PATH}");
        let home = format!("HOME={}", self.user.home);
        let hostname = format!("HOSTNAME={}", self.hostname);
        for default in [path, home, hostname] {
            if !self.env.iter().any(|other| name(other) == name(&default)) {
                self.env.push(default);
            }
        }
    }

    /// All mounts in the order in which they are made: no mount hides one that belongs into it, whatever order they were written in.
    pub fn mounts_in_order(&self) -> Vec<&Mount> {
        let mut mounts: Vec<&Mount> = self.mounts.iter().collect();
        mounts.sort_by(|one, other| one.target.cmp(&other.target));
        self.files.iter().chain(mounts).collect()
    }
}

impl Mount {
    /// Something at a path.
    pub fn new(target: &str, what: Mounted, read_only: bool) -> Self {
        Mount {
            target: target.to_owned(),
            what,
            read_only,
        }
    }

    /// An empty file system in memory.
    pub fn tmpfs(target: &str, size: Option<u64>, mode: u32) -> Self {
        Mount::new(target, Mounted::Tmpfs { size, mode }, false)
    }

    /// A file of root's.
    pub fn file(target: &str, content: &str, mode: u32) -> Self {
        let what = Mounted::File {
            content: Secret::new(content.as_bytes().to_vec()),
            mode,
            owner: (0, 0),
        };
        Mount::new(target, what, false)
    }

    fn volume(volume: &Volume) -> Self {
        let what = Mounted::Folder {
            path: volume.source.clone(),
            is_scratch: volume.access == VolumeAccess::Dropped,
        };
        Mount::new(
            &volume.target,
            what,
            volume.access == VolumeAccess::ReadOnly,
        )
    }
}

/// How names are resolved.
fn names(hostname: &str, host: &Host, options: &RunOptions) -> Vec<Mount> {
    let mut files = vec![Mount::file("/etc/resolv.conf", &host.resolv_conf, 0o644)];
    if !options.no_hosts {
        let hosts = hosts(hostname, &options.extra_hosts);
        files.push(Mount::file("/etc/hosts", &hosts, 0o644));
    }
    files
}

/// `/etc/hosts` under kiln's own host name.
fn hosts(hostname: &str, extra: &[(String, String)]) -> String {
    let own = "127.0.0.1\tlocalhost {hostname}\n::1\tlocalhost ip6-localhost ip6-loopback\n";
    let mut hosts = own.replace("{hostname}", hostname);
    for (name, address) in extra {
        // Writing to a String cannot fail.
        let _ = writeln!(hosts, "{address}\t{name}");
    }
    hosts
}

/// A `resolv.conf` with another server, and with the search list and the options that it has.
fn resolved_at(server: &str, resolv_conf: &str) -> String {
    let rest = resolv_conf.lines();
    let rest = rest.filter(|line| !line.trim_start().starts_with("nameserver"));
    let server = format!("nameserver {server}");
    let lines = [server.as_str()].into_iter().chain(rest);
    lines.flat_map(|line| [line, "\n"]).collect()
}

fn name(variable: &str) -> &str {
    variable.split_once('=').map_or(variable, |(name, _)| name)
}
