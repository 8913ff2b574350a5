//! A live view for terminals: what is under way is drawn below, with its time and its last lines of output; what has ended scrolls up, a line
//! for each stage. Unaware of what steps do.

mod bar;
mod board;
mod frame;
mod screen;

use super::steps::{Steps, clip, painted};
use super::transfers::{Transfer, short};
use super::view::{View, show};
use super::{Renderer, Sink, Stop};
use crate::printable::{printable, unstyled};
use crate::units;
use board::{Board, Ended};
use frame::Frame;
use kiln_engine::event::{Event, EventKind, Outcome};
use screen::{Screen, Size};
use std::time::{Duration, Instant};

/// How often it is drawn; what is over sooner is never drawn at all.
const EVERY: Duration = Duration::from_millis(80);

/// The live view.
#[derive(Debug)]
pub struct Terminal {
    steps: Steps,
    board: Board,
    screen: Screen,
    /// Lines that are to scroll up at the next drawing.
    said: Vec<String>,
    verb: String,
    color: bool,
    begun: Instant,
    drawn: Instant,
}

impl Terminal {
    /// With or without colour; `verb` says what is done.
    pub fn new(verb: &str, color: bool, sink: Sink) -> Self {
        let now = Instant::now();
        Terminal {
            steps: Steps::default(),
            board: Board::default(),
            screen: Screen::new(sink),
            said: Vec::new(),
            verb: verb.to_owned(),
            color,
            begun: now,
            drawn: now,
        }
    }

    /// What has ended, in one line: a word, and the rest.
    fn tell(&mut self, code: &str, word: &str, rest: &str) {
        let word = painted(self.color, code, &format!("{word:<7}"));
        self.say(&format!("{word} {rest}"));
    }

    /// Tells the stages that have ended.
    fn fold(&mut self) {
        for stage in self.board.closed() {
            let line = self.stage(&stage);
            let mut ended = self.board.ended_of(&stage);
            let is_cached = ended.all(|(_, ended)| matches!(ended, Ended::Cached));
            drop(ended);
            match is_cached {
                true => self.tell("32", "cached", &line),
                false => self.tell("1;32", "done", &line),
            }
        }
    }

    /// `build  5 steps, 2 cached, 41.2s (RUN make 38.0s)`: what took most of the time is named.
    fn stage(&self, stage: &str) -> String {
        let ended: Vec<(usize, Ended)> = self.board.ended_of(stage).collect();
        let time = |(step, ended): &(usize, Ended)| match ended {
            Ended::Cached => None,
            Ended::Ran(took_us) => Some((*took_us, *step)),
        };
        let ran: Vec<(u64, usize)> = ended.iter().filter_map(time).collect();
        let line = format!("{stage}  {}", units::counted(ended.len(), "step"));
        let cached = match ended.len() - ran.len() {
            _ if ran.is_empty() => return line,
            0 => String::new(),
            some => format!(", {some} cached"),
        };
        let took: u64 = ran.iter().map(|(took, _)| took).sum();
        let line = format!("{line}{cached}, {}", units::duration(took));
        let most = ran.iter().max().filter(|(most, _)| most * 2 > took);
        most.filter(|_| ran.len() > 1)
            .map_or(line.clone(), |(most, step)| {
                let title = self.steps.title(*step, 40);
                format!("{line} ({title} {})", units::duration(*most))
            })
    }

    fn draw(&mut self, frame: Vec<String>, size: Size) {
        self.drawn = Instant::now();
        let said = std::mem::take(&mut self.said);
        self.screen.draw(&said, frame, size);
    }

    fn draw_frame(&mut self) {
        let size = Size::now();
        let frame = Frame {
            board: &self.board,
            steps: &self.steps,
            verb: &self.verb,
            begun: self.begun,
            size,
            color: self.color,
        };
        let lines = frame.lines();
        self.draw(lines, size);
    }

