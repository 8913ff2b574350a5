//! Finds out what this machine lets a build do: the calling side. The looking is done by the re-executed binary
//! ([`examine`](crate::examine)), since it enters namespaces. Unaware of how the answers are shown.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::Disabled;
use crate::reexec::PROBE;

/// How one thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// As it should be.
    Ok,
    /// A build works, but weaker or slower.
    Warn,
    /// A build with RUN does not work.
    Missing,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// A stable short name: `user namespaces`.
    pub name: String,
    /// How it stands.
    pub status: Status,
    /// What was found, for a person.
    pub detail: String,
    /// The one line for the administrator that makes it better.
    pub fix: Option<String>,
}

impl Check {
    pub(crate) fn new(name: &str, status: Status, detail: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            status,
            detail: detail.into(),
            fix: None,
        }
    }

    pub(crate) fn with_fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}

/// Looks at the kernel, the namespaces, the id range, overlay and the file system that holds `store` (which need not exist yet).
/// Starts the program's own binary again ([`main_if_reexecuted`](crate::main_if_reexecuted)); does not change the calling process.
/// For a short time there is a folder `probe-<pid>` in `store`.
#[must_use]
pub fn probe(store: &Path, disabled: Disabled) -> Vec<Check> {
    let disabled: Vec<&str> = disabled.iter().map(crate::Feature::name).collect();
    let mut command = Command::new("/proc/self/exe");
    command
        .arg0(PROBE)
        .arg(store)
        .arg(disabled.join(","))
        .env_clear()
        .stdin(Stdio::null());
    let failed = |detail: String| vec![Check::new("probe", Status::Missing, detail)];
    match command.output() {
        Ok(output) => serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
            failed(format!(
                "the probing process ended with {}: {}",
                output.status,
                String::from_utf8_lossy(&output.stderr)
            ))
        }),
        Err(error) => failed(format!("the probing process could not be started: {error}")),
    }
}
