//! Where lines of progress go: standard error, or a file. Unaware of what they say.

use std::fs::File;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// So many bytes are written at once.
const BUFFER: usize = 64 << 10;

/// Takes lines; copies of it go to the same place.
#[derive(Debug, Clone)]
pub struct Sink(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// None is standard error.
    file: Option<File>,
    lines: Mutex<Vec<u8>>,
    failure: OnceLock<io::Error>,
    is_closed: AtomicBool,
}

impl Sink {
    /// Standard error.
    pub fn stderr() -> Self {
        Sink::new(None)
    }

    /// A file that is open for writing.
    pub fn file(file: File) -> Self {
        Sink::new(Some(file))
    }

    fn new(file: Option<File>) -> Self {
        Sink(Arc::new(Inner {
            file,
            lines: Mutex::default(),
            failure: OnceLock::new(),
            is_closed: AtomicBool::new(false),
        }))
    }

    /// Takes a line; it is written at [`Sink::flush`] at the latest.
    pub fn line(&self, line: &str) {
        self.pieces(&[line]);
    }

    /// Takes a line that is made of pieces.
    pub fn pieces(&self, pieces: &[&str]) {
        let mut lines = self.lines();
        for piece in pieces {
            lines.extend_from_slice(piece.as_bytes());
        }
        lines.push(b'\n');
        if lines.len() >= BUFFER {
            self.write(lines);
        }
    }

    /// Takes text that is no line.
    pub fn raw(&self, text: &str) {
        self.lines().extend_from_slice(text.as_bytes());
    }

    /// Writes what it has taken.
    pub fn flush(&self) {
        let lines = self.lines();
        if !lines.is_empty() {
            self.write(lines);
        }
    }

    /// What goes wrong must not end the build: a reader that went away, a disk that is full.
    fn write(&self, mut lines: MutexGuard<'_, Vec<u8>>) {
        let lines = std::mem::take(&mut *lines);
        if self.0.is_closed.load(Ordering::SeqCst) {
            return;
        }
        let written = match &self.0.file {
            None => io::stderr().lock().write_all(&lines),
            Some(file) => (&*file).write_all(&lines),
        };
        if let Err(error) = written {
            // the first one counts
            let _ = self.0.failure.set(error);
        }
    }

    fn lines(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing is written any more.
    pub fn close(&self) {
        self.0.is_closed.store(true, Ordering::SeqCst);
    }

    /// Why a file is not complete.
    pub fn failure(&self) -> Option<&io::Error> {
        self.0.failure.get().filter(|_| self.0.file.is_some())
    }

    /// Whether it is a terminal's.
    pub fn is_terminal(&self) -> bool {
        use std::io::IsTerminal;
        self.0.file.is_none() && io::stderr().is_terminal()
    }
}
