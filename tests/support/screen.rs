//! A program on a terminal that somebody looks at: keys go in, and what is drawn becomes a screen of letters. Unaware of which program it is.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use super::golden;
use super::processes::eventually;
use super::unread::terminal;

/// See the module.
pub struct Screen {
    child: Child,
    /// The person's side, until it is closed.
    person: Option<File>,
    /// The program's side.
    program: OwnedFd,
    drawn: vt100::Parser,
    /// All bytes of it.
    pub written: Vec<u8>,
}

impl Screen {
    /// Starts a program on a terminal of so many columns and rows.
    pub fn start(command: &mut Command, columns: u16, rows: u16) -> Self {
        let (person, program) = terminal();
        fcntl_setfl(&person, OFlags::NONBLOCK).unwrap();
        set_size(&program, columns, rows);
        let side = || Stdio::from(program.try_clone().unwrap());
        command.stdin(side()).stdout(side()).stderr(side());
        let child = command.env("TERM", "xterm-256color").spawn().unwrap();
        // what the command holds of the terminal would keep it open
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Screen {
            child,
            person: Some(person.into()),
            program,
            drawn: vt100::Parser::new(size(rows), size(columns), 0),
            written: Vec::new(),
        }
    }

    /// The letters, a line for each row, without blanks at the ends.
    pub fn text(&self) -> String {
        let screen = self.drawn.screen();
        let (_, columns) = screen.size();
        let rows = screen.rows(0, columns.get());
        rows.map(|row| row.trim_end().to_owned() + "\n").collect()
    }

    /// Waits until something is so; what is drawn meanwhile is taken, so that nobody waits for a reader.
    #[track_caller]
    pub fn until(&mut self, what: &str, mut is_so: impl FnMut(&mut Self) -> bool) {
        eventually(what, || {
            self.look();
            is_so(self)
        });
    }

    /// Waits until all of these words are on the screen.
    #[track_caller]
    pub fn shows(&mut self, words: &[&str]) {
        for word in words {
            self.until(&format!("{word:?} is not shown"), |screen| {
                screen.text().contains(word)
            });
        }
    }

    /// Waits until the screen is that of a golden file, and a word is on it; digests are masked.
    #[track_caller]
    pub fn matches(&mut self, name: &str, word: &str) {
        self.shows(&[word]);
        if golden::is_updated() {
            std::thread::sleep(Duration::from_millis(300));
            self.look();
            golden::update(name, &masked(&self.text()));
        }
        let expected = golden::expected(name);
        let what = format!("the screen is not {name}; UPDATE_GOLDEN=1 writes it anew");
        self.until(&what, |screen| masked(&screen.text()) == expected);
    }

    /// Takes what was drawn.
    fn look(&mut self) {
        let mut buffer = [0; 4096];
        while let Some(Ok(count @ 1..)) = self.person.as_mut().map(|side| side.read(&mut buffer)) {
            self.drawn.process(&buffer[..count]);
            self.written.extend(&buffer[..count]);
        }
    }

    /// Presses keys.
    pub fn press(&mut self, keys: &str) {
        self.person
            .as_mut()
            .unwrap()
            .write_all(keys.as_bytes())
            .unwrap();
    }

    /// Gives the terminal another size.
    pub fn resize(&mut self, columns: u16, rows: u16) {
        self.look();
        self.drawn.set_size(size(rows), size(columns));
        set_size(&self.program, columns, rows);
        // as the kernel tells the processes that a shell has put in the foreground
        self.signal(Signal::WINCH);
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Closes the terminal.
    pub fn close(&mut self) {
        self.person = None;
    }

    /// Whether the terminal is as shells have it: lines are edited, keys send signals, and what was there before is on it.
    pub fn is_given_back(&self) -> bool {
        let modes = tcgetattr(&self.program).unwrap().local_modes;
        let screen = self.drawn.screen();
        let is_cooked = modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG);
        is_cooked && !screen.alternate_screen() && !screen.hide_cursor()
    }

    /// Waits until the program is stopped.
    #[track_caller]
    pub fn stops(&mut self) {
        self.until("it does not stop", |screen| {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", screen.child.id()));
            let stat = stat.unwrap();
            let state = stat.rsplit(')').next().unwrap();
            state.trim_start().starts_with('T')
        });
    }

    /// The exit code; the terminal is as it was.
    #[track_caller]
    pub fn ends(mut self) -> Option<i32> {
        self.end()
    }

    /// The same, for who looks at it afterwards.
    #[track_caller]
    pub fn end(&mut self) -> Option<i32> {
        self.until("it does not end", |screen| {
            screen.child.try_wait().unwrap().is_some()
        });
        let code = self.child.wait().unwrap().code();
        if self.person.is_some() {
            self.until("the terminal is not given back", |screen| {
                screen.is_given_back()
            });
        }
        code
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // it may have ended by itself
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the screen was:\n{}", self.text());
        }
    }
}

fn size(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).unwrap()
}

fn set_size(terminal: &OwnedFd, columns: u16, rows: u16) {
    let size = Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(terminal, size).unwrap();
}

/// Digests are other ones on other machines; what takes their place is as long.
fn masked(text: &str) -> String {
    const SHORTEST: usize = 10;
    let mut masked = String::new();
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let is_hex = |letter: char| letter.is_ascii_hexdigit();
        let length = rest.find(|letter| !is_hex(letter)).unwrap_or(rest.len());
        let taken = if length < SHORTEST {
            length.max(letter.len_utf8())
        } else {
            length
        };
        match length < SHORTEST {
            true => masked += &rest[..taken],
            false => masked += &"#".repeat(length),
        }
        rest = &rest[taken..];
    }
    masked
}
