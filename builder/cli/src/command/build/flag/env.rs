//! `--env`: variables that every stage begins with, as in buildah; ENV in the Dockerfile overrides them. Unaware of where they are seen.

use super::{Flag, pairs};
use crate::environment;
use crate::failure::Failure;
use kiln_engine::Request;

#[derive(Debug, clap::Args)]
pub struct Env {
    /// Variable of the image and of every RUN, unless ENV says otherwise; without a value it is taken from the environment (may be
    /// repeated)
    #[arg(long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
}

impl Flag for Env {
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        request.language.env = pairs("--env", &self.env, environment::variable)?;
        Ok(())
    }
}
