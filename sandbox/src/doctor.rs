//! Finds out what this machine allows a build to do: the calling side. The re-executed binary ([`examine`]) does the work, since that enters
//! namespaces. Unaware of how the answers are shown.

pub(crate) mod examine;
mod facts;
pub(crate) mod limits;

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::{Disabled, Feature};

/// The name (`argv[0]`) that makes the re-executed binary examine the machine.
pub(crate) const PROBE: &str = "kiln-probe";

/// The state of one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// As it should be.
    Ok,
    /// A build works, but weaker or slower.
    Warn,
    /// A build with RUN does not work.
    Missing,
}

/// One thing that was examined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// A stable short name: `user namespaces`.
    pub name: String,
    /// Its state.
    pub status: Status,
    /// What was found, for a person.
    pub detail: String,
    /// One line for the administrator that makes it better.
    pub fix: Option<String>,
}

impl Check {
    fn new(name: &str, status: Status, detail: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            status,
            detail: detail.into(),
            fix: None,
        }
    }

    fn ok(name: &str, detail: impl Into<String>) -> Self {
        Self::new(name, Status::Ok, detail)
    }

    fn warn(name: &str, detail: impl Into<String>) -> Self {
        Self::new(name, Status::Warn, detail)
    }

    fn missing(name: &str, detail: impl Into<String>) -> Self {
        Self::new(name, Status::Missing, detail)
    }

    fn with_fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}

/// Examines the kernel, the namespaces, the id range, overlay and the file system that holds `store` (which need not exist yet).
/// Starts the program's own binary again ([`main_if_reexecuted`](crate::main_if_reexecuted)) and does not change the calling process.
/// For a short time there is a folder `probe-<pid>` in `store`.
#[must_use]
pub fn probe(store: &Path, disabled: Disabled) -> Vec<Check> {
    let disabled: Vec<&str> = disabled.iter().map(Feature::name).collect();
    let mut command = Command::new("/proc/self/exe");
    command.arg0(PROBE).arg(store).arg(disabled.join(","));
    let failed = |detail: String| vec![Check::missing("probe", detail)];
    let output = match command.env_clear().stdin(Stdio::null()).output() {
        Ok(output) => output,
        Err(error) => return failed(format!("the probing process could not be started: {error}")),
    };
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
        let said = String::from_utf8_lossy(&output.stderr);
        failed(format!(
            "the probing process ended with {}: {said}",
            output.status
        ))
    })
}
