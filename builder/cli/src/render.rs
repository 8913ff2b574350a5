//! Consumers of the event stream. A renderer is unaware of what the engine does: it sees [`Event`]s and follows log files.
//!
//! To add one: a file here and a line in [`open`].

mod aside;
mod background;
mod ending;
mod follow;
mod json;
mod log;
mod logs;
mod machine;
mod plain;
mod rawjson;
mod recorded;
mod several;
mod shown;
mod sink;
mod split;
mod steps;
mod terminal;
mod transfers;
mod view;

use crate::environment;
use crate::signals::{self, Stop};
use clap::ValueEnum;
use kiln_engine::event::{Event, Stream};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

pub use aside::{Asides, note, warning};
pub use background::Background;
pub use ending::Ending;
pub use log::Log;
pub use recorded::{Record, Recorded};
pub use several::Several;
pub use shown::Shown;
pub use sink::Sink;
use split::Split;
pub use steps::clip;

/// How long a renderer waits for an event before it looks into logs.
const TICK: Duration = Duration::from_millis(50);

/// `--progress`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Progress {
    /// A live view on a terminal, plain lines elsewhere
    Auto,
    /// Prefixed lines
    Plain,
    /// A live view
    Tty,
    /// One JSON object per line, for machines
    Json,
    /// The same as BuildKit prints it
    #[value(name = "rawjson")]
    RawJson,
    /// Only errors
    #[value(alias = "none")]
    Quiet,
}

impl Progress {
    /// Whether programs read it, so that nothing else may stand there.
    pub fn is_for_machines(self) -> bool {
        matches!(self, Progress::Json | Progress::RawJson)
    }
}

/// Shows a build while it goes on.
pub trait Renderer: Send {
    /// Takes one event.
    fn handle(&mut self, event: &Event);
    /// Takes what an event says without showing it.
    fn note(&mut self, _event: &Event) {}
    /// Called about 20 times a second, and after each batch of events: shows what is new in logs, and writes all that it has to show.
    /// Whether there is more to show at once.
    fn tick(&mut self) -> bool {
        false
    }
    /// Somebody asks kiln to stop; after [`Stop::AtOnce`] nothing follows.
    fn stop(&mut self, _stop: Stop) {}
    /// The build has ended, well or not; nothing follows.
    fn finish(&mut self) {}
}

struct Quiet;

impl Renderer for Quiet {
    fn handle(&mut self, _event: &Event) {}
}

/// The renderer that `progress` names, writing to `sink`; a live view says what is done by `verb` (`building`), and where a terminal cannot be
/// drawn upon, there are lines instead. Colour is used on a terminal only, and never when `no_color` is set.
pub fn open(progress: Progress, verb: &str, no_color: bool, sink: Sink) -> Box<dyn Renderer> {
    let terminal = sink.is_terminal();
    let draws = terminal && !environment::is_dumb();
    match progress {
        Progress::Quiet => Box::new(Quiet),
        Progress::Json => Box::new(json::Json::new(sink)),
        Progress::RawJson => Box::new(rawjson::RawJson::new(sink)),
        Progress::Tty | Progress::Auto if draws => {
            Box::new(terminal::Terminal::new(verb, !no_color, sink))
        }
        Progress::Plain | Progress::Auto | Progress::Tty => {
            Box::new(plain::Plain::new(terminal && !no_color, sink))
        }
    }
}

/// Feeds a renderer until the stream ends.
fn drive(renderer: &mut dyn Renderer, events: &Stream) {
    let (mut patience, mut stopped) = (Duration::ZERO, None);
    loop {
        match events.next(patience) {
            Ok(event) => {
                renderer.handle(&event);
                while let Ok(event) = events.next(Duration::ZERO) {
                    renderer.handle(&event);
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if let Some(stop) = signals::stop().filter(|stop| stopped != Some(*stop)) {
            stopped = Some(stop);
            renderer.stop(stop);
            if stop == Stop::AtOnce {
                return;
            }
        }
        let is_behind = renderer.tick();
        patience = if is_behind { Duration::ZERO } else { TICK };
    }
    renderer.finish();
}
