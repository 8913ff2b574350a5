//! `--pull`: whether registries are asked for what the store has.

use super::Flag;
use crate::failure::Failure;
use kiln_engine::options::BuildOptions;

#[derive(Debug, clap::Args)]
pub struct Pull {
    /// Ask registries whether base images have changed; without it only those that the store lacks are pulled
    #[arg(long)]
    pull: bool,
}

impl Flag for Pull {
    fn apply(&self, options: &mut BuildOptions) -> Result<(), Failure> {
        options.pull = self.pull;
        Ok(())
    }
}
