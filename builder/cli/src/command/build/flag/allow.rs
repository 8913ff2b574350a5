//! `--allow`: rights that a Dockerfile must be granted before one of its steps uses them.

use super::Flag;
use crate::failure::Failure;
use kiln_engine::options::BuildOptions;
use kiln_parser::inputs::Entitlement;

/// BuildKit's names.
const RIGHTS: [(&str, Entitlement); 3] = [
    ("security.insecure", Entitlement::SecurityInsecure),
    ("network.host", Entitlement::NetworkHost),
    ("device", Entitlement::Device),
];

#[derive(Debug, clap::Args)]
pub struct Allow {
    /// Grant RUN a right: security.insecure, network.host or device
    #[arg(long, value_name = "RIGHT", value_delimiter = ',')]
    allow: Vec<String>,
}

impl Flag for Allow {
    fn apply(&self, options: &mut BuildOptions) -> Result<(), Failure> {
        for name in &self.allow {
            // `device=NAME` grants one device.
            let kind = name.split_once('=').map_or(name.as_str(), |(kind, _)| kind);
            let found = RIGHTS.iter().find(|(known, _)| {
                *known == name.as_str() || (*known == "device" && kind == "device")
            });
            let Some((_, right)) = found else {
                let names = RIGHTS.map(|(known, _)| known).join(", ");
                return Err(
                    Failure::usage(format!("--allow {name}: there is no such right"))
                        .hint(format!("the rights are {names}")),
                );
            };
            options.allow.insert(*right);
        }
        Ok(())
    }
}
