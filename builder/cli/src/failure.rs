//! What a command failed with, as people read it: what happened, why, what to do; and the exit code for scripts.

use crate::environment::{self, Globals};
use kiln_engine::archive::ArchiveError;
use kiln_engine::chain_of_causes;
use kiln_oci::archive::LoadError;
use kiln_cache::{ImageError, StoreError};
use kiln_sandbox::EnterError;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

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
    #[allow(dead_code)]
    Internal = 4,
    /// Ended by SIGINT.
    Interrupted = 130,
    /// Ended by SIGTERM.
    Terminated = 143,
}

/// A failure, ready to be shown.
#[derive(Debug)]
pub struct Failure {
    kind: Kind,
    message: String,
    details: String,
    hints: Vec<String>,
}

impl Failure {
    /// Of a kind, with one sentence.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Failure { kind, message: message.into(), details: String::new(), hints: Vec::new() }
    }

    /// The arguments are wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Failure::new(Kind::Usage, message)
    }

    /// Adds text that is shown as it is after the message.
    pub fn details(mut self, details: impl Into<String>) -> Self {
        self.details = details.into();
        self
    }

    /// Adds a way out.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Shows it on standard error; the exit code.
    pub fn report(&self, _globals: &Globals) -> ExitCode {
        let color = std::io::stderr().is_terminal() && !environment::no_color();
        let (red, cyan, reset) = if color { ("\x1b[1;31m", "\x1b[1;36m", "\x1b[0m") } else { ("", "", "") };
        let mut text = String::new();
        if !self.details.is_empty() {
            text.push_str(self.details.trim_end());
            text.push('\n');
        }
        if !self.message.is_empty() {
            text.push_str(&format!("{red}error{reset}: {}\n", printable(&self.message)));
        }
        for hint in &self.hints {
            text.push_str(&format!("{cyan}hint{reset}: {hint}\n"));
        }
        let _ = std::io::stderr().write_all(text.as_bytes());
        ExitCode::from(self.kind as u8)
    }
}

/// Names from outside may hold control bytes; a message never does.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let failure = Failure::new(Kind::Environment, chain_of_causes(&error));
        match error {
            StoreError::NoSpace { .. } => failure.hint("free some space, or shrink the store with `kiln prune --max-size SIZE`"),
            StoreError::Owner { .. } | StoreError::NotAStore { .. } | StoreError::NetworkFilesystem { .. } => {
                failure.hint("choose another folder with --store DIR or KILN_STORE")
            }
            StoreError::Version { .. } => failure.hint("use the kiln that made it, or another folder with --store DIR"),
            StoreError::Missing { .. } | StoreError::Damaged { .. } => failure.hint("`kiln fsck --repair` drops what is damaged; the next build makes it again"),
            _ => failure,
        }
    }
}

impl From<ImageError> for Failure {
    fn from(error: ImageError) -> Self {
        match error {
            ImageError::Store(error) => error.into(),
            ImageError::NotFound { .. } => Failure::new(Kind::Build, error.to_string()).hint("`kiln images` lists what there is"),
            other => Failure::new(Kind::Build, chain_of_causes(&other)),
        }
    }
}

impl From<ArchiveError> for Failure {
    fn from(error: ArchiveError) -> Self {
        match error {
            ArchiveError::Image(error) => error.into(),
            ArchiveError::Store(error) => error.into(),
            ArchiveError::Load(error) => error.into(),
            other => Failure::new(Kind::Build, chain_of_causes(&other)),
        }
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        Failure::new(Kind::Build, chain_of_causes(&error))
    }
}

impl From<EnterError> for Failure {
    fn from(error: EnterError) -> Self {
        Failure::new(Kind::Environment, chain_of_causes(&error)).hint("`kiln doctor` tells what this machine lacks")
    }
}
