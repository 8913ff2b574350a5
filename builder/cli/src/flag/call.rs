//! `--call`, `--check`: a question about the Dockerfile instead of a build.

use super::{Flag, Setup};
use crate::call::Method;
use crate::failure::Failure;
use crate::pflag::Takes;
use kiln_engine::Request;

#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Flags {
    /// Answer a question about the Dockerfile instead of building it: check, outline or targets; add ,format=json for
    /// machine-readable output
    #[arg(long, value_name = "METHOD", alias = "print", add = Takes::Single)]
    call: Option<String>,
    /// Check the Dockerfile instead of building it; short for --call=check
    #[arg(
        long,
        value_name = "OPTIONS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        add = Takes::Optional
    )]
    check: Option<String>,
}

impl Flag for Flags {
    fn set_up(&self, setup: &mut Setup, _request: &Request) -> Result<(), Failure> {
        setup.question = Method::of(self.call.as_deref(), self.check.as_deref())?;
        Ok(())
    }
}
