//! kiln as the one who attends a process that is tried out: its streams are kiln's own; or it has a terminal of its own, to which keys go as
//! they are pressed (Ctrl-C and Ctrl-Z too), and which is as large as this one is. Signals go on to the process. Unaware of what runs.

pub mod background;
mod shown;
mod signals;

use crate::failure::{Failure, Kind};
use crate::render::{Asides, Background, Sink};
use crate::{containers, render};
use kiln_engine::Session;
use kiln_engine::event::Events;
use kiln_engine::trial::{Attendant, ContainerError, exit_code};
use kiln_oci::locked;
use kiln_sandbox::{Exit, KillHandle, Stdin, Stdio, TerminalSize};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::termios::{OptionalActions, Termios, Winsize, tcgetattr, tcgetwinsize, tcsetattr};
use shown::show;
use signal_hook::consts::SIGTERM;
use signals::Signals;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Mutex;
use std::thread::{Builder, JoinHandle};

/// Keys that are handed on at once.
const KEYS: usize = 4 << 10;

/// What the process gets of kiln's own streams.
#[derive(Debug)]
pub struct Streams {
    /// It reads kiln's standard input.
    pub is_interactive: bool,
    /// It has a terminal of its own.
    pub has_terminal: bool,
    /// What it starts may hold its streams longer than it runs: kiln's own are not given away.
    outlives: bool,
    signals: Signals,
    output: Mutex<Output>,
}

/// Where a process writes.
#[derive(Debug, Default)]
struct Output {
    /// What comes from it, and where that is shown.
    pipes: Vec<(OwnedFd, OwnedFd)>,
    shown: Vec<JoinHandle<()>>,
}

impl Drop for Output {
    /// Waits until all is shown.
    fn drop(&mut self) {
        self.pipes.clear();
        for shown in self.shown.drain(..) {
            // one that panicked shows no more
            let _ = shown.join();
        }
    }
}

/// What is taken of the person's terminal, in the order in which it is given back.
#[derive(Debug, Default)]
struct Taken {
    /// Closing it ends the reading of keys.
    _keys: Option<OwnedFd>,
    _raw: Option<Raw>,
}

impl Streams {
    /// That keys can be pressed where they are to be.
    ///
    /// # Errors
    /// Standard input is no terminal.
    pub fn check(is_interactive: bool, has_terminal: bool) -> Result<(), Failure> {
        if is_interactive && has_terminal && !io::stdin().is_terminal() {
            let failure = Failure::usage("the input device is not a TTY");
            return Err(failure.hint("leave -t out where standard input is a pipe or a file"));
        }
        Ok(())
    }

    /// Nothing runs yet.
    pub fn new(is_interactive: bool, has_terminal: bool, stop_signal: i32) -> Self {
        Streams {
            is_interactive,
            has_terminal,
            outlives: false,
            signals: Signals::new(stop_signal),
            output: Mutex::default(),
        }
    }

    /// The same for one that may leave others behind when it ends, which are not waited for.
    pub fn beside_others(is_interactive: bool, has_terminal: bool) -> Self {
        Streams {
            outlives: true,
            ..Streams::new(is_interactive, has_terminal, SIGTERM)
        }
    }

    /// How large the terminal of the process is, if it has one.
    pub fn size(&self) -> Option<TerminalSize> {
        let size = own_size();
        self.has_terminal.then_some(TerminalSize {
            rows: size.ws_row,
            columns: size.ws_col,
        })
    }

    /// Whether this terminal's keys are the process's.
    fn takes_keys(&self) -> bool {
        self.has_terminal && self.is_interactive
    }

    /// What the process writes to, so that it is shown at one of kiln's own.
    fn shown_at(&self, stream: impl AsFd) -> io::Result<OwnedFd> {
        if !self.outlives {
            return copy(stream);
        }
        let (from, to) = io::pipe()?;
        let pipes = &mut locked(&self.output).pipes;
        pipes.push((from.into(), copy(stream)?));
        Ok(to.into())
    }

    /// Takes the keys of this terminal for that of the process, if they are its.
    fn take(&self, terminal: &OwnedFd, process: &KillHandle) -> io::Result<Taken> {
        if !self.takes_keys() {
            return Ok(Taken::default());
        }
        let raw = Raw::take()?;
        Ok(Taken {
            _keys: Some(press(terminal.try_clone()?, process.clone())?),
            _raw: Some(raw),
        })
    }
}

impl Attendant for Streams {
    fn streams(&self) -> io::Result<Stdio> {
        self.signals.take()?;
        let null = || File::options().read(true).write(true).open("/dev/null");
        if self.has_terminal {
            return Ok(Stdio {
                stdin: Stdin::Null,
                stdout: null()?.into(),
                stderr: null()?.into(),
            });
        }
        Ok(Stdio {
            stdin: match self.is_interactive {
                true => Stdin::Fd(copy(io::stdin())?),
                false => Stdin::Null,
            },
            stdout: self.shown_at(io::stdout())?,
            stderr: self.shown_at(io::stderr())?,
        })
    }

