//! The table of instructions. To add one: write `instruction/x.rs` (grammar, meaning, docs, tests) and add its line to `instructions!`
//! below; names, dispatch, "did you mean" and the reference documentation follow from it. Unaware of stages other than the one that an
//! instruction changes.

mod add;
mod arg;
mod cmd;
mod copy;
mod duration;
mod entrypoint;
mod env;
mod expose;
mod from;
mod healthcheck;
mod label;
mod maintainer;
mod onbuild;
mod run;
mod shell;
mod stopsignal;
mod user;
mod volume;
mod workdir;

use std::fmt::Write as _;
use std::sync::Arc;

pub use add::Add;
pub use arg::{Arg, Argument};
pub use cmd::Cmd;
pub use copy::Copy;
pub use entrypoint::Entrypoint;
pub use env::Env;
pub use expose::Expose;
pub use from::From;
pub use healthcheck::HealthCheck;
pub use label::Label;
pub use maintainer::Maintainer;
pub use onbuild::OnBuild;
pub use run::{MountSpec, Run};
pub use shell::Shell;
pub use stopsignal::StopSignal;
pub use user::User;
pub use volume::Volume;
pub use workdir::Workdir;

use crate::almost_json;
use crate::code;
use crate::diagnostic::Diagnostic;
use crate::flags::FlagSpec;
use crate::line::{Form, Line, Shape, Word};
use crate::lint::evaluated;
use crate::stage::StageBuilder;
use crate::suggest;

/// Grammar and meaning of one instruction.
pub(crate) trait Meaning: Sized {
    /// Upper case.
    const NAME: &'static str;
    /// How its arguments are split.
    const FORM: Form;
    /// The flags that it has.
    const FLAGS: &'static [FlagSpec] = &[];
    /// Whether heredocs may follow it.
    const HEREDOCS: bool = false;
    /// How it is written, one form a line.
    const USAGE: &'static str;
    /// What it does, in Markdown.
    const DOC: &'static str;

    /// What the reference adds after the flags, in Markdown.
    fn more() -> String {
        String::new()
    }

    /// Checks one line.
    fn parse(line: &Line) -> Result<Self, Diagnostic>;

