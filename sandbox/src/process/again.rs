//! Starts this program once more, with its own words, as a process that is to outlive it, about one of the things that they name. Unaware of
//! what it does then.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// The name (`argv[0]`) of the other process: what lists of processes show.
const AGAIN: &str = "kiln-container";

/// Starts it about this; what it is about may be empty. Its standard output is a pipe, so that it can say that all is well; input and errors
/// are those of this process.
///
/// # Errors
/// It cannot be started.
pub fn start_again(about: &str) -> io::Result<Child> {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    let mut command = Command::new("/proc/self/exe");
    let name = format!("{AGAIN} {about}");
    command.arg0(name.trim_end()).args(words);
    command.stdout(Stdio::piped()).spawn()
}

/// What this process is about, if it was started so.
#[must_use]
pub fn again_about() -> Option<String> {
    let name = std::env::args_os().next()?.into_string().ok()?;
    let about = name.strip_prefix(AGAIN)?;
    (about.is_empty() || about.starts_with(' ')).then(|| about.trim_start().to_owned())
}
