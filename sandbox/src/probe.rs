//! Finds out what this machine lets a build do, by trying it in a process of its own.
//! Unaware of how the answers are shown.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Disabled;

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

/// Looks at the kernel, the namespaces, the id range, overlay and the file system that holds `store`.
/// Starts the program's own binary again ([`main_if_reexecuted`](crate::main_if_reexecuted)); does not change the calling process.
#[must_use]
pub fn probe(store: &Path, disabled: Disabled) -> Vec<Check> {
    let _ = (store, disabled);
    Vec::new()
}

/// The re-executed side.
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
