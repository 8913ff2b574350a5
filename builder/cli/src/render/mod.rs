//! Consumers of the event stream. A renderer is unaware of what the engine does: it sees [`Event`]s and follows log files.
//!
//! To add one: a file here and a line in [`open`].

mod follow;
mod json;
mod plain;
mod sink;
mod split;
mod steps;
mod terminal;
mod transfers;

use clap::ValueEnum;
use kiln_engine::event::Event;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

pub use sink::Sink;
pub use split::Split;

/// `--progress`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Progress {
    /// A live view on a terminal, else plain lines
    Auto,
    /// Prefixed lines
    Plain,
    /// A live view
    Tty,
    /// One JSON object a line, for machines
    #[value(alias = "rawjson")]
    Json,
    /// Nothing but errors
    #[value(alias = "none")]
    Quiet,
}

/// Shows a build while it goes on.
pub trait Renderer: Send {
    /// Takes one event.
    fn handle(&mut self, event: &Event);
    /// Takes what an event says without showing it.
    fn note(&mut self, _event: &Event) {}
    /// Called about 20 times a second, and after each batch of events.
    fn tick(&mut self) {}
    /// The build has ended, well or not; nothing follows.
    fn finish(&mut self) {}
}

struct Quiet;

impl Renderer for Quiet {
    fn handle(&mut self, _event: &Event) {}
}

/// The renderer that `progress` names, writing to `sink`; a live view is always on standard error. Colour is used on a
/// terminal only, and never when `no_color` is set.
pub fn open(progress: Progress, no_color: bool, sink: Sink) -> Box<dyn Renderer> {
    let terminal = sink.is_terminal();
    match progress {
        Progress::Quiet => Box::new(Quiet),
        Progress::Json => Box::new(json::Json::new(sink)),
        Progress::Tty => Box::new(terminal::Terminal::new(!no_color)),
        Progress::Auto if terminal => Box::new(terminal::Terminal::new(!no_color)),
        Progress::Plain | Progress::Auto => {
            Box::new(plain::Plain::new(terminal && !no_color, sink))
        }
    }
}

/// Feeds a renderer until the stream ends.
pub fn drive(renderer: &mut dyn Renderer, events: &Receiver<Event>) {
    loop {
        match events.recv_timeout(Duration::from_millis(50)) {
            Ok(event) => {
                renderer.handle(&event);
                while let Ok(event) = events.try_recv() {
                    renderer.handle(&event);
                }
                renderer.tick();
            }
            Err(RecvTimeoutError::Timeout) => renderer.tick(),
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    renderer.finish();
}
