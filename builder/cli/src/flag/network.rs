//! `--network`, `--add-host`, `--no-hosts`: the network of RUNs that do not say otherwise, and their `/etc/hosts`.

use super::Flag;
use crate::failure::Failure;
use crate::pflag::Takes;
use kiln_engine::Request;
use kiln_parser::{csv, graph};
use std::net::{IpAddr, Ipv4Addr};

/// Networks of their own that reach what the machine reaches, in the words of docker, buildah and podman.
const REACH_THE_SAME: [&str; 4] = ["bridge", "private", "slirp4netns", "pasta"];

#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Flags {
    /// Network of RUN: default, which is this machine's, none or host
    #[arg(long, value_name = "NETWORK", alias = "net", add = Takes::Single)]
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
        let kind = name.split_once(':').map_or(name, |(kind, _)| kind);
        request.language.network = match name {
            "default" => graph::Network::Default,
            "none" => graph::Network::None,
            "host" => graph::Network::Host,
            _ if REACH_THE_SAME.contains(&kind) => {
                let why = "RUN uses the network of this machine";
                let notice = format!("--network {name} has no effect: {why}");
                request.notices.push(notice);
                graph::Network::Default
            }
            _ => {
                let wrong = format!("--network {name}: kiln has no networks of its own");
                return Err(Failure::usage(wrong).hint("use default, none or host"));
            }
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

/// `HOST:ADDRESS`, `HOST=ADDRESS,ADDRESS`: a name and its addresses, which may stand in brackets.
fn entries(entry: &str) -> Result<Vec<(String, String)>, String> {
    let parts = entry.split_once('=').or_else(|| entry.split_once(':'));
    let parts = parts.filter(|(name, addresses)| !name.is_empty() && !addresses.is_empty());
    let (name, addresses) = parts.ok_or("expected HOST:ADDRESS")?;
    let addresses = addresses.split(',').map(|text| match text {
        // RUN is in the network of this machine
        "host-gateway" => Ok(Ipv4Addr::LOCALHOST.into()),
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
