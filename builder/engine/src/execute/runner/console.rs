//! A process's standard streams. Its output goes to a file, at the command's own speed; a renderer that shows it follows the file. A
//! command that never stops talking must not fill the disk, so a log has a limit; what says why a command failed is mostly at the end
//! of its output, so the log of a longer one ends with its last bytes. Unaware of renderers. The file has no name and
//! goes with kiln.

use crate::event::{EventKind, LogFile, Used};
use crate::execute::step::Step;
use crate::failure::{StepError, memory};
use kiln_cache::Upper;
use kiln_sandbox::{Exit, Stdin, Stdio};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// How much is read at once: what a pipe holds.
const CHUNK: usize = 64 << 10;
/// Bytes from the end of an output that is longer than its log may be.
const TAIL: usize = 64 << 10;

/// Where the process of a step reads from and writes to, and what is left of it afterwards.
#[derive(Debug)]
pub struct Console<'a> {
    /// The step, whose output it is.
    pub step: &'a Step<'a>,
    /// What the process may read of kiln's own input.
    stdin: Option<&'a OwnedFd>,
    /// Whether somebody wants what it has changed, if it fails.
    keeps_changes: bool,
    left: Mutex<Left>,
}

/// What is left of a process that was started at last.
#[derive(Debug, Clone, Default)]
pub struct Left {
    /// All its output; none before a first start.
    pub log: Option<LogFile>,
    /// What it has used, if it came to its end.
    pub used: Option<Used>,
    /// What it has changed, if it failed and somebody wants that.
    pub changes: Option<Upper>,
}

/// What a process has used.
pub fn used(exit: &Exit) -> Used {
    let micros = exit.used.cpu.as_micros();
    Used {
        cpu_us: u64::try_from(micros).unwrap_or(u64::MAX),
        memory: exit.used.memory,
        written: exit.used.written,
    }
}

/// A log that is being written.
#[derive(Debug)]
pub struct Log {
    file: LogFile,
    folder: PathBuf,
    pump: JoinHandle<io::Result<()>>,
}

impl<'a> Console<'a> {
    /// For the process of a step, which may read `stdin`. What it has changed if it fails is left where that `keeps_changes`.
    pub fn new(step: &'a Step<'a>, stdin: Option<&'a OwnedFd>, keeps_changes: bool) -> Self {
        Console {
            step,
            stdin,
            keeps_changes,
            left: Mutex::default(),
        }
    }

