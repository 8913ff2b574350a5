//! What comes from outside while an image is browsed: keys, another size of the terminal, signals that stop and continue. Unaware of what
//! they do.

use super::screen::keyboard;
use crate::failure::Failure;
use ratatui::crossterm::event::{self, KeyEvent};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use signal_hook::consts::{SIGCONT, SIGQUIT, SIGTSTP, SIGWINCH};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// A key was pressed.
    Key(KeyEvent),
    /// The terminal has another size.
    Resized,
    /// The program shall stop.
    Suspend,
    /// The program goes on, on a terminal that others used meanwhile.
    Continued,
    /// The terminal is gone, or something else ends the program.
    Ended,
}

/// Begins to listen.
///
/// # Errors
/// There is no terminal, or no thread.
pub fn listen() -> Result<Receiver<Event>, Failure> {
    let (sender, receiver) = channel();
    let keys = sender.clone();
    let signals = Signals::new([SIGWINCH, SIGTSTP, SIGCONT, SIGQUIT]).map_err(Failure::thread)?;
    let pipe = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK);
    let (resized, tell) = pipe.map_err(|error| Failure::thread(error.into()))?;
    start("keys", move || {
        // whatever fails here, the terminal is gone
        let _ = read_keys(&keys, &resized);
        let _ = keys.send(Event::Ended);
    })?;
    start("terminal signals", move || hear(signals, &sender, &tell))?;
    Ok(receiver)
}

/// Stops the program until somebody continues it.
pub fn stop() {
    // a signal that cannot be refused
    let _ = emulate_default_handler(SIGTSTP);
}

fn start(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread.spawn(work).map(drop).map_err(Failure::thread)
}

/// Sends keys until the terminal is gone, which crossterm does not notice. A byte in `resized` says that the terminal has another size:
/// crossterm takes note of that at once, for it would lose a key that it finds together with it.
fn read_keys(sender: &Sender<Event>, resized: &OwnedFd) -> io::Result<()> {
    let keyboard = keyboard()?;
    loop {
        let keys = PollFd::new(&keyboard, PollFlags::IN);
        let mut polled = [keys, PollFd::new(resized, PollFlags::IN)];
        match poll(&mut polled, None) {
            Err(Errno::INTR) => continue,
            polled => polled?,
        };
        let [keys, sizes] = polled.map(|fd| fd.revents());
        if !sizes.is_empty() {
            rustix::io::read(resized, &mut [0; 16])?;
        }
        if !PollFlags::IN.contains(keys) || !read_all(sender)? {
            return Ok(());
        }
    }
}

/// Sends all keys that are there; whether somebody takes them.
fn read_all(sender: &Sender<Event>) -> io::Result<bool> {
    while event::poll(Duration::ZERO)? {
        let sent = match event::read()? {
            event::Event::Key(key) if key.is_press() => sender.send(Event::Key(key)),
            event::Event::Resize(..) => sender.send(Event::Resized),
            _ => Ok(()),
        };
        if sent.is_err() {
            return Ok(false);
        }
    }
    Ok(true)
}

fn hear(mut signals: Signals, sender: &Sender<Event>, resized: &OwnedFd) {
    for signal in signals.forever() {
        let event = match signal {
            SIGWINCH => {
                // who reads keys may be gone
                let _ = rustix::io::write(resized, b"r");
                Event::Resized
            }
            SIGTSTP => Event::Suspend,
            SIGCONT => Event::Continued,
            _ => Event::Ended,
        };
        if sender.send(event).is_err() {
            return;
        }
    }
}