    /// Changes the stage that is being evaluated.
    fn apply(&self, line: &Line, stage: &mut StageBuilder<'_>) -> Result<(), Diagnostic>;
}

macro_rules! instructions {
    ($($name:ident),* $(,)?) => {
        /// A checked instruction.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Instruction {
            $(#[doc = concat!("See [`struct@", stringify!($name), "`].")] $name($name),)*
        }

        /// The names of all instructions, upper case.
        pub const NAMES: &[&str] = &[$(<$name as Meaning>::NAME),*];

        impl Instruction {
            /// Checks one line.
            pub(crate) fn parse(line: &Line) -> Result<Self, Diagnostic> {
                $(if line.name().eq_ignore_ascii_case($name::NAME) {
                    return $name::parse(line).map(Instruction::$name);
                })*
                Err(unknown(line))
            }

            /// Changes the stage that is being evaluated.
            pub(crate) fn apply(
                &self,
                line: &Line,
                stage: &mut StageBuilder<'_>,
            ) -> Result<(), Diagnostic> {
                match self {
                    $(Instruction::$name(instruction) => instruction.apply(line, stage),)*
                }
            }
        }

        /// How the lines of an instruction are split; None if there is no such instruction.
        pub(crate) fn shape(name: &str) -> Option<Shape> {
            $(if name.eq_ignore_ascii_case($name::NAME) {
                return Some(Shape { form: $name::FORM, heredocs: $name::HEREDOCS });
            })*
            None
        }

        /// The reference documentation of all instructions, in Markdown.
        pub fn reference() -> String {
            let mut text = String::new();
            $(describe::<$name>(&mut text);)*
            text
        }
    };
}

instructions! {
    From, Arg, Env, Label, Run, Copy, Add, Workdir, User, Expose, Volume, Cmd, Entrypoint,
    HealthCheck, Shell, StopSignal, OnBuild, Maintainer,
}

fn unknown(line: &Line) -> Diagnostic {
    let name = line.name();
    let message = format!("unknown instruction: {name}");
    let mut error = line.error_at(line.name_span(), code::UNKNOWN_INSTRUCTION, message);
    error.help = suggest::help(&name.to_uppercase(), NAMES.iter().copied());
    error
}

fn describe<M: Meaning>(text: &mut String) {
    // Writing to a String cannot fail.
    let (name, usage, doc) = (M::NAME, M::USAGE, M::DOC);
    let _ = writeln!(text, "## {name}\n\n```dockerfile\n{usage}\n```\n\n{doc}\n");
    for flag in M::FLAGS {
        let _ = writeln!(text, "- `{}`: {}", flag.usage(), flag.doc);
    }
    if !M::FLAGS.is_empty() {
        text.push('\n');
    }
    text.push_str(&M::more());
}

/// The only argument of an instruction that has exactly one.
fn exactly_one(line: &Line, name: &str) -> Result<Word, Diagnostic> {
    if let [word] = line.words() {
        return Ok(word.clone());
    }
    let message = format!("{name} requires exactly one argument");
    Err(line.error(code::ARGUMENTS, message))
}

fn at_least_one(line: &Line, name: &str) -> Result<(), Diagnostic> {
    if line.words().is_empty() {
        let message = format!("{name} requires at least one argument");
        return Err(line.error(code::ARGUMENTS, message));
    }
    Ok(())
}

/// Warns of a `CMD` or `ENTRYPOINT` that gets no signals because of its shell.
fn recommend_json(line: &Line, command: &CommandLine, stage: &mut StageBuilder<'_>) {
    if command.exec || !stage.state.config.shell.is_empty() {
        return;
    }
    let name = line.name();
    let message = format!(
        "JSON arguments recommended for {name} to prevent unintended behavior related to OS signals"
    );
    stage.warn(&evaluated::JSON_ARGS_RECOMMENDED, line.span, message);
}

/// Warns of a list that is almost a JSON array. `as_read` says what it is instead.
fn look_for_slip(line: &Line, stage: &mut StageBuilder<'_>, as_read: &str) {
    let mut words = line.words().iter();
    let begin = words.position(|word| word.text.starts_with('['));
    let Some(begin) = begin.filter(|_| !line.is_json()) else {
        return;
    };
    let words: Vec<&str> = line.words().iter().map(|word| &*word.text).collect();
    let (before, list) = words.split_at(begin);
    if let Some(slip) = almost_json::find(&list.join(" ")) {
        let name = line.name();
        let message = format!(
            "{name} is {as_read}, as its list is no JSON array: {}",
            slip.what
        );
        let parts = [&[name], before, &[&*slip.meant]].concat();
        let help = format!("write {}", parts.join(" "));
        stage.advise(code::ALMOST_JSON, line.span, message, Some(help));
    }
}

/// A command in JSON form or for a shell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// The arguments; one text in shell form.
    pub words: Arc<[Word]>,
    /// JSON form: no shell.
    pub exec: bool,
}

impl CommandLine {
    fn read(line: &Line) -> Self {
        CommandLine {
            words: line.shared_words(),
            exec: line.is_json(),
        }
    }

    /// The arguments in one text.
    pub fn text(&self) -> String {
        let words: Vec<&str> = self.words.iter().map(|word| word.text.as_str()).collect();
        words.join(" ")
    }

    /// The argument vector: the shell form with the shell in front.
    fn argv(&self, shell: &[String]) -> Vec<String> {
        if self.exec {
            return self
                .words
                .iter()
                .map(|word| word.text.to_string())
                .collect();
        }
        let mut argv = shell.to_vec();
        argv.push(self.text());
        argv
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_is_documented() {
        let reference = reference();
        for name in NAMES {
            assert!(reference.contains(&format!("## {name}\n")), "{name}");
        }
        assert!(reference.contains("- `--chown=<user>[:<group>]`: "));
    }

    #[test]
    fn unknown_names_get_a_suggestion() {
        let parsed = crate::parse("FROM x\nRUM a\nXYZZY");
        let helps: Vec<_> = parsed
            .errors
            .iter()
            .map(|found| found.help.clone())
            .collect();
        assert_eq!(helps, [Some("did you mean RUN?".to_owned()), None]);
    }
}
