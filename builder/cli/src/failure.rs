//! What a command failed with, as people read it: what happened, why, what to do; and the exit code for scripts.

pub mod build;
mod fault;
pub mod step;
mod stored;
mod verb;

pub use fault::Fault;

use crate::printable::printable;
use kiln_engine::without_codes;
use kiln_parser::redact;
use std::io::Write;
use std::path::Path;

/// Exit code for wrong arguments.
pub const USAGE: u8 = 2;

/// Who can do something about a failure; the number is the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The Dockerfile, its context or what it asks for.
    Build = 1,
    /// The command line.
    Usage = USAGE as isize,
    /// The machine: the store, the disk, the kernel.
    Environment = 3,
    /// kiln itself.
    Internal = 4,
    /// Ended by SIGINT.
    Interrupted = 130,
    /// The reader of a stream went away; as of programs that SIGPIPE ends.
    BrokenPipe = 141,
    /// Ended by SIGTERM.
    Terminated = 143,
}

/// A failure, ready to be shown.
#[derive(Debug)]
pub struct Failure {
    kind: Kind,
    /// What happened, a sentence each.
    pub messages: Vec<String>,
    /// Text that is shown before them as it is, with colours.
    pub details: String,
    /// What to do.
    pub hints: Vec<String>,
    /// What the details tell to people: a sentence each, and its line in the Dockerfile, 0 for none.
    pub causes: Vec<(String, u32)>,
    /// What is said in its place, in a stream for machines.
    told_as: Option<Box<str>>,
    /// The exit code, where it is not that of the kind.
    exit_code: Option<u8>,
}

impl Failure {
    /// Of a kind, with one sentence.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Failure {
            kind,
            messages: vec![message.into()],
            details: String::new(),
            hints: Vec::new(),
            causes: Vec::new(),
            told_as: None,
            exit_code: None,
        }
    }

    /// Another program has ended with this exit code, and kiln ends as it did. It has said why itself.
    pub fn passed(exit_code: u8) -> Self {
        Failure::new(Kind::Build, "").exits_with(exit_code)
    }

    /// Gives it an exit code of its own.
    pub fn exits_with(mut self, exit_code: u8) -> Self {
        self.exit_code = Some(exit_code);
        self
    }

    /// The arguments are wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Failure::new(Kind::Usage, message)
    }

    /// The command line is not understood, in the words of clap.
    pub fn of_line(error: &clap::Error, color: bool) -> Self {
        if let Some(failure) = verb::unknown(error) {
            return failure;
        }
        let text = error.render();
        let told = match color {
            true => text.ansi().to_string(),
            false => text.to_string(),
        };
        let text = text.to_string();
        let (message, rest) = text.trim().split_once('\n').unwrap_or((text.trim(), ""));
        let message = message.trim_start_matches("error: ");
        Failure::usage(message)
            .details(rest.trim())
            .told_as(told.trim_end().to_owned())
    }

    /// The reader of standard output went away before the end of a stream. It knows, so nothing is said.
    pub fn broken_pipe() -> Self {
        Failure::new(Kind::BrokenPipe, "")
    }

    /// kiln has panicked, or a library that knows no other way to say that it gets no thread (tokio, rayon).
    pub fn panicked(text: &str) -> Self {
        let texts = [
            "spawn thread",
            "spawn worker thread",
            "ThreadPoolBuildError",
        ];
        if texts.iter().any(|known| text.contains(known)) {
            let cause = text.split_once('\n').map_or(text, |(_, cause)| cause);
            return Failure::thread(std::io::Error::other(cause.to_owned()));
        }
        Failure::new(Kind::Internal, format!("this is a bug in kiln: {text}"))
    }

    /// The same, where a fault of the machine is among the causes: then neither files nor the command line are to blame.
    pub fn for_fault(mut self, fault: Option<Fault>) -> Self {
        let Some(fault) = fault else { return self };
        if matches!(self.kind, Kind::Build | Kind::Usage) {
            self.kind = Kind::Environment;
        }
        self.hints(fault.hint())
    }

    /// A file that the user named cannot be read or written.
    pub fn of_file(path: &Path, error: &std::io::Error) -> Self {
        Failure::usage(format!("{}: {error}", path.display())).for_fault(Fault::among(error))
    }

    /// A thread cannot be started: the machine, or a limit, allows no more.
    pub fn thread(error: std::io::Error) -> Self {
        Failure::new(
            Kind::Environment,
            format!("a thread cannot be started: {error}"),
        )
        .hints(Fault::Threads.hint())
    }

    /// One for several: all messages and hints, the kind of the first. `Ok` for none.
    ///
    /// # Errors
    /// With any.
    pub fn all(failures: Vec<Failure>) -> Result<(), Failure> {
        let joined = failures.into_iter().reduce(|mut all, next| {
            all.details = [all.details, next.details].concat();
            all.messages.extend(next.messages);
            all.causes.extend(next.causes);
            let new = next
                .hints
                .into_iter()
                .filter(|hint| !all.hints.contains(hint));
            all.hints.extend(new.collect::<Vec<_>>());
            all
        });
        joined.map_or(Ok(()), Err)
    }

    /// Adds text that is shown as it is after the message.
    pub fn details(mut self, details: impl Into<String>) -> Self {
        self.details = details.into();
        self
    }

    /// Adds what the details say, for machines.
    pub fn causes(mut self, causes: impl IntoIterator<Item = (String, u32)>) -> Self {
        self.causes.extend(causes);
        self
    }

    /// Says this line in its place.
    pub fn told_as(mut self, line: String) -> Self {
        self.told_as = Some(line.into());
        self
    }

    /// The same, told of a flag.
    pub fn of_flag(mut self, flag: &str) -> Self {
        if let Some(message) = self.messages.first_mut() {
            message.insert_str(0, &format!("{flag} "));
        }
        self
    }

    /// Adds ways out.
    pub fn hints<T: Into<String>>(self, hints: impl IntoIterator<Item = T>) -> Self {
        hints.into_iter().fold(self, Failure::hint)
    }

    /// Adds a way out.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Who can do something about it.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The exit code.
    pub fn code(&self) -> u8 {
        self.exit_code.unwrap_or(self.kind as u8)
    }

    /// Shows it on standard error.
    pub fn report(&self, color: bool) {
        let text = match &self.told_as {
            Some(line) => format!("{line}\n"),
            None => self.text(color),
        };
        let _ = std::io::stderr().write_all(text.as_bytes());
    }

    /// What people read.
    pub fn text(&self, color: bool) -> String {
        let (red, cyan, reset) = match color {
            true => ("\x1b[1;31m", "\x1b[1;36m", "\x1b[0m"),
            false => ("", "", ""),
        };
        // whatever an address came from, its password is nobody's to read
        let shown = |text: &str| {
            let text = without_codes(text);
            printable(&redact::credentials(&text), false)
        };
        let mut text = String::new();
        if !self.details.is_empty() {
            let details = redact::masked(self.details.trim_end());
            text += &(printable(&details, color) + "\n");
        }
        for message in self.messages.iter().filter(|message| !message.is_empty()) {
            text += &format!("{red}error{reset}: {}\n", shown(message));
        }
        for hint in &self.hints {
            text += &format!("{cyan}hint{reset}: {}\n", shown(hint));
        }
        text
    }
}
