//! `--target`: the stage to build. Unaware of stages.

use super::Flag;
use crate::failure::Failure;
use kiln_engine::Request;

#[derive(Debug, clap::Args)]
pub struct Target {
    /// Stage to build [default: the last]
    #[arg(long, value_name = "STAGE")]
    target: Option<String>,
}

impl Flag for Target {
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        request.language.target.clone_from(&self.target);
        Ok(())
    }
}
