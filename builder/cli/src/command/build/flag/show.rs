//! `--progress`, `--quiet`, `--iidfile`: what a build tells, and where.

use super::Flag;
use crate::failure::{Failure, Kind};
use crate::render::Progress;
use crate::table;
use kiln_engine::Built;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub struct Show {
    /// How progress is shown
    #[arg(
        long,
        value_enum,
        default_value = "auto",
        env = "KILN_PROGRESS",
        hide_env = true
    )]
    progress: Progress,
    /// Print the image ID and nothing else
    #[arg(short, long)]
    quiet: bool,
    /// Write the image ID to a file
    #[arg(long, value_name = "FILE")]
    iidfile: Option<PathBuf>,
}

impl Show {
    /// The renderer that was asked for.
    pub fn progress(&self) -> Progress {
        if self.quiet {
            Progress::Quiet
        } else {
            self.progress
        }
    }
}

impl Flag for Show {
    fn finished(&self, built: &Built) -> Result<(), Failure> {
        if let Some(file) = &self.iidfile {
            std::fs::write(file, built.id.to_string()).map_err(|error| {
                Failure::new(
                    Kind::Environment,
                    format!("--iidfile {}: {error}", file.display()),
                )
            })?;
        }
        if self.quiet {
            table::line(&built.id.to_string());
        }
        Ok(())
    }
}