    /// What is left.
    pub fn left(&self) -> Left {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Left> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of a new log.
    fn begin(&self, log: &LogFile) {
        *self.lock() = Left {
            log: Some(log.clone()),
            ..Left::default()
        };
        self.step.send(|step| EventKind::Log {
            step,
            path: log.clone(),
        });
    }

    /// Keeps the changes of a process that failed, if somebody wants them.
    pub fn keep(&self, changes: &Upper) -> bool {
        if self.keeps_changes {
            self.lock().changes = Some(changes.clone());
        }
        self.keeps_changes
    }

    /// Notes how a process has ended.
    pub fn ended(&self, exit: &Exit) {
        self.lock().used = Some(used(exit));
    }

    /// Starts a log.
    ///
    /// The process writes to a pipe and not to the file itself: `echo > /dev/stdout` must not truncate the log.
    ///
    /// # Errors
    /// When the file, the pipe or the thread between them cannot be made.
    pub fn start(&self) -> Result<(Log, Stdio), StepError> {
        let session = self.step.session;
        let folder = session.store.root();
        let failed = |action| failed(action, folder);
        let (file, out) = LogFile::new(folder).map_err(failed("make a log in"))?;
        let (reader, writer) = io::pipe().map_err(failed("make a pipe for a log in"))?;
        let limit = session.host.log_limit;
        let thread = std::thread::Builder::new().name("log".to_owned());
        let pump = thread.spawn(move || pump(reader, Limited::new(out, limit)));
        let pump = pump.map_err(StepError::Thread)?;
        self.begin(&file);
        let stderr = writer.try_clone();
        let stderr = stderr.map_err(failed("duplicate a pipe for a log in"))?;
        let stdio = Stdio {
            stdin: self.stdin()?,
            stdout: writer.into(),
            stderr: stderr.into(),
        };
        let folder = folder.to_owned();
        let log = Log { file, folder, pump };
        Ok((log, stdio))
    }

    fn stdin(&self) -> Result<Stdin, StepError> {
        let Some(stdin) = self.stdin else {
            return Ok(Stdin::Null);
        };
        let failed = failed("duplicate", Path::new("standard input"));
        stdin.try_clone().map(Stdin::Fd).map_err(failed)
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StepError {
    let path = path.to_owned();
    move |source| StepError::Io {
        action,
        path,
        source,
    }
}

impl Log {
    /// Waits until all output is in the file.
    ///
    /// # Errors
    /// When it could not be written, because the disk is full.
    pub fn finish(self) -> Result<LogFile, StepError> {
        match self.pump.join() {
            Ok(Err(source)) => Err(failed("write a log in", &self.folder)(source)),
            // A pump that panicked has lost output, but not the step.
            Ok(Ok(())) | Err(_) => Ok(self.file),
        }
    }
}

fn pump(mut reader: impl Read, mut log: Limited<impl Write>) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        match reader.read(&mut chunk) {
            Ok(0) => return log.end(),
            Ok(read) => log.take(&chunk[..read])?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// A log of bounded length.
struct Limited<W> {
    out: W,
    limit: u64,
    /// Bytes that it may still take.
    left: u64,
    ends_line: bool,
    /// The last bytes of what it did not take, and how many they are in all.
    tail: Vec<u8>,
    beyond: u64,
}

impl<W: Write> Limited<W> {
    fn new(out: W, limit: u64) -> Self {
        Limited {
            out,
            limit,
            left: limit,
            ends_line: true,
            tail: Vec::new(),
            beyond: 0,
        }
    }

    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        let within = usize::try_from(self.left).map_or(bytes.len(), |left| bytes.len().min(left));
        let (taken, rest) = bytes.split_at(within);
        self.out.write_all(taken)?;
        self.left -= within as u64;
        if let Some(last) = taken.last() {
            self.ends_line = *last == b'\n';
        }
        if rest.is_empty() {
            return Ok(());
        }
        if self.beyond == 0 {
            let limit = memory(self.limit);
            self.note(&format!("the log limit of {limit} is reached; the end of it follows when the command has ended"))?;
        }
        self.beyond += rest.len() as u64;
        self.tail.extend_from_slice(rest);
        if self.tail.len() > 2 * TAIL {
            self.tail.drain(..self.tail.len() - TAIL);
        }
        Ok(())
    }

    /// Adds the end of what was too long.
    fn end(&mut self) -> io::Result<()> {
        let tail = std::mem::take(&mut self.tail);
        let mut shown = &tail[tail.len().saturating_sub(TAIL)..];
        if (shown.len() as u64) < self.beyond {
            // From the beginning of a line, if there is one.
            let line = shown.iter().position(|byte| *byte == b'\n');
            shown = &shown[line.map_or(0, |end| end + 1)..];
            let left_out = self.beyond - shown.len() as u64;
            self.note(&format!("{left_out} bytes are left out here"))?;
        }
        self.out.write_all(shown)?;
        self.out.flush()
    }

    /// A line of kiln's own.
    fn note(&mut self, text: &str) -> io::Result<()> {
        let start = if self.ends_line { "" } else { "\n" };
        self.ends_line = true;
        writeln!(self.out, "{start}[output clipped: {text}]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logged(output: &[u8], limit: u64) -> String {
        let mut log = Vec::new();
        pump(output, Limited::new(&mut log, limit)).unwrap();
        String::from_utf8(log).unwrap()
    }

    #[test]
    fn what_fits_is_kept_as_it_is() {
        assert_eq!(logged(b"one\ntwo", 7), "one\ntwo");
        assert_eq!(logged(b"", 0), "");
    }

    #[test]
    fn more_is_said_and_the_end_is_kept() {
        let note = "[output clipped: the log limit of 5 bytes is reached; the end of it follows when the command has ended]\n";
        assert_eq!(logged(b"one\ntwo\n", 5), format!("one\nt\n{note}wo\n"));
        let lines: String = (0..100_000).map(|line| format!("line {line}\n")).collect();
        let log = logged(lines.as_bytes(), 5);
        let (head, end) = log.split_once(note).unwrap();
        assert_eq!(head, "line \n");
        let (left_out, end) = end.split_once(" bytes are left out here]\n").unwrap();
        let left_out: usize = left_out
            .trim_start_matches("[output clipped: ")
            .parse()
            .unwrap();
        assert_eq!(5 + left_out + end.len(), lines.len());
        assert!(end.starts_with("line ") && end.ends_with("line 99999\n"));
        assert!(end.len() > TAIL / 2 && log.len() < 2 * TAIL);
    }
}
