//! `--jobs`: how many RUNs may run at once.

use super::Flag;
use crate::failure::Failure;
use kiln_engine::Request;

#[derive(Debug, clap::Args)]
pub struct Jobs {
    /// RUNs at once [default: all that are ready]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    jobs: Option<u32>,
}

impl Flag for Jobs {
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        request.run.jobs = self.jobs.map(|jobs| jobs as usize);
        Ok(())
    }
}
