//! `--progress`, `--quiet`, `--logfile`, `--logsplit`: how progress is shown, and whether it goes to a file, or one for each platform,
//! instead of standard error. What fails is still said there. Unaware of what is written.

use super::{Flag, Setup};
use crate::failure::Failure;
use crate::pflag::Takes;
use crate::render::{Progress, Shown};
use crate::table;
use kiln_engine::{Built, Request};
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Flags {
    #[command(flatten)]
    shown: Shown,
    /// Write progress to a file instead of standard error: as plain lines, or as JSON with --progress json
    #[arg(long, value_name = "FILE", add = Takes::Single)]
    logfile: Option<PathBuf>,
    /// Write the progress of steps to FILE_OS_ARCH for each platform, and only the rest to the --logfile FILE
    #[arg(long, add = Takes::Switch)]
    logsplit: bool,
}

impl Flags {
    /// How progress is shown, and where if not on standard error.
    pub fn shown(&self) -> (Progress, Option<PathBuf>) {
        (self.shown.progress(), self.logfile.clone())
    }
}

impl Flag for Flags {
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        if self.logsplit && self.logfile.is_none() {
            request
                .notices
                .push("--logsplit has no effect: there is no --logfile".to_owned());
        }
        Ok(())
    }

    fn set_up(&self, setup: &mut Setup, request: &Request) -> Result<(), Failure> {
        setup.progress = self.shown.progress();
        setup.logfile.clone_from(&self.logfile);
        if self.logsplit {
            setup.logs = request.form.platforms();
        }
        Ok(())
    }

    fn finished(&self, built: &Built) -> Result<(), Failure> {
        if self.shown.quiet {
            table::line(&built.loaded.unwrap_or(built.id).to_string());
        }
        Ok(())
    }
}
