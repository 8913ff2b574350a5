//! `--progress`, `--quiet`, `--iidfile`: what a build tells, and where.

use super::{Flag, forget};
use crate::command::progress::Shown;
use crate::failure::{Failure, Kind};
use crate::output;
use crate::render::Progress;
use crate::table;
use kiln_engine::Built;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub struct Show {
    #[command(flatten)]
    shown: Shown,
    /// Write the image ID to a file
    #[arg(long, value_name = "FILE")]
    iidfile: Option<PathBuf>,
}

impl Show {
    /// The renderer that was asked for.
    pub fn progress(&self) -> Progress {
        self.shown.progress()
    }
}

impl Flag for Show {
    fn begins(&self) -> Result<(), Failure> {
        forget("--iidfile", self.iidfile.as_deref())
    }

    fn finished(&self, built: &Built) -> Result<(), Failure> {
        if let Some(file) = &self.iidfile {
            output::report(file, &built.id.to_string()).map_err(|error| {
                Failure::new(
                    Kind::Environment,
                    format!("--iidfile {}: {error}", file.display()),
                )
            })?;
        }
        if self.shown.quiet {
            table::line(&built.id.to_string());
        }
        Ok(())
    }
}
