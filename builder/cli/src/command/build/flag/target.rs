//! `--target`: the stage to build. Unaware of stages.

use super::Flag;
use crate::failure::Failure;
use kiln_engine::request::options::BuildOptions;

#[derive(Debug, clap::Args)]
pub struct Target {
    /// Stage to build [default: the last]
    #[arg(long, value_name = "STAGE")]
    target: Option<String>,
}

impl Flag for Target {
    fn apply(&self, options: &mut BuildOptions) -> Result<(), Failure> {
        options.target.clone_from(&self.target);
        Ok(())
    }
}
