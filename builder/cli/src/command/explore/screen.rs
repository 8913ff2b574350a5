//! The terminal of `kiln explore`: it is taken, drawn on and given back, whatever ends the program or stops it: a key, an error, a panic,
//! SIGTERM, Ctrl-Z. Unaware of what is drawn.

use super::surface::Surface;
use crate::environment;
use crate::failure::{Failure, Kind};
use crate::signals::{self, PATIENCE};
use crate::stdout;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::queue;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::{Frame, Terminal};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal};
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// Whether the terminal is taken. Held while something is written to it.
static IS_TAKEN: Mutex<bool> = Mutex::new(false);

/// A terminal that is taken; it is given back when this ends.
#[derive(Debug)]
pub struct Screen {
    terminal: Terminal<Surface>,
}

/// That there is a terminal to draw on and to read keys from.
///
/// # Errors
/// There is none.
pub fn check() -> Result<(), Failure> {
    let hint = "`kiln size --tree` and `kiln blame` say the same without a terminal";
    if !stdout::is_terminal() || keyboard().is_err() {
        return Err(Failure::usage("kiln explore needs a terminal").hint(hint));
    }
    if environment::is_dumb() {
        let message = "kiln explore needs a terminal that can do more than TERM says";
        return Err(Failure::usage(message).hint(hint));
    }
    Ok(())
}

/// Where keys come from: standard input may be an archive.
///
/// # Errors
/// There is no terminal.
pub fn keyboard() -> io::Result<File> {
    match io::stdin().is_terminal() {
        true => Ok(rustix::io::dup(io::stdin())?.into()),
        false => File::open("/dev/tty"),
    }
}

impl Screen {
    /// Takes the terminal.
    ///
    /// # Errors
    /// It refuses.
    pub fn open() -> Result<Self, Failure> {
        let output = rustix::io::dup(io::stdout()).map_err(|error| failed(error.into()))?;
        let backend = CrosstermBackend::new(BufWriter::new(File::from(output)));
        let terminal = Terminal::new(Surface(backend)).map_err(failed)?;
        signals::before_end(give_back)?;
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            report(panic);
        }));
        let mut screen = Screen { terminal };
        screen.take()?;
        Ok(screen)
    }

    /// Takes the terminal, again after it was given back.
    ///
    /// # Errors
    /// It refuses.
    pub fn take(&mut self) -> Result<(), Failure> {
        let mut is_taken = lock();
        enable_raw_mode().map_err(failed)?;
        *is_taken = true;
        queue!(self.terminal.backend_mut().0, EnterAlternateScreen).map_err(failed)?;
        self.terminal.clear().map_err(failed)
    }

    /// Draws.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> Result<(), Failure> {
        let is_taken = lock();
        if *is_taken {
            self.terminal.draw(draw).map_err(failed)?;
        }
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn lock() -> MutexGuard<'static, bool> {
    IS_TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives the terminal back as it was. Nobody is waited for any longer than people wait: neither who is drawing, which may be the thread
/// that panics, nor a terminal that does not read.
pub fn give_back() {
    let start = Instant::now();
    let mut is_taken = loop {
        match IS_TAKEN.try_lock() {
            Ok(guard) => break Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => break Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if start.elapsed() > PATIENCE => break None,
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    if is_taken.as_ref().is_some_and(|is_taken| !**is_taken) {
        return;
    }
    // there is nobody who could be told
    let _ = disable_raw_mode();
    let mut bytes = Vec::new();
    let _ = queue!(bytes, LeaveAlternateScreen, Show);
    if is_writable() {
        let _ = rustix::io::write(io::stdout().as_fd(), &bytes);
    }
    if let Some(is_taken) = &mut is_taken {
        **is_taken = false;
    }
}

fn is_writable() -> bool {
    let stdout = io::stdout();
    let mut polled = [PollFd::new(&stdout, PollFlags::OUT)];
    let patience = Timespec::try_from(PATIENCE).ok();
    poll(&mut polled, patience.as_ref()).is_ok_and(|count| count > 0)
}

fn failed(error: io::Error) -> Failure {
    Failure::new(Kind::Environment, format!("the terminal fails: {error}"))
}
