//! `--no-cache`, `--no-cache-filter`: whether earlier results count.

use super::Flag;
use crate::failure::Failure;
use kiln_engine::Request;

#[derive(Debug, clap::Args)]
pub struct NoCache {
    /// Execute every step, whatever the cache holds
    #[arg(long)]
    no_cache: bool,
    /// Execute every step of these stages, whatever the cache holds
    #[arg(long, value_name = "STAGE", value_delimiter = ',')]
    no_cache_filter: Vec<String>,
}

impl Flag for NoCache {
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        request.reuse.no_cache = self.no_cache;
        request.reuse.no_cache_filter = self.no_cache_filter.iter().cloned().collect();
        Ok(())
    }
}
