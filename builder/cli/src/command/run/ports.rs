//! `--publish`: ports of this machine that lead into a container, which has a private network then. Unaware of what connects it.

use crate::failure::Failure;
use crate::flag::Flag;
use crate::pflag::Takes;
use kiln_engine::{DefaultNetwork, Request};
use kiln_parser::graph::Network;
use kiln_sandbox::{NetworkStack, Port};
use std::net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket};

#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Flags {
    /// Port of this machine that leads to one of the container, which has a private network then; any free one without HOST (may be repeated)
    #[arg(short, long, value_name = "[ADDRESS:][HOST:]PORT[/udp]", add = Takes::StrictList)]
    publish: Vec<String>,
}

impl Flag for Flags {
    /// Ports need a network of the container's own.
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        // before anything is pulled
        if self.ports(Network::Default)?.is_empty() {
            return Ok(());
        }
        match (request.language.network, &request.run.default_network) {
            (Network::None, _) => {
                let failure = Failure::usage("--publish needs a network, and there is none");
                Err(failure.hint("leave out --network none"))
            }
            (Network::Host, _) => {
                let why = "on the network of this machine, what listens in the container is reached at its own port";
                request
                    .notices
                    .push(format!("--publish has no effect: {why}"));
                Ok(())
            }
            (Network::Default, DefaultNetwork::Private(_)) => Ok(()),
            (Network::Default, DefaultNetwork::Host) => {
                let all = NetworkStack::ALL.to_vec();
                request.run.default_network = DefaultNetwork::Private(all);
                Ok(())
            }
        }
    }
}

impl Flags {
    /// The ports, each with one of this machine.
    ///
    /// # Errors
    /// One is malformed, or none is free.
    pub fn ports(&self, network: Network) -> Result<Vec<Port>, Failure> {
        if network == Network::Host {
            return Ok(Vec::new());
        }
        let read = |text: &String| {
            let wrong = |why| Failure::usage(format!("--publish {text}: {why}"));
            read(text).map_err(wrong)
        };
        self.publish.iter().map(read).collect()
    }
}

/// `[ADDRESS:][HOST:]PORT[/tcp|/udp]`; an address of IPv6 stands in brackets.
fn read(text: &str) -> Result<Port, String> {
    let (rest, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let is_udp = match protocol {
        "tcp" => false,
        "udp" => true,
        other => return Err(format!("kiln publishes tcp and udp, and no {other:?}")),
    };
    let mut parts = rest.rsplitn(3, ':');
    let inside = number(parts.next().unwrap_or_default())?;
    let host = parts.next().filter(|host| !host.is_empty());
    let address = parts.next().filter(|address| !address.is_empty());
    let address = address.map(address_of).transpose()?;
    let host = match host {
        Some(host) => number(host)?,
        None => free(address, is_udp).ok_or("no port is free")?,
    };
    Ok(Port {
        address,
        host,
        inside,
        is_udp,
    })
}

fn address_of(text: &str) -> Result<IpAddr, String> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    bare.parse().map_err(|_| format!("{text:?} is no address"))
}

fn number(text: &str) -> Result<u16, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| match text.contains('-') {
        true => "ranges are not supported: publish each port".to_owned(),
        false => format!("{text:?} is no port"),
    })
}

/// A port that is free now.
fn free(address: Option<IpAddr>, is_udp: bool) -> Option<u16> {
    let at = (address.unwrap_or(Ipv4Addr::UNSPECIFIED.into()), 0);
    let bound = match is_udp {
        true => UdpSocket::bind(at).ok()?.local_addr(),
        false => TcpListener::bind(at).ok()?.local_addr(),
    };
    Some(bound.ok()?.port())
}

/// `0.0.0.0:8080->80/tcp`, as docker shows it.
pub fn shown(port: &Port) -> String {
    let all = Ipv4Addr::UNSPECIFIED.into();
    let (address, protocol) = (port.address.unwrap_or(all), port.protocol());
    format!("{address}:{}->{}/{protocol}", port.host, port.inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_as_docker_does() {
        for (text, expected) in [
            ("8080:80", "0.0.0.0:8080->80/tcp"),
            ("127.0.0.1:8080:80/udp", "127.0.0.1:8080->80/udp"),
            ("[::1]:8080:80", "::1:8080->80/tcp"),
        ] {
            assert_eq!(shown(&read(text).unwrap()), expected);
        }
        assert!(read("80").unwrap().host > 0 && read("127.0.0.1::80").unwrap().host > 0);
        for wrong in [
            "",
            "x",
            "0:80",
            "8000-8010:80-90",
            "80/sctp",
            "here:1:2",
            "65536",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
