//! `--progress` and `--quiet`, of all commands that take a while. Unaware of what they show.

use crate::render::Progress;

/// How a command tells what it does.
#[derive(Debug, clap::Args)]
pub struct Shown {
    /// How progress is shown
    #[arg(
        long,
        value_enum,
        default_value = "auto",
        env = "KILN_PROGRESS",
        hide_env = true
    )]
    progress: Progress,
    /// Print nothing but the result: its name, or its ID
    #[arg(short, long)]
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
