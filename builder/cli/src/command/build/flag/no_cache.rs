//! `--no-cache`: whether earlier results count.

use super::Flag;
use crate::failure::Failure;
use kiln_engine::options::BuildOptions;

#[derive(Debug, clap::Args)]
pub struct NoCache {
    /// Execute every step, whatever the cache holds
    #[arg(long)]
    no_cache: bool,
}

impl Flag for NoCache {
    fn apply(&self, options: &mut BuildOptions) -> Result<(), Failure> {
        options.no_cache = self.no_cache;
        Ok(())
    }
}
