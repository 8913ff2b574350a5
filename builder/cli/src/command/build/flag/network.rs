//! `--network`: the network of RUNs that do not say otherwise.

use super::Flag;
use crate::failure::Failure;
use kiln_engine::options::BuildOptions;
use kiln_parser::graph;

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Choice {
    Default,
    None,
    Host,
}

#[derive(Debug, clap::Args)]
pub struct Network {
    /// Network of RUN
    #[arg(long, value_enum, default_value = "default")]
    network: Choice,
}

impl Flag for Network {
    fn apply(&self, options: &mut BuildOptions) -> Result<(), Failure> {
        options.network = match self.network {
            Choice::Default => graph::Network::Default,
            Choice::None => graph::Network::None,
            Choice::Host => graph::Network::Host,
        };
        Ok(())
    }
}
