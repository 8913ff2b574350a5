//! `--stdin`: RUN reads what kiln reads, as in buildah. RUNs take turns then, so that no two of them read the same input. What they read
//! is in no key. Unaware of commands.

use super::Flag;
use crate::failure::{Failure, Kind};
use kiln_engine::Request;
use std::os::fd::AsFd;
use std::sync::Arc;

#[derive(Debug, clap::Args)]
pub struct Stdin {
    /// Let RUN read kiln's standard input; one RUN at a time then, and what it reads decides nothing about the cache
    #[arg(long)]
    stdin: bool,
}

impl Stdin {
    /// That nothing else wants to read it.
    ///
    /// # Errors
    /// When the Dockerfile or the context does.
    pub fn check(&self, is_read: bool) -> Result<(), Failure> {
        if self.stdin && is_read {
            let why = "--stdin: standard input already gives the Dockerfile or the context";
            return Err(Failure::usage(why).hint("name a file or a folder instead of -"));
        }
        Ok(())
    }
}

impl Flag for Stdin {
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        if self.stdin {
            let stdin = std::io::stdin().as_fd().try_clone_to_owned();
            let failed = |error| Failure::new(Kind::Environment, format!("--stdin: {error}"));
            request.run.stdin = Some(Arc::new(stdin.map_err(failed)?));
        }
        Ok(())
    }
}
