//! What every RUN sees and may use: hosts, volumes, secrets, agents, limits. Unaware of how a process gets it.

use crate::host::agent::AgentSource;
use kiln_cache::KeyBuilder;
use kiln_sandbox::{Limits, NetworkStack};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

/// What every RUN sees and may use.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RunOptions {
    /// `--add-host`: name and address.
    pub extra_hosts: Vec<(String, String)>,
    /// `--network`: what a RUN on the network `default` is connected to.
    pub default_network: DefaultNetwork,
    /// `--no-hosts`: RUN sees the `/etc/hosts` of its root.
    pub no_hosts: bool,
    /// `--shm-size`, bytes.
    pub shm_size: Option<u64>,
    /// `--ulimit`: name, soft and hard limit; `u64::MAX` is unlimited.
    pub ulimits: Vec<(String, u64, u64)>,
    /// `--volume`: what it sees of the machine.
    pub volumes: Vec<Volume>,
    /// `--secret`, contents read.
    #[serde(skip)]
    pub secrets: BTreeMap<String, Secret>,
    /// `--ssh`, by id.
    #[serde(skip)]
    pub ssh: BTreeMap<String, AgentSource>,
    /// `--stdin`: what RUNs read, one after the other.
    #[serde(skip)]
    pub stdin: Option<Arc<OwnedFd>>,
    /// `--memory` and its family: what it may use of the machine.
    pub limits: Limits,
    /// `--on-error`: what a RUN that fails has left is kept for the caller.
    pub keeps_failed: bool,
    /// `--jobs`: RUNs at once; `None` for all that are ready.
    pub jobs: Option<usize>,
}

impl RunOptions {
    /// Adds what a RUN can notice, under the flags' names; nothing for flags that were not given.
    pub(crate) fn key(&self, mut key: KeyBuilder) -> KeyBuilder {
        let Self {
            extra_hosts,
            no_hosts,
            shm_size,
            ulimits,
            volumes,
            // as in docker: who has another secret or agent, or reads something else, is to get the same result
            secrets: _,
            ssh: _,
            stdin: _,
            // as in docker: a limit decides whether a RUN succeeds and how long it takes, not what it makes
            limits: _,
            // a step that fails has no result
            keeps_failed: _,
            jobs: _,
            // as in BuildKit, where the worker decides what its network is: who builds decides what a RUN may reach, not what it makes
            default_network: _,
        } = self;
        if !extra_hosts.is_empty() {
            let hosts = extra_hosts
                .iter()
                .flat_map(|(name, address)| [name, address]);
            key = key.list("--add-host", hosts);
        }
        if *no_hosts {
            key = key.bytes("--no-hosts", b"");
        }
        if let Some(size) = shm_size {
            key = key.bytes("--shm-size", &size.to_le_bytes());
        }
        if !ulimits.is_empty() {
            let limit = |(name, soft, hard): &_| format!("{name}={soft}:{hard}");
            key = key.list("--ulimit", ulimits.iter().map(limit));
        }
        if !volumes.is_empty() {
            key = key.list("--volume", volumes.iter().flat_map(Volume::material));
        }
        key
    }
}

impl RunOptions {
    /// The values of the same flags for people, by the same names.
    pub(crate) fn values(&self) -> BTreeMap<String, String> {
        let joined = |texts: &mut dyn Iterator<Item = String>| {
            let texts: Vec<String> = texts.collect();
            Some(texts.join(",")).filter(|text| !text.is_empty())
        };
        let host = |(name, address): &_| format!("{name}:{address}");
        let limit = |(name, soft, hard): &_| format!("{name}={soft}:{hard}");
        let volume = |volume: &Volume| format!("{}:{}", volume.source.display(), volume.target);
        let values = [
            ("--add-host", joined(&mut self.extra_hosts.iter().map(host))),
            ("--no-hosts", self.no_hosts.then(|| "true".to_owned())),
            ("--shm-size", self.shm_size.map(|size| size.to_string())),
            ("--ulimit", joined(&mut self.ulimits.iter().map(limit))),
            ("--volume", joined(&mut self.volumes.iter().map(volume))),
        ];
        let given = |(name, value): (&str, Option<String>)| Some((name.to_owned(), value?));
        values.into_iter().filter_map(given).collect()
    }
}

/// What the network `default` is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DefaultNetwork {
    /// The machine's.
    #[default]
    Host,
    /// One of its own for each RUN, connected by the first of these that is installed and works.
    Private(Vec<NetworkStack>),
}

/// `--volume`: a folder or file of the machine in every RUN.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Where it is, without links.
    pub source: PathBuf,
    /// Where RUN sees it: absolute, without `..`.
    pub target: String,
    /// What becomes of changes.
    pub access: VolumeAccess,
}

impl Volume {
    fn material(&self) -> [&[u8]; 3] {
        let Self {
            source,
            target,
            access,
        } = self;
        let access: &[u8] = match access {
            VolumeAccess::Kept => b"kept",
            VolumeAccess::ReadOnly => b"read-only",
            VolumeAccess::Dropped => b"dropped",
        };
        [source.as_os_str().as_bytes(), target.as_bytes(), access]
    }
}

/// What a RUN may do with a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum VolumeAccess {
    /// Change it.
    Kept,
    /// Read it.
    ReadOnly,
    /// Change what it sees; the next RUN sees the folder as it is.
    Dropped,
}

/// What `--secret` gives: content that no message, event or debug output ever shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// The secret with this content.
    #[must_use]
    pub fn new(content: Vec<u8>) -> Self {
        Secret(content)
    }
}

impl std::ops::Deref for Secret {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}
