//! `--label`: labels that are set after all those of the Dockerfile.

use super::{Flag, pairs};
use crate::failure::Failure;
use kiln_engine::Request;

#[derive(Debug, clap::Args)]
pub struct Label {
    /// Label of the image
    #[arg(long, value_name = "NAME[=VALUE]")]
    label: Vec<String>,
}

impl Flag for Label {
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        request.language.labels = pairs("--label", &self.label, |_| Some(String::new()))?;
        Ok(())
    }
}
