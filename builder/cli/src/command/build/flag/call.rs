//! `--call`, `--check`: a question about the Dockerfile instead of a build.

use super::Flag;
use crate::command::build::call::Method;
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub struct Call {
    /// Say what the Dockerfile asks for instead of building it: check, outline or targets, with ,format=json for machines
    #[arg(long, value_name = "METHOD", alias = "print")]
    call: Option<String>,
    /// Check the Dockerfile instead of building it, short for --call=check
    #[arg(
        long,
        value_name = "OPTIONS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    check: Option<String>,
}

impl Call {
    /// The question; none if there is to be a build.
    ///
    /// # Errors
    /// When it cannot be understood.
    pub fn method(&self) -> Result<Option<Method>, Failure> {
        Method::of(self.call.as_deref(), self.check.as_deref())
    }
}

impl Flag for Call {}
