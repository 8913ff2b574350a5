//! Starts this program once more, with its own words, as a process that is to outlive it. Unaware of what it does then.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// The name (`argv[0]`) of the other process: what lists of processes show.
const AGAIN: &str = "kiln-container";

/// Starts it. Its standard output is a pipe, so that it can say that all is well; input and errors are those of this process.
///
/// # Errors
/// It cannot be started.
pub fn start_again() -> io::Result<Child> {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    let mut command = Command::new("/proc/self/exe");
    command.arg0(AGAIN).args(words).stdout(Stdio::piped());
    command.spawn()
}

/// Whether this process was started so.
#[must_use]
pub fn is_again() -> bool {
    std::env::args_os().next().is_some_and(|name| name == AGAIN)
}
