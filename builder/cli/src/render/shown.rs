//! `--progress` and `--quiet`, of all commands that take a while. Unaware of what they show.

use super::Progress;
use crate::environment;
use crate::pflag::Takes;
use clap::ValueEnum;

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
    /// The renderer that was asked for. As in buildx, `BUILDKIT_PROGRESS` decides where nothing else does.
    pub fn progress(&self) -> Progress {
        match self.progress {
            _ if self.quiet => Progress::Quiet,
            Progress::Auto => environment::buildkit_progress()
                .and_then(|name| Progress::from_str(&name, false).ok())
                .unwrap_or(Progress::Auto),
            progress => progress,
        }
    }
}
