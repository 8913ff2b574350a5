//! Which network a command sees, and which programs of the host can connect one of its own. Unaware of how they are started.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Which network the command sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Network {
    /// The host's, with all its interfaces.
    Host,
    /// Its own, with nothing but a loopback interface that is up.
    None,
    /// Its own, which the first of these programs that can connects to what the host reaches, without the host's loopback interface. Where
    /// none can, ports are forwarded into it all the same. Names are resolved at [`NetworkStack::RESOLVER`].
    Private(Vec<NetworkProgram>),
}

/// A port of the host that leads into a private network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// The host's address at which it can be reached; all of them without one.
    pub address: Option<IpAddr>,
    /// The host's port.
    pub host: u16,
    /// The port in the network.
    pub inside: u16,
    /// UDP, and not TCP.
    pub is_udp: bool,
}

impl Port {
    /// `tcp` or `udp`.
    #[must_use]
    pub fn protocol(&self) -> &'static str {
        if self.is_udp { "udp" } else { "tcp" }
    }
}

/// A network stack that runs as an ordinary process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NetworkStack {
    /// `pasta` of passt: splices sockets, and knows IPv6.
    Pasta,
    /// `slirp4netns`: IPv4.
    Slirp4netns,
}

/// A network stack that is installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkProgram {
    /// What it is.
    pub stack: NetworkStack,
    /// Where it is.
    pub path: PathBuf,
}

impl NetworkStack {
    /// All of them, the best first.
    pub const ALL: [Self; 2] = [Self::Pasta, Self::Slirp4netns];

    /// The address in a private network that resolves names as the host does: slirp4netns's own, which pasta is told.
    pub const RESOLVER: &'static str = "10.0.2.3";

    /// The name of the program.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pasta => "pasta",
            Self::Slirp4netns => "slirp4netns",
        }
    }

    /// The program in a search path, which has the form of `PATH`.
    #[must_use]
    pub fn find(self, search_path: &str) -> Option<NetworkProgram> {
        let folders = search_path.split(':').filter(|folder| !folder.is_empty());
        let mut paths = folders.map(|folder| Path::new(folder).join(self.name()));
        let path = paths.find(|path| path.is_file())?;
        Some(NetworkProgram { stack: self, path })
    }
}

impl fmt::Display for NetworkStack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
