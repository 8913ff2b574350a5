//! Where a daemon listens, as `DOCKER_HOST` and docker's contexts say it. Unaware of which one is meant.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use reqwest::Url;

use super::DaemonError;

/// What there is instead of ssh and TLS.
const ELSEWHERE: &str = "kiln reaches daemons by sockets and by TCP without TLS; `ssh -NL /tmp/docker.sock:/var/run/docker.sock HOST` \
                         makes a socket here of one elsewhere";

/// An address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// `unix://PATH`: a socket of this machine.
    Socket(PathBuf),
    /// `tcp://HOST:PORT`, without TLS.
    Tcp(Url),
}

impl Address {
    /// The socket, if it is one.
    pub(super) fn socket(&self) -> Option<&Path> {
        match self {
            Address::Socket(path) => Some(path),
            Address::Tcp(_) => None,
        }
    }

    /// What is asked begins with this. A socket has no host, but HTTP wants one.
    pub(super) fn url(&self) -> Url {
        match self {
            Address::Socket(_) => any_host(),
            Address::Tcp(url) => url.clone(),
        }
    }
}

#[allow(clippy::expect_used)] // a constant
fn any_host() -> Url {
    Url::parse("http://daemon/").expect("a constant is an address")
}

impl FromStr for Address {
    type Err = DaemonError;

    fn from_str(text: &str) -> Result<Self, DaemonError> {
        let wrong = |problem: &str| DaemonError::Address {
            address: text.to_owned(),
            problem: problem.to_owned(),
        };
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(wrong("it is not unix://PATH or tcp://HOST:PORT"));
        };
        match scheme {
            "unix" if rest.starts_with('/') => Ok(Address::Socket(rest.into())),
            "unix" => Err(wrong("the path of the socket is not absolute")),
            "tcp" | "http" => {
                let url = Url::parse(&format!("http://{rest}"));
                url.map(Address::Tcp)
                    .map_err(|error| wrong(&error.to_string()))
            }
            "ssh" | "https" => Err(wrong(ELSEWHERE)),
            "npipe" | "fd" => Err(wrong("there is nothing of that kind for a client here")),
            _ => Err(wrong("it is not unix://PATH or tcp://HOST:PORT")),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Socket(path) => write!(out, "unix://{}", path.display()),
            Address::Tcp(url) => {
                let host = crate::http::host_of(url);
                write!(out, "tcp://{host}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_docker() {
        for text in [
            "unix:///run/docker.sock",
            "tcp://127.0.0.1:2375",
            "tcp://host:1",
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        let wrong = [
            "",
            "/run/docker.sock",
            "unix://docker.sock",
            "ssh://me@host",
            "tcp://",
            "fd://",
        ];
        for text in wrong {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
