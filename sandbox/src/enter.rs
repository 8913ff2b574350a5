//! Enters the namespaces in which a build may mount: a private mount namespace as root, with a user namespace around it
//! for everybody else. Unaware of layers and of the processes that run later.

use crate::{Disabled, EnterError, IdMap};

/// How to enter.
#[derive(Debug, Clone, Copy, Default)]
pub struct EnterOptions {
    /// What must not be used.
    pub disabled: Disabled,
}

/// What the process is now.
#[derive(Debug, Clone)]
pub struct Entered {
    /// Which ids there are.
    pub ids: IdMap,
    /// Not in the initial user namespace: overlays need `userxattr` ([`OverlaySpec::rootless`](crate::OverlaySpec)), device nodes
    /// cannot be made.
    pub rootless: bool,
    /// What is weaker than it could be, and what to do about it; for a person.
    pub note: Option<String>,
}

/// Makes the process root of its own mounts. Call once, before the first thread.
///
/// # Errors
/// With the failing step and what the administrator can do. The process may have entered in part and should end.
pub fn enter(options: EnterOptions) -> Result<Entered, EnterError> {
    let _ = options;
    Err(EnterError::Disabled)
}
