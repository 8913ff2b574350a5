//! kiln as the one who attends a container in the background: as another process, which outlives the command that asked for it. What the
//! container prints is logged, and nobody types. The other process says that all is well by a line on its standard output, which is a pipe to
//! the command, and lets go of terminal and streams then. Unaware of what runs.

use super::signals::Signals;
use crate::failure::{Failure, Kind};
use crate::{render, stdout};
use kiln_engine::trial::{Attendant, Stream, Writer};
use kiln_oci::locked;
use kiln_sandbox::{KillHandle, Stdin, Stdio, TerminalSize, again_about, start_again};
use rustix::process::setsid;
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};

/// The size of a terminal at which nobody sits.
pub const UNSEEN: TerminalSize = TerminalSize {
    rows: 24,
    columns: 80,
};

/// The container that this process is about, if it is that other process: its name where one is known already, else nothing.
pub fn subject() -> Option<String> {
    again_about()
}

/// Does what this command line asks for, with one of the containers that it names, in another process, and passes on what that says first.
///
/// # Errors
/// It ends before that, and has said why itself.
pub fn start(container: &str) -> Result<(), Failure> {
    let failed = |error: io::Error| {
        let message = format!("a process for the container cannot be started: {error}");
        Failure::new(Kind::Environment, message)
    };
    let mut process = start_again(container).map_err(failed)?;
    let mut said = String::new();
    if let Some(mut pipe) = process.stdout.take() {
        pipe.read_to_string(&mut said).map_err(failed)?;
    }
    if said.is_empty() {
        let code = process.wait().map_err(failed)?.code();
        let code = code.and_then(|code| u8::try_from(code).ok());
        return Err(Failure::passed(code.unwrap_or(Kind::Environment as u8)));
    }
    stdout::print(said.as_bytes());
    Ok(())
}

/// Attends in the background.
#[derive(Debug)]
pub struct InBackground {
    /// What is said when the container runs.
    line: String,
    log: Arc<Writer>,
    signals: Signals,
    /// The container can read, though nobody writes.
    is_interactive: bool,
    held: Mutex<Held>,
}

/// What is held while the container runs.
#[derive(Debug, Default)]
struct Held {
    keys: Option<OwnedFd>,
    copied: Vec<JoinHandle<()>>,
}

impl InBackground {
    /// Says `line` when the container runs.
    pub fn new(line: String, log: Writer, stop_signal: i32, is_interactive: bool) -> Self {
        InBackground {
            line,
            log: Arc::new(log),
            signals: Signals::new(stop_signal),
            is_interactive,
            held: Mutex::default(),
        }
    }

    fn copy(&self, from: impl Read + Send + 'static, stream: Stream) -> io::Result<()> {
        let log = self.log.clone();
        let copy = move || log.copy(from, stream);
        let thread = Builder::new().name("log".to_owned()).spawn(copy)?;
        locked(&self.held).copied.push(thread);
        Ok(())
    }

    fn stdin(&self) -> io::Result<Stdin> {
        if !self.is_interactive {
            return Ok(Stdin::Null);
        }
        let (read, write) = io::pipe()?;
        locked(&self.held).keys = Some(write.into());
        Ok(Stdin::Fd(read.into()))
    }

    /// Says that the container runs, and lets go of everything that is the command's.
    fn let_go(&self) -> io::Result<()> {
        let mut out = io::stdout();
        // who asked may be gone, and the container stays all the same
        let _ = writeln!(out, "{}", self.line).and_then(|()| out.flush());
        let null = File::options().read(true).write(true).open("/dev/null")?;
        dup2_stdin(&null)?;
        dup2_stdout(&null)?;
        dup2_stderr(&null)?;
        // fails only for the leader of a process group, which is fine too
        let _ = setsid();
        Ok(())
    }
}

impl Attendant for InBackground {
    fn streams(&self) -> io::Result<Stdio> {
        self.signals.take()?;
        let (out, stdout) = io::pipe()?;
        let (err, stderr) = io::pipe()?;
        self.copy(out, Stream::Out)?;
        self.copy(err, Stream::Err)?;
        Ok(Stdio {
            stdin: self.stdin()?,
            stdout: stdout.into(),
            stderr: stderr.into(),
        })
    }

    fn terminal(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn note(&self, note: &str) {
        render::warning(note);
    }

    fn started(&self, process: KillHandle, terminal: Option<OwnedFd>) -> io::Result<()> {
        self.signals.begin(process, None);
        if let Some(terminal) = terminal {
            let keys = terminal.try_clone()?;
            locked(&self.held).keys = Some(keys);
            self.copy(File::from(terminal), Stream::Out)?;
        }
        self.let_go()
    }

    fn ended(&self) {
        let held = std::mem::take(&mut *locked(&self.held));
        for copied in held.copied {
            // one that panicked logs no more
            let _ = copied.join();
        }
    }

    fn leave(&self) {}
}
