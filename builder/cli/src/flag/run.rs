//! How RUNs are executed: `--jobs` of them at once, with kiln's own standard input (`--stdin`, as in buildah: RUNs take turns then, and what
//! they read is in no key). Unaware of commands.

use super::Flag;
use super::context::Source;
use crate::failure::{Failure, Kind};
use crate::pflag::Takes;
use kiln_engine::Request;
use std::os::fd::AsFd;
use std::sync::Arc;

#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Flags {
    /// Let RUN read kiln's standard input; then only one RUN runs at a time, and what it reads does not affect the
    /// cache
    #[arg(long, add = Takes::Switch)]
    stdin: bool,
    /// How many RUNs run at the same time [default: all that are ready]
    #[arg(long, value_name = "N", add = Takes::Number)]
    jobs: Option<u32>,
}

impl Flag for Flags {
    /// Nothing else may want to read standard input.
    fn begins(&self, source: &Source) -> Result<(), Failure> {
        if self.stdin && source.reads_stdin() {
            let why = "--stdin: standard input already gives the Dockerfile or the context";
            return Err(Failure::usage(why).hint("name a file or a folder instead of -"));
        }
        Ok(())
    }

    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        // 0 is no limit, as in podman
        let jobs = self.jobs.filter(|jobs| *jobs > 0);
        request.run.jobs = jobs.map(|jobs| jobs as usize);
        if self.stdin {
            let stdin = std::io::stdin().as_fd().try_clone_to_owned();
            let failed = |error| Failure::new(Kind::Environment, format!("--stdin: {error}"));
            request.run.stdin = Some(Arc::new(stdin.map_err(failed)?));
        }
        Ok(())
    }
}