    /// The last lines of output since the last time.
    fn follow(&mut self) {
        let Terminal { steps, board, .. } = self;
        steps.follow_ends(|piece| {
            let line = unstyled(&piece.line());
            let seen = line.rsplit('\r').find(|part| !part.trim().is_empty());
            if let Some(seen) = seen {
                board.print(piece.step, seen.to_owned());
            }
        });
    }
}

impl View for Terminal {
    fn steps(&mut self) -> &mut Steps {
        &mut self.steps
    }

    fn say(&mut self, line: &str) {
        let line = printable(line, true);
        self.said.extend(line.split('\n').map(str::to_owned));
    }

    fn paint(&self, code: &str, text: &str) -> String {
        painted(self.color, code, text)
    }

    fn digest_as(&self) -> fn(&str) -> &str {
        short
    }

    fn started(&mut self, step: usize, because: Option<&str>) {
        self.board.start(step);
        if let Some(reason) = because {
            let (prefix, title) = (self.steps.prefix(step), self.steps.title(step, 40));
            self.tell("36", "again", &format!("{prefix} {title}: {reason}"));
        }
    }

    fn finished(&mut self, step: usize, outcome: Outcome, took_us: u64) {
        self.steps.logs().end(step, |_| {});
        self.board.finish(step, outcome, took_us);
        self.fold();
    }

    /// Why it failed is told at the end, with all that is known.
    fn failed(&mut self, step: usize, _message: &str) {
        self.steps.logs().end(step, |_| {});
        let stage = self.steps.info(step).map(|info| info.stage.clone());
        let took = self.board.fail(step, &stage.unwrap_or_default());
        let (prefix, title) = (self.steps.prefix(step), self.steps.title(step, 200));
        let room = Size::now().columns.saturating_sub(20);
        let step = clip(&format!("{prefix} {title}"), room);
        self.tell(
            "1;31",
            "failed",
            &format!("{step} {}", units::duration(took)),
        );
    }

    fn transfer(&mut self, transfer: &Transfer<'_>) {
        self.board.transfer(transfer);
    }

    fn kept(&mut self, stage: &str, id: &str) {
        self.tell("32", "kept", &format!("stage {stage} as {id}"));
    }

    fn image(&mut self, name: &str, lines: &[String]) {
        self.fold_traffic();
        self.tell("1;32", "built", name);
        for line in lines {
            self.say(&format!("        {line}"));
        }
    }

    fn other(&mut self, kind: &EventKind) {
        match kind {
            EventKind::Planned { .. } => self.board.plan(&self.steps),
            EventKind::Committed { step, .. } => {
                self.board.commit(*step);
                self.fold();
            }
            _ => {}
        }
    }
}

impl Terminal {
    fn fold_traffic(&mut self) {
        for (word, line) in self.board.take_traffic() {
            self.tell("1;32", word, &line);
        }
    }
}

impl Renderer for Terminal {
    fn handle(&mut self, event: &Event) {
        show(self, event);
    }

    fn tick(&mut self) -> bool {
        if self.drawn.elapsed() >= EVERY {
            self.follow();
            self.draw_frame();
        }
        false
    }

    fn stop(&mut self, stop: Stop) {
        match stop {
            Stop::Asked => {
                self.verb = "stopping (Ctrl-C again: at once)".to_owned();
                self.draw_frame();
            }
            Stop::AtOnce => {
                self.say(stop.words());
                self.finish();
            }
        }
    }

    /// Stages of which only a part was done get a line as well.
    fn finish(&mut self) {
        let open: Vec<String> = self.board.open().cloned().collect();
        for stage in open {
            let ended = self.board.ended_of(&stage).count();
            if ended > 0 {
                let of = self.board.size(&stage);
                self.tell(
                    "33",
                    "stopped",
                    &format!("{stage}  after {ended} of {of} steps"),
                );
            }
        }
        self.fold_traffic();
        self.draw(Vec::new(), Size::now());
    }
}
