//! Where lines of progress go: standard error, or a file. Unaware of what they say.

use std::fs::File;
use std::io::{self, Write};
use std::sync::{Arc, OnceLock};

/// Takes lines; copies of it go to the same place.
#[derive(Debug, Clone)]
pub enum Sink {
    /// Standard error.
    Stderr,
    /// A file.
    File(Arc<Log>),
}

/// A file of lines, and why one of them could not be written.
#[derive(Debug)]
pub struct Log {
    file: File,
    failure: OnceLock<io::Error>,
}

impl Sink {
    /// A file that is open for writing.
    pub fn file(file: File) -> Self {
        let failure = OnceLock::new();
        Sink::File(Arc::new(Log { file, failure }))
    }

    /// Writes a line. What goes wrong must not end the build: a reader that went away, a disk that is full.
    pub fn line(&self, line: &str) {
        match self {
            Sink::Stderr => {
                let _ = writeln!(io::stderr().lock(), "{line}");
            }
            Sink::File(log) => {
                if let Err(error) = (&log.file).write_all(format!("{line}\n").as_bytes()) {
                    // the first one counts
                    let _ = log.failure.set(error);
                }
            }
        }
    }

    /// Why a file is not complete.
    pub fn failure(&self) -> Option<&io::Error> {
        match self {
            Sink::Stderr => None,
            Sink::File(log) => log.failure.get(),
        }
    }

    /// Whether it is a terminal's.
    pub fn is_terminal(&self) -> bool {
        use std::io::IsTerminal;
        matches!(self, Sink::Stderr) && io::stderr().is_terminal()
    }
}
