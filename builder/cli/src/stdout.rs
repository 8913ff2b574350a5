//! Standard output. What a command prints there is its result, so that none is lost in silence: the first failure is kept, and ends the
//! command with an error when it has done its work. A reader that went away has read enough (`kiln images | head -1`) and is none.

use crate::failure::{Failure, Kind};
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::OnceLock;

/// How much of a stream is written at once.
const BUFFER: usize = 1 << 20;

static FAILURE: OnceLock<io::Error> = OnceLock::new();

/// Prints text.
pub fn print(text: &[u8]) {
    // it is kept
    let _ = Stdout.write_all(text);
}

/// Whether what is printed may still reach somebody.
pub fn is_open() -> bool {
    FAILURE.get().is_none()
}

/// Whether it is a terminal.
pub fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// How many columns it has, if it is a terminal that says so.
pub fn width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout().as_fd()).ok()?;
    (size.ws_col > 0).then_some(usize::from(size.ws_col))
}

/// That all was printed that was to be printed.
///
/// # Errors
/// It was not.
pub fn check() -> Result<(), Failure> {
    match FAILURE.get() {
        Some(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::new(
            Kind::Environment,
            format!("standard output cannot be written: {error}"),
        )),
        _ => Ok(()),
    }
}

/// Prints a stream of bytes, such as a tar.
///
/// # Errors
/// Those of `write`, or not all was printed. A reader that went away ends it without a word.
pub fn stream<T>(write: impl FnOnce(&mut dyn Write) -> Result<T, Failure>) -> Result<T, Failure> {
    let mut out = io::BufWriter::with_capacity(BUFFER, Stdout);
    let written = write(&mut out);
    // it is kept
    let _ = out.flush();
    match FAILURE.get() {
        Some(error) if error.kind() == ErrorKind::BrokenPipe => Err(Failure::broken_pipe()),
        _ => check().and(written),
    }
}

/// Writes without the standard library's buffer, which hides what fails and has a lock.
#[derive(Debug)]
struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match FAILURE.get() {
            Some(error) => return Err(error.kind().into()),
            None if kiln_sandbox::stdout_was_closed() => Err(io::Error::other("it is closed")),
            None => rustix::io::write(io::stdout().as_fd(), bytes).map_err(io::Error::from),
        };
        written.map_err(|error| {
            let kind = error.kind();
            if kind != ErrorKind::Interrupted {
                let _ = FAILURE.set(error);
            }
            kind.into()
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
