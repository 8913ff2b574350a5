//! `--source-policy-file`, as in buildah, and buildx's variable: what a build may take from outside. Unaware of what rules mean.

use super::Flag;
use crate::command::build::source::read_pipe;
use crate::environment;
use crate::failure::Failure;
use kiln_engine::{Policy, Request};
use std::path::Path;

/// Where buildx reads the name of a file.
const VARIABLE: &str = "EXPERIMENTAL_BUILDKIT_SOURCE_POLICY";

#[derive(Debug, clap::Args)]
pub struct SourcePolicy {
    /// BuildKit's source policy: a JSON file of rules that allow, deny or replace images, addresses and repositories; that of
    /// EXPERIMENTAL_BUILDKIT_SOURCE_POLICY counts too (may be repeated)
    #[arg(long, value_name = "FILE")]
    source_policy_file: Vec<String>,
}

impl Flag for SourcePolicy {
    /// All of them must agree: whoever sets the variable may be another than who writes the command line.
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        let variable = environment::variable(VARIABLE).filter(|file| !file.is_empty());
        let variable = variable.iter().map(|file| (VARIABLE, file));
        let given = self.source_policy_file.iter();
        for (origin, file) in variable.chain(given.map(|file| ("--source-policy-file", file))) {
            let wrong = |error: String| Failure::usage(format!("{origin} {file}: {error}"));
            if !Path::new(file).exists() {
                return Err(wrong("there is no such file".to_owned()));
            }
            let text = read_pipe(Path::new(file))?;
            let policy = Policy::parse(file, &text).map_err(|error| wrong(error.to_string()))?;
            request.sources.policies.push(policy);
        }
        Ok(())
    }
}
