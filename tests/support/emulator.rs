//! A terminal with somebody who looks at it: what a program writes is drawn by an emulator, so that a test sees what a person would see.
//! Unaware of what is shown.

use std::fs::File;
use std::io::Read;
use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use vt100::Parser;

use super::unread::{Unread, resize, terminal_of};

/// Long enough for a busy machine.
const PROMPT: Duration = Duration::from_secs(30);

/// A program on a terminal.
pub struct Emulator {
    parser: Arc<Mutex<Parser>>,
    started: Unread,
    /// All that the program writes, until it and all that it started are gone.
    reader: Option<JoinHandle<()>>,
    person: OwnedFd,
}

impl Emulator {
    /// Starts it on a terminal of this size.
    pub fn start(command: &mut Command, rows: u16, columns: u16) -> Self {
        let (person, program) = terminal_of(rows, columns);
        let side = || Stdio::from(program.try_clone().unwrap());
        command.stdout(side()).stderr(side()).env("TERM", "xterm");
        let started = Unread::start_with(command);
        // what the command holds of it would keep it open
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let parser = Arc::new(Mutex::new(Parser::new(size(rows), size(columns), 1000)));
        let (mut source, drawn) = (File::from(person.try_clone().unwrap()), parser.clone());
        let reader = std::thread::spawn(move || {
            let mut buffer = vec![0; 64 << 10];
            // a terminal that nobody writes to any more ends with an error
            while let Ok(count @ 1..) = source.read(&mut buffer) {
                drawn.lock().unwrap().process(&buffer[..count]);
            }
        });
        Emulator {
            parser,
            started,
            reader: Some(reader),
            person,
        }
    }

    /// The rows of the screen, without blanks at their ends.
    pub fn rows(&self) -> Vec<String> {
        let parser = self.parser.lock().unwrap();
        let (_, columns) = parser.screen().size();
        let rows = parser.screen().rows(0, columns.get());
        rows.map(|row| row.trim_end().to_owned()).collect()
    }

    /// The lines of the screen: one that was wrapped is one.
    pub fn lines(&self) -> Vec<String> {
        let parser = self.parser.lock().unwrap();
        let contents = parser.screen().contents();
        contents
            .lines()
            .map(|line| line.trim_end().to_owned())
            .collect()
    }

    /// Waits until the screen is as it should be.
    #[track_caller]
    pub fn shows(&self, what: impl Fn(&[String]) -> bool) {
        let begun = Instant::now();
        while !what(&self.rows()) {
            assert!(begun.elapsed() < PROMPT, "{:#?}", self.rows());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until a row has the text.
    #[track_caller]
    pub fn has(&self, text: &str) {
        self.shows(|rows| rows.iter().any(|row| row.contains(text)));
    }

    /// Sends the program a signal.
    pub fn signal(&self, signal: Signal) {
        self.started.signal(signal);
    }

    /// Gives the terminal another size.
    pub fn resize(&self, rows: u16, columns: u16) {
        self.parser
            .lock()
            .unwrap()
            .set_size(size(rows), size(columns));
        resize(&self.person, rows, columns);
        self.started.signal(Signal::WINCH);
    }

    /// Waits for the program's end; its exit code and the lines of the last screen.
    #[track_caller]
    pub fn ends(mut self) -> (Option<i32>, Vec<String>) {
        let code = self.started.ends();
        self.reader.take().unwrap().join().unwrap();
        (code, self.lines())
    }
}

fn size(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).unwrap()
}
