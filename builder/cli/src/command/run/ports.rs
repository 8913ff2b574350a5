//! `--publish`: ports of this machine that lead into a container, which has a private network then. Unaware of what connects it.

use crate::failure::{Failure, Kind};
use crate::flag::Flag;
use crate::pflag::Takes;
use kiln_engine::{DefaultNetwork, Request};
use kiln_parser::graph::Network;
use kiln_sandbox::{NetworkStack, Port};
use rustix::net::getsockname;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;

/// How often a port is asked for that is not one of those that were got before. There are some 28000, and the kernel gives any.
const TRIES: usize = 100;

#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Flags {
    /// Port of this machine that leads to one of the container, which has a private network then; any free one without HOST. Ranges
    /// such as 8000-8010 are possible (may be repeated)
    #[arg(short, long, value_name = "[ADDRESS:][HOST:]PORT[/udp]", add = Takes::StrictList)]
    publish: Vec<String>,
    /// The same for all ports that the image says it listens at (EXPOSE), each with one that is free
    #[arg(short = 'P', long, add = Takes::Switch)]
    publish_all: bool,
}

impl Flag for Flags {
    /// Ports need a network of the container's own.
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        // before anything is pulled
        if self.ports(Network::Default, [])?.is_empty() && !self.publish_all {
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
    /// The ports, each with one of this machine; `exposed` are those of the image.
    ///
    /// # Errors
    /// One is malformed, or none is free.
    pub fn ports<'a>(
        &self,
        network: Network,
        exposed: impl IntoIterator<Item = &'a String>,
    ) -> Result<Vec<Port>, Failure> {
        if network == Network::Host {
            return Ok(Vec::new());
        }
        let mut all = Vec::new();
        for text in &self.publish {
            let wrong = |why| Failure::usage(format!("--publish {text}: {why}"));
            all.extend(read(text).map_err(wrong)?);
        }
        for text in exposed.into_iter().filter(|_| self.publish_all) {
            let wrong = |why| Failure::new(Kind::Build, format!("EXPOSE {text}: {why}"));
            let mut ports = read(text).map_err(wrong)?;
            let is_given = |port: &Port| (port.inside, port.is_udp);
            ports.retain(|port| !all.iter().any(|other| is_given(other) == is_given(port)));
            all.extend(ports);
        }
        Ok(all)
    }
}

/// `[ADDRESS:][HOST:]PORT[/tcp|/udp]`; an address of IPv6 stands in brackets, and a port may be a range.
fn read(text: &str) -> Result<Vec<Port>, String> {
    let (rest, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let is_udp = match protocol {
        "tcp" => false,
        "udp" => true,
        other => return Err(format!("kiln publishes tcp and udp, and no {other:?}")),
    };
    let mut parts = rest.rsplitn(3, ':');
    let inside = range(parts.next().unwrap_or_default())?;
    // docker's 0 is any that is free, too
    let host = parts.next().filter(|host| !matches!(*host, "" | "0"));
    let address = parts.next().filter(|address| !address.is_empty());
    let address = address.map(address_of).transpose()?;
    let place = Place { address, is_udp };
    let hosts = place.ports(host.map(range).transpose()?, inside.clone())?;
    let ports = hosts.into_iter().zip(inside).map(|(host, inside)| Port {
        address,
        host,
        inside,
        is_udp,
    });
    Ok(ports.collect())
}

fn address_of(text: &str) -> Result<IpAddr, String> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    bare.parse().map_err(|_| format!("{text:?} is no address"))
}

/// `8000`, or `8000-8010`.
fn range(text: &str) -> Result<RangeInclusive<u16>, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let range = number(first)?..=number(last)?;
    match range.is_empty() {
        true => Err(format!("{text:?} ends before it begins")),
        false => Ok(range),
    }
}

fn number(text: &str) -> Result<u16, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| format!("{text:?} is no port"))
}

/// Where ports of this machine are.
#[derive(Clone, Copy)]
struct Place {
    address: Option<IpAddr>,
    is_udp: bool,
}

