//! `--network`: the network of RUNs that do not say otherwise.

use super::Flag;
use crate::failure::Failure;
use kiln_engine::Request;
use kiln_parser::graph;

/// Networks of their own that reach what the machine reaches, in the words of docker, buildah and podman.
const REACH_THE_SAME: [&str; 4] = ["bridge", "private", "slirp4netns", "pasta"];

#[derive(Debug, clap::Args)]
pub struct Network {
    /// Network of RUN: default, which is this machine's, none or host
    #[arg(long, value_name = "NETWORK", alias = "net")]
    network: Option<String>,
}

impl Flag for Network {
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
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
                return Err(Failure::usage(wrong).hint("write default, none or host"));
            }
        };
        Ok(())
    }
}
