//! `--ignorefile`: a file that is used instead of the context's `.dockerignore`. Unaware of its patterns.

use super::Flag;
use crate::command::build::source::{find_file, read_file};
use crate::failure::Failure;
use kiln_engine::Request;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub struct Ignorefile {
    /// File that is used instead of .dockerignore
    #[arg(long, value_name = "FILE")]
    ignorefile: Option<PathBuf>,
}

impl Flag for Ignorefile {
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        let Some(file) = &self.ignorefile else {
            return Ok(());
        };
        let Some(folder) = request.sources.context.folder() else {
            return Err(
                Failure::usage("--ignorefile is for contexts that are folders")
                    .hint("of a context that is fetched or piped all files count"),
            );
        };
        let path = find_file(file, folder).ok_or_else(|| {
            Failure::usage(format!("--ignorefile: there is no {}", file.display()))
        })?;
        request.sources.ignore_file = Some(read_file(&path)?);
        Ok(())
    }
}
