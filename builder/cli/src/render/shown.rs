//! `--progress` and `--quiet`, of all commands that take a while. Unaware of what they show.

use super::Progress;
use crate::pflag::Takes;

/// How a command tells what it does.
#[derive(Debug, clap::Args)]
pub struct Shown {
    /// How to show progress
    #[arg(
        long,
        value_enum,
        default_value = "auto",
        env = "KILN_PROGRESS",
        hide_env = true,
        add = Takes::Single
    )]
    progress: Progress,
    /// Print only the result: its name or its ID
    #[arg(short, long, add = Takes::Switch)]
    pub quiet: bool,
}

impl Shown {
    /// The renderer that was asked for.
    pub fn progress(&self) -> Progress {
        if self.quiet {
            Progress::Quiet
        } else {
            self.progress
        }
    }
}
