//! What a RUN that failed has left, for a caller who wants to look at it. Unaware of who does, and of how.

use crate::execute::live::{Live, LiveUpper};
use crate::execute::process::Process;
use kiln_cache::Upper;
use kiln_oci::{Platform, RuntimeConfig, locked};
use kiln_parser::graph::{RunOp, Stage};
use std::sync::{Arc, Mutex};

/// The place for it.
#[derive(Debug, Default)]
pub struct Remains(Mutex<Option<FailedRun>>);

/// A RUN that failed, as it was left.
#[derive(Debug)]
pub struct FailedRun {
    /// The files below it, and what it has changed.
    pub(crate) live: Live,
    /// What its command saw, secrets too.
    pub(crate) process: Process,
    /// What a container would run there, without secrets.
    pub(crate) config: RuntimeConfig,
    /// What it is for.
    pub(crate) platform: Platform,
}

impl Remains {
    /// Keeps the first RUN that failed.
    pub fn put(&self, failed: FailedRun) {
        locked(&self.0).get_or_insert(failed);
    }

    /// The RUN that was kept.
    pub fn take(&self) -> Option<FailedRun> {
        locked(&self.0).take()
    }
}

impl FailedRun {
    /// Of an operation of a stage that stood on `live`.
    pub fn new((op, stage): (&RunOp, &Stage), process: Process, live: &Live, upper: Upper) -> Self {
        let shell = stage.config.shell.first();
        let shell = shell.map_or("/bin/sh", String::as_str).to_owned();
        FailedRun {
            live: live.with(Arc::new(LiveUpper::new(upper))),
            process,
            config: RuntimeConfig {
                user: op.user.clone(),
                env: op.env.clone(),
                cmd: Some(vec![shell]),
                working_dir: op.cwd.clone(),
                ..RuntimeConfig::default()
            },
            platform: stage.image_platform.clone(),
        }
    }
}
