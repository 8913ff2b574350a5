//! `--network`, `--add-host`, `--no-hosts`: the network of RUNs that do not say otherwise, and their `/etc/hosts`.

use super::Flag;
use crate::failure::Failure;
use crate::pflag::Takes;
use kiln_engine::{DefaultNetwork, Request};
use kiln_parser::{csv, graph};
use kiln_sandbox::NetworkStack;
use std::net::{IpAddr, Ipv4Addr};

/// docker's word for the address of this machine.
const GATEWAY: &str = "host-gateway";
/// Words of docker, buildah and podman, which take options after a colon.
const OF_OTHER_ENGINES: [&str; 4] = ["bridge", "private", "slirp4netns", "pasta"];

#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Flags {
    /// Network of RUN: default, which is this machine's, none, host, or private for one of its own, through pasta or slirp4netns
    #[arg(
        long,
        env = "KILN_NETWORK",
        hide_env = true,
        value_name = "NETWORK",
        alias = "net",
        add = Takes::Single
    )]
    network: Option<String>,
    /// Entry for /etc/hosts in RUN, as HOST:ADDRESS, or HOST:host-gateway for this machine (may be repeated)
    #[arg(long, value_name = "HOST:ADDRESS", add = Takes::List)]
    add_host: Vec<String>,
    /// Let RUN see the image's own /etc/hosts
    #[arg(long, add = Takes::Switch)]
    no_hosts: bool,
}

impl Flag for Flags {
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        self.network(request)?;
        self.hosts(request)
    }
}

impl Flags {
    fn network(&self, request: &mut Request) -> Result<(), Failure> {
        let name = self.network.as_deref().unwrap_or("default");
        // podman takes options of the program after its name
        let kind = match name.split_once(':') {
            Some((kind, _)) if OF_OTHER_ENGINES.contains(&kind) => kind,
            _ => name,
        };
        let default = default_network(kind).ok_or_else(|| {
            Failure::usage(format!("--network {name}: kiln knows no such network"))
                .hint("use default, none, host or private")
        })?;
        request.notices.extend(without_effect(name, kind));
        request.run.default_network = default;
        request.language.network = match kind {
            "none" => graph::Network::None,
            "host" => graph::Network::Host,
            _ => graph::Network::Default,
        };
        Ok(())
    }

    fn hosts(&self, request: &mut Request) -> Result<(), Failure> {
        if self.no_hosts && !self.add_host.is_empty() {
            return Err(Failure::usage(
                "--add-host and --no-hosts contradict each other",
            ));
        }
        request.run.no_hosts = self.no_hosts;
        let is_private = request.run.default_network != DefaultNetwork::Host;
        if is_private && self.add_host.iter().any(|text| text.contains(GATEWAY)) {
            let wrong = "--add-host: a private network does not reach this machine, so it has no host-gateway";
            return Err(
                Failure::usage(wrong).hint("write the address, or build with --network default")
            );
        }
        for text in &self.add_host {
            let wrong = |why: String| Failure::usage(format!("--add-host {text}: {why}"));
            for entry in csv::fields(text).map_err(wrong)? {
                request
                    .run
                    .extra_hosts
                    .extend(entries(&entry).map_err(wrong)?);
            }
        }
        Ok(())
    }
}

/// What RUN is connected to on the network `default`; none for a word that names no network.
fn default_network(kind: &str) -> Option<DefaultNetwork> {
    let private = |stacks: &[NetworkStack]| Some(DefaultNetwork::Private(stacks.to_vec()));
    match kind {
        "default" | "none" | "host" | "bridge" => Some(DefaultNetwork::Host),
        "private" => private(&NetworkStack::ALL),
        "pasta" => private(&[NetworkStack::Pasta]),
        "slirp4netns" => private(&[NetworkStack::Slirp4netns]),
        _ => None,
    }
}

/// The warning about a network that offers less than its name says.
fn without_effect(name: &str, kind: &str) -> Option<String> {
    if kind == "bridge" {
        let why = "the network of this machine is used; --network private makes one apart from it";
        return Some(format!("--network {name} has no effect: {why}"));
    }
    let (_, options) = name.split_once(':')?;
    Some(format!(
        "--network {name}: the options {options} have no effect"
    ))
}

/// `HOST:ADDRESS`, `HOST=ADDRESS,ADDRESS`: a name and its addresses, which may stand in brackets.
fn entries(entry: &str) -> Result<Vec<(String, String)>, String> {
    let parts = entry.split_once('=').or_else(|| entry.split_once(':'));
    let parts = parts.filter(|(name, addresses)| !name.is_empty() && !addresses.is_empty());
    let (name, addresses) = parts.ok_or("expected HOST:ADDRESS")?;
    let addresses = addresses.split(',').map(|text| match text {
        // RUN is in the network of this machine
        GATEWAY => Ok(Ipv4Addr::LOCALHOST.into()),
        text => {
            let inner = text
                .strip_prefix('[')
                .and_then(|text| text.strip_suffix(']'));
            let address = inner.unwrap_or(text).parse::<IpAddr>();
            address.map_err(|_| format!("{text} is not an IP address"))
        }
    });
    addresses
        .map(|address| Ok((name.to_owned(), address?.to_string())))
        .collect()
}
