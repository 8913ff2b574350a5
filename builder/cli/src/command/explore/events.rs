//! What comes from outside while an image is browsed: keys, another size of the terminal, signals that stop and continue. Unaware of what
//! they do.

use super::screen::keyboard;
use crate::failure::Failure;
use ratatui::crossterm::event::{self, KeyEvent};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use signal_hook::consts::{SIGCONT, SIGQUIT, SIGTSTP, SIGWINCH};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use std::io;
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
    start("keys", move || {
        // whatever fails here, the terminal is gone
        let _ = read_keys(&keys);
        let _ = keys.send(Event::Ended);
    })?;
    start("terminal signals", move || hear(signals, &sender))?;
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

/// Sends keys until the terminal is gone, which crossterm does not notice.
fn read_keys(sender: &Sender<Event>) -> io::Result<()> {
    let keyboard = keyboard()?;
    loop {
        let mut polled = [PollFd::new(&keyboard, PollFlags::IN)];
        match poll(&mut polled, None) {
            Err(Errno::INTR) => continue,
            polled => polled?,
        };
        if !PollFlags::IN.contains(polled[0].revents()) || !read_all(sender)? {
            return Ok(());
        }
    }
}

/// Sends all keys that are there; whether somebody takes them. crossterm keeps keys that came together, and gives them out only to who
/// has some time left.
fn read_all(sender: &Sender<Event>) -> io::Result<bool> {
    const PATIENCE: Duration = Duration::from_millis(200);
    while event::poll(PATIENCE)? {
        let sent = match event::read()? {
            event::Event::Key(key) if key.is_press() => sender.send(Event::Key(key)),
            _ => Ok(()),
        };
        if sent.is_err() {
            return Ok(false);
        }
    }
    Ok(true)
}

fn hear(mut signals: Signals, sender: &Sender<Event>) {
    for signal in signals.forever() {
        let event = match signal {
            SIGWINCH => Event::Resized,
            SIGTSTP => Event::Suspend,
            SIGCONT => Event::Continued,
            _ => Event::Ended,
        };
        if sender.send(event).is_err() {
            return;
        }
    }
}
