//! `--load`: what kiln does anyway.

use super::Flag;

#[derive(Debug, clap::Args)]
pub struct Load {
    /// Accepted for docker's sake: an image is always in kiln's own store
    #[arg(long)]
    load: bool,
}

impl Flag for Load {}