impl Place {
    /// One for each of the container: of the range, or any that are free.
    fn ports(
        self,
        hosts: Option<RangeInclusive<u16>>,
        inside: RangeInclusive<u16>,
    ) -> Result<Vec<u16>, String> {
        match hosts {
            Some(hosts) if hosts.len() == inside.len() => Ok(hosts.collect()),
            Some(mut hosts) if inside.len() == 1 => {
                let free = hosts.find_map(|port| self.free(port));
                Ok(vec![free.ok_or("none of its ports is free")?])
            }
            Some(_) => Err("the ranges are not of the same length".to_owned()),
            None => {
                let mut free = Vec::new();
                for _ in inside {
                    free.push(self.another(&free).ok_or("no port is free")?);
                }
                Ok(free)
            }
        }
    }

    /// Any that is free now, but for these: nobody has those yet.
    fn another(self, than: &[u16]) -> Option<u16> {
        let mut free = (0..TRIES).filter_map(|_| self.free(0));
        free.find(|port| !than.contains(port))
    }

    /// The port, if it is free now; any that is for 0.
    fn free(self, host: u16) -> Option<u16> {
        let port = Port {
            address: self.address,
            host,
            inside: host,
            is_udp: self.is_udp,
        };
        let taken = getsockname(port.take().ok()?).ok()?;
        SocketAddr::try_from(taken).ok().map(|at| at.port())
    }
}

/// `0.0.0.0:8080->80/tcp`, as docker shows it.
pub fn shown(port: &Port) -> String {
    format!("{}->{}", outside(port), inside(port))
}

/// `80/tcp`.
pub fn inside(port: &Port) -> String {
    format!("{}/{}", port.inside, port.protocol())
}

/// `0.0.0.0:8080`.
pub fn outside(port: &Port) -> String {
    let all = Ipv4Addr::UNSPECIFIED.into();
    SocketAddr::new(port.address.unwrap_or(all), port.host).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_as_docker_does() {
        let all = |text: &str| {
            let ports = read(text).unwrap();
            ports.iter().map(shown).collect::<Vec<_>>().join(" ")
        };
        for (text, expected) in [
            ("8080:80", "0.0.0.0:8080->80/tcp"),
            ("127.0.0.1:8080:80/udp", "127.0.0.1:8080->80/udp"),
            ("[::1]:8080:80", "[::1]:8080->80/tcp"),
            ("81-82:91-92", "0.0.0.0:81->91/tcp 0.0.0.0:82->92/tcp"),
        ] {
            assert_eq!(all(text), expected);
        }
        for text in ["80", "0:80", "127.0.0.1::80", "50000-60000:80"] {
            let ports = read(text).unwrap();
            assert!(ports[0].host > 0 && (ports.len(), ports[0].inside) == (1, 80));
        }
        let mut hosts: Vec<u16> = read("1000-3000")
            .unwrap()
            .iter()
            .map(|port| port.host)
            .collect();
        hosts.sort_unstable();
        hosts.dedup();
        assert_eq!(hosts.len(), 2001);
        for wrong in [
            "",
            "x",
            "80:0",
            "80-90:8000-8001",
            "90-80",
            "80/sctp",
            "here:1:2",
            "65536",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_port_of_one_family_is_free_in_the_other() {
        let taken = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let place = |address: &str| Place {
            address: Some(address.parse().unwrap()),
            is_udp: false,
        };
        assert_eq!(place("0.0.0.0").free(port), None);
        assert_eq!(place("::").free(port), Some(port));
    }

    #[test]
    fn all_ports_of_the_image_are_published_that_are_not_already() {
        let flags = Flags {
            publish: vec!["8080:80".to_owned()],
            publish_all: true,
        };
        let exposed = ["80/tcp", "80/udp", "443"].map(str::to_owned);
        let ports = flags.ports(Network::Default, &exposed).unwrap();
        let inside = ports.iter().map(|port| (port.inside, port.is_udp));
        assert_eq!(
            inside.collect::<Vec<_>>(),
            [(80, false), (80, true), (443, false)]
        );
        assert!(flags.ports(Network::Host, &exposed).unwrap().is_empty());
    }
}
