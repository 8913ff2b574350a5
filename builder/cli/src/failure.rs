//! What a command failed with, as people read it: what happened, why, what to do; and the exit code for scripts.

use crate::environment;
use crate::units::bytes;
use kiln_cache::{ImageError, LayerError, StoreError};
use kiln_engine::archive::ArchiveError;
use kiln_engine::chain_of_causes;
use kiln_oci::archive::SaveError;
use rustix::io::Errno;
use std::io::{ErrorKind, IsTerminal, Write};
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
    Internal = 4,
    /// Ended by SIGINT.
    Interrupted = 130,
    /// The reader of a stream went away; as of programs that SIGPIPE ends.
    BrokenPipe = 141,
    /// Ended by SIGTERM.
    Terminated = 143,
}

/// What helps where a thread or a process cannot be started.
pub const MORE_THREADS: &str = "allow more processes and threads (ulimit -u, pids.max of the cgroup, docker's --pids-limit), or more memory (ulimit -v)";

/// A failure, ready to be shown.
#[derive(Debug)]
pub struct Failure {
    kind: Kind,
    messages: Vec<String>,
    details: String,
    hints: Vec<String>,
}

impl Failure {
    /// Of a kind, with one sentence.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Failure {
            kind,
            messages: vec![message.into()],
            details: String::new(),
            hints: Vec::new(),
        }
    }

    /// The arguments are wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Failure::new(Kind::Usage, message)
    }

    /// Whoever read standard output went away before the end of a stream: they know, and nothing is said.
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
        Failure::new(Kind::Internal, format!("a defect of kiln: {text}"))
    }

    /// The same, where the machine allows no more: then nothing else is at fault.
    pub fn of_limits(mut self) -> Self {
        self.kind = Kind::Environment;
        self.hint(MORE_THREADS)
    }

    /// A thread cannot be started: the machine, or a limit, allows no more.
    pub fn thread(error: std::io::Error) -> Self {
        Failure::new(
            Kind::Environment,
            format!("a thread cannot be started: {error}"),
        )
        .hint(MORE_THREADS)
    }

    /// One for several: all messages and hints, the kind of the first. `Ok` for none.
    ///
    /// # Errors
    /// With any.
    pub fn all(failures: Vec<Failure>) -> Result<(), Failure> {
        let joined = failures.into_iter().reduce(|mut all, next| {
            all.details = [all.details, next.details].concat();
            all.messages.extend(next.messages);
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
    pub fn code(&self) -> ExitCode {
        ExitCode::from(self.kind as u8)
    }

    /// Shows it on standard error.
    pub fn report(&self) {
        let color = std::io::stderr().is_terminal() && !environment::no_color();
        let (red, cyan, reset) = if color {
            ("\x1b[1;31m", "\x1b[1;36m", "\x1b[0m")
        } else {
            ("", "", "")
        };
        let mut text = String::new();
        if !self.details.is_empty() {
            text.push_str(&printable(self.details.trim_end(), color));
            text.push('\n');
        }
        for message in self.messages.iter().filter(|message| !message.is_empty()) {
            text.push_str(&format!(
                "{red}error{reset}: {}\n",
                printable(message, false)
            ));
        }
        for hint in &self.hints {
            text.push_str(&format!("{cyan}hint{reset}: {}\n", printable(hint, false)));
        }
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
}

/// Whether the machine, or a limit, allowed no more processes, threads or memory.
pub fn is_of_limits(error: &(dyn std::error::Error + 'static)) -> bool {
    let limits = [Errno::AGAIN, Errno::NOMEM].map(Errno::raw_os_error);
    let mut cause = Some(error);
    while let Some(error) = cause {
        let io = error.downcast_ref::<std::io::Error>();
        let code = io.and_then(std::io::Error::raw_os_error);
        if code.is_some_and(|code| limits.contains(&code)) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Names from outside may hold control bytes; a message never does. With `styled`, kiln's own colour sequences stay.
pub fn printable(text: &str, styled: bool) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let style = if styled && next == '\x1b' {
            style_length(rest)
        } else {
            0
        };
        if style > 0 {
            shown.push_str(&rest[..style]);
            rest = &rest[style..];
            continue;
        }
        shown.push(if next.is_control() && !matches!(next, '\n' | '\t') {
            '\u{fffd}'
        } else {
            next
        });
        rest = &rest[next.len_utf8()..];
    }
    shown
}

/// Bytes of the `ESC [ digits ; … m` that `text` begins with, else 0: it sets colours and nothing else.
fn style_length(text: &str) -> usize {
    let Some(body) = text.strip_prefix("\x1b[") else {
        return 0;
    };
    let length = body
        .bytes()
        .take_while(|byte| byte.is_ascii_digit() || *byte == b';')
        .count();
    if body.as_bytes().get(length) == Some(&b'm') {
        length + 3
    } else {
        0
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let failure = Failure::new(Kind::Environment, chain_of_causes(&error));
        match error {
            StoreError::NoSpace { .. } => failure
                .hint("free some space, or shrink the store with `kiln prune --max-size SIZE`"),
            StoreError::Owner { .. }
            | StoreError::NotAStore { .. }
            | StoreError::NetworkFilesystem { .. } => {
                failure.hint("choose another folder with --store DIR or KILN_STORE")
            }
            StoreError::Link { .. } => {
                failure.hint("let --store DIR name the folder that it leads to, or remove the link")
            }
            StoreError::Version { .. } => {
                failure.hint("use the kiln that made it, or another folder with --store DIR")
            }
            StoreError::DatabaseLost { .. } => failure.hint(
                "`kiln fsck --repair` makes a new database of what is left: images come back by ID; names, and results of steps, are lost",
            ),
            StoreError::InUse { .. } => failure.hint("wait until other kilns have ended"),
            StoreError::Io { source, .. }
                if matches!(
                    source.kind(),
                    ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem
                ) =>
            {
                failure.hint(
                    "choose a folder that this user may write to with --store DIR or KILN_STORE",
                )
            }
            StoreError::Missing { .. } | StoreError::Damaged { .. } => failure
                .hint("`kiln fsck --repair` drops what is damaged; the next build makes it again"),
            _ => failure,
        }
    }
}

impl From<ImageError> for Failure {
    fn from(error: ImageError) -> Self {
        match error {
            ImageError::Store(error) => error.into(),
            ImageError::NotFound { .. } => Failure::new(Kind::Build, error.to_string())
                .hint("`kiln images` lists what there is"),
            other => Failure::new(Kind::Build, chain_of_causes(&other)),
        }
    }
}

impl From<ArchiveError> for Failure {
    fn from(error: ArchiveError) -> Self {
        match error {
            ArchiveError::Image(error) => error.into(),
            // What came from outside is wrong, not the store.
            ArchiveError::Store(
                error @ (StoreError::Layer(
                    LayerError::Tar(_)
                    | LayerError::BadName { .. }
                    | LayerError::TooMuch { .. }
                    | LayerError::LinkTarget { .. }
                    | LayerError::Unsupported { .. },
                )
                | StoreError::DigestMismatch { .. }
                | StoreError::SizeMismatch { .. }),
            ) => Failure::new(Kind::Build, chain_of_causes(&error)),
            ArchiveError::Store(error) => error.into(),
            ArchiveError::MissingBase { ref bases, .. } => {
                let base = if bases.is_empty() {
                    "the image that it was made against".to_owned()
                } else {
                    bases.join(" or ")
                };
                Failure::new(Kind::Build, chain_of_causes(&error)).hint(format!(
                    "load {base} first, or ask for an archive without --base"
                ))
            }
            ArchiveError::Space { path, needed, free } => Failure::new(
                Kind::Environment,
                format!(
                    "no space left for the archive's layers: they need at least {} in {}, which has {}",
                    bytes(needed),
                    path.display(),
                    bytes(free)
                ),
            )
            .hint("free some space, or shrink the store with `kiln prune --max-size SIZE`"),
            ArchiveError::Change { .. } => Failure::usage(error.to_string()),
            ArchiveError::Save(error @ (SaveError::Write(_) | SaveError::Header(_))) => {
                Failure::new(Kind::Environment, chain_of_causes(&error))
            }
            other => Failure::new(Kind::Build, chain_of_causes(&other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_bytes_are_never_shown() {
        assert_eq!(
            printable("a\x1b]0;t\x07b\nc", false),
            "a\u{fffd}]0;t\u{fffd}b\nc"
        );
        assert_eq!(
            printable("\x1b[1;31merror\x1b[0m \x1b[2J", true),
            "\x1b[1;31merror\x1b[0m \u{fffd}[2J"
        );
    }
}
