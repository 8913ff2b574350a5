//! `--digest-file`: the digest under which registries know the image, as kaniko writes it. `--iidfile` has docker's image ID instead.

use super::{Flag, forget};
use crate::failure::{Failure, Kind};
use crate::output;
use kiln_engine::Built;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub struct DigestFile {
    /// Write the digest of the manifest, or of the index, to a file
    #[arg(long, value_name = "FILE")]
    digest_file: Option<PathBuf>,
}

impl Flag for DigestFile {
    fn begins(&self) -> Result<(), Failure> {
        forget("--digest-file", self.digest_file.as_deref())
    }

    fn finished(&self, built: &Built) -> Result<(), Failure> {
        let Some(file) = &self.digest_file else {
            return Ok(());
        };
        output::report(file, &built.manifest.to_string()).map_err(|error| {
            let message = format!("--digest-file {}: {error}", file.display());
            Failure::new(Kind::Environment, message)
        })
    }
}
