//! The program's own binary, as [`run`](crate::run) starts it: through a read-only mount. Unaware of what is run.
//!
//! A command may execute `/proc/self/exe` (or a script whose first line names it) while that is still this binary. As real root it could
//! then open it for writing and change the host's program (CVE-2019-5736 of runc). Through this mount it cannot be opened for writing.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::OnceLock;

use rustix::fs::{Mode, OFlags, fstat, open, stat};
use rustix::io::Errno;

use crate::root::detached::{self, NO_SUID, READ_ONLY};

/// What the kernel calls the program, whatever its name is now.
const SELF: &str = "/proc/self/exe";

/// The path to execute. If no mount can be made (the binary was replaced or removed meanwhile) it is the binary itself, which the kernel
/// protects from writing as long as this process executes it.
pub fn path() -> PathBuf {
    static PROGRAM: OnceLock<Option<OwnedFd>> = OnceLock::new();
    match PROGRAM.get_or_init(|| read_only().ok()) {
        // Close-on-exec, but the new process opens it before that.
        Some(program) => PathBuf::from(format!("/proc/self/fd/{}", program.as_raw_fd())),
        None => PathBuf::from(SELF),
    }
}

/// The link itself leads to a mount of another namespace, which cannot be copied; the name that it shows leads to ours.
fn read_only() -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let program = open(fs::read_link(SELF)?, flags, Mode::empty())?;
    let (named, running) = (fstat(&program)?, stat(SELF)?);
    if (named.st_dev, named.st_ino) != (running.st_dev, running.st_ino) {
        return Err(Errno::STALE.into());
    }
    detached::copy(program, false, READ_ONLY | NO_SUID)
}
