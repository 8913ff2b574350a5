//! `--logfile`: progress goes to a file instead of standard error. What fails is still said there. Unaware of what is written.

use super::Flag;
use crate::failure::{Failure, Kind};
use crate::render::{Progress, Sink};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub struct Logfile {
    /// File that progress is written to instead of standard error, as plain lines or, with --progress json, as JSON
    #[arg(long, value_name = "FILE")]
    logfile: Option<PathBuf>,
}

impl Logfile {
    /// Where progress goes, and in which form. A log may quote what only the caller should read.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn open(&self, progress: Progress) -> Result<(Sink, Progress), Failure> {
        let Some(path) = &self.logfile else {
            return Ok((Sink::Stderr, progress));
        };
        let mut how = OpenOptions::new();
        let file = how.create(true).write(true).truncate(true).mode(0o600);
        let file = file.open(path).map_err(|error| {
            Failure::new(Kind::Environment, format!("--logfile {}: {error}", path.display()))
        })?;
        let progress = match progress {
            Progress::Auto | Progress::Tty => Progress::Plain,
            other => other,
        };
        Ok((Sink::file(file), progress))
    }

    /// Whether all of the log was written.
    ///
    /// # Errors
    /// When a part could not be.
    pub fn check(&self, sink: &Sink) -> Result<(), Failure> {
        match (&self.logfile, sink.failure()) {
            (Some(path), Some(error)) => {
                let message = format!("--logfile {}: the log is not complete: {error}", path.display());
                Err(Failure::new(Kind::Environment, message).hint("the image itself is built and in the store"))
            }
            _ => Ok(()),
        }
    }
}

impl Flag for Logfile {}