    fn terminal(&self) -> Option<BorrowedFd<'_>> {
        // standard input is there as long as the process
        const STDIN: BorrowedFd<'static> = rustix::stdio::stdin();
        self.takes_keys().then_some(STDIN)
    }

    fn note(&self, note: &str) {
        render::warning(note);
    }

    fn started(&self, process: KillHandle, terminal: Option<OwnedFd>) -> io::Result<()> {
        let resized = terminal.as_ref().map(OwnedFd::try_clone).transpose()?;
        self.signals.begin(process.clone(), resized);
        let mut output = locked(&self.output);
        for streams in std::mem::take(&mut output.pipes) {
            // a pipe that is closed says so itself
            output.shown.push(show(streams, process.clone(), drop)?);
        }
        if let Some(terminal) = terminal {
            let taken = self.take(&terminal, &process)?;
            let streams = (terminal, copy(io::stdout())?);
            let shown = show(streams, process.clone(), move |shown| {
                if shown.is_err() {
                    process.kill();
                }
                drop(taken);
            });
            output.shown.push(shown?);
        }
        Ok(())
    }

    fn ended(&self) {}

    fn leave(&self) {
        // nobody is left who could do anything about them
        self.signals.give_back();
        drop(std::mem::take(&mut *locked(&self.output)));
    }
}

fn copy(stream: impl AsFd) -> io::Result<OwnedFd> {
    stream.as_fd().try_clone_to_owned()
}

fn own_size() -> Winsize {
    let sizes = [tcgetwinsize(io::stdout()), tcgetwinsize(io::stdin())];
    let usual = Winsize {
        ws_row: 24,
        ws_col: 80,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    sizes.into_iter().flatten().next().unwrap_or(usual)
}

/// Writes what is typed to the terminal of the process, until what this returns is dropped. Where nobody can type any more, the process is
/// killed.
fn press(terminal: OwnedFd, process: KillHandle) -> io::Result<OwnedFd> {
    let (end, kept) = pipe_with(PipeFlags::CLOEXEC)?;
    let press = move || {
        let (mut terminal, mut keys) = (File::from(terminal), [0; KEYS]);
        while typed(&end) {
            match rustix::io::read(io::stdin(), &mut keys) {
                Ok(count @ 1..) if terminal.write_all(&keys[..count]).is_ok() => {}
                Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
                _ => return process.kill(),
            }
        }
    };
    Builder::new().name("keys".to_owned()).spawn(press)?;
    Ok(kept)
}

/// Waits for keys; false at the end.
fn typed(end: &OwnedFd) -> bool {
    let stdin = io::stdin();
    let mut fds = [
        PollFd::new(&stdin, PollFlags::IN),
        PollFd::new(end, PollFlags::IN),
    ];
    while poll(&mut fds, None).is_err() {}
    fds[1].revents().is_empty()
}

/// This terminal, while keys are taken as they are pressed.
#[derive(Debug)]
struct Raw(Termios);

impl Raw {
    fn take() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        Ok(Raw(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // it may be gone, and then there is nothing to give back
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

/// Attends what `run` runs. What may matter to people is told meanwhile.
///
/// # Errors
/// It cannot be started.
pub fn attended<A: Attendant, T>(
    session: Session,
    attendant: A,
    run: impl FnOnce(&Session, &A) -> Result<T, ContainerError>,
) -> Result<T, Failure> {
    let (events, stream) = Events::new("attended".to_owned());
    let told = Background::start(Box::new(Asides), stream, Sink::stderr())?;
    let session = Session { events, ..session };
    let ran = run(&session, &attendant);
    // what follows may take a while: signals are kiln's again
    drop(attendant);
    // what was thrown away; what cannot go now goes with the next command
    let _ = session.store.settle_soon();
    drop(session);
    told.finish()?;
    ran.map_err(containers::of_container)
}

/// How a process ended, as a shell says it.
///
/// # Errors
/// It did not end well.
pub fn judged(exit: &Exit, memory: Option<u64>) -> Result<(), Failure> {
    match (exit_code(exit), memory.filter(|_| exit.out_of_memory)) {
        (0, _) => Ok(()),
        (code, None) => Err(Failure::passed(code)),
        (code, Some(_)) => {
            let message = "a process was killed, because the memory that it may use ran out";
            let failure = Failure::new(Kind::Build, message).exits_with(code);
            Err(failure.hint("raise the limit with --memory"))
        }
    }
}
