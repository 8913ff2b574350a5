//! The table of instructions. To add one: write `instruction/x.rs` (grammar, meaning, docs,
//! tests) and add its line to `instructions!` below; names, dispatch, "did you mean" and the
//! reference documentation follow from it.

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
pub(crate) use run::MountFields;
pub use run::{MountSpec, Run};
pub use shell::Shell;
pub use stopsignal::StopSignal;
pub use user::User;
pub use volume::Volume;
pub use workdir::Workdir;

use crate::code;
use crate::diagnostic::Diagnostic;
use crate::evaluate::StageBuilder;
use crate::flags::FlagSpec;
use crate::line::{Form, Line};
use crate::lint::evaluated;
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

    /// What the reference says after the flags, in Markdown.
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
                $(if line.name.text.eq_ignore_ascii_case($name::NAME) {
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

        /// How the arguments of an instruction are split; None if there is no such instruction.
        pub(crate) fn form(name: &str) -> Option<Form> {
            $(if name.eq_ignore_ascii_case($name::NAME) {
                return Some($name::FORM);
            })*
            None
        }

        /// Whether heredocs may follow an instruction.
        pub(crate) fn holds_heredocs(name: &str) -> bool {
            $(($name::HEREDOCS && name.eq_ignore_ascii_case($name::NAME)))||*
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
    let name = &line.name.text;
    let upper = name.to_uppercase();
    let error = line.error(
        code::UNKNOWN_INSTRUCTION,
        format!("unknown instruction: {name}"),
    );
    let mut error = Diagnostic {
        span: line.name.span,
        ..error
    };
    error.help =
        suggest::nearest(&upper, NAMES.iter().copied()).map(|near| format!("did you mean {near}?"));
    error
}

fn describe<M: Meaning>(text: &mut String) {
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "## {}\n\n```dockerfile\n{}\n```\n\n{}\n",
        M::NAME,
        M::USAGE,
        M::DOC
    );
    for flag in M::FLAGS {
        let _ = writeln!(text, "- `{}`: {}", flag.usage(), flag.doc);
    }
    if !M::FLAGS.is_empty() {
        text.push('\n');
    }
    text.push_str(&M::more());
}

/// The only argument of an instruction that has exactly one.
fn exactly_one(line: &Line, name: &str) -> Result<crate::line::Word, Diagnostic> {
    match line.words() {
        [word] => Ok(word.clone()),
        _ => Err(line.error(
            code::ARGUMENTS,
            format!("{name} requires exactly one argument"),
        )),
    }
}

fn at_least_one(line: &Line, name: &str) -> Result<(), Diagnostic> {
    if line.words().is_empty() {
        let message = format!("{name} requires at least one argument");
        return Err(line.error(code::ARGUMENTS, message));
    }
    Ok(())
}

/// Warns of a `CMD` or `ENTRYPOINT` whose shell keeps signals from it.
fn recommend_json(line: &Line, command: &CommandLine, stage: &mut StageBuilder<'_>) {
    if command.exec || !stage.config.shell.is_empty() {
        return;
    }
    let name = &line.name.text;
    let message = format!(
        "JSON arguments recommended for {name} to prevent unintended behavior related to OS signals"
    );
    stage.warn(&evaluated::JSON_ARGS_RECOMMENDED, line.span, message);
}

/// A command in JSON form or for a shell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// The arguments; one text in shell form.
    pub words: Vec<String>,
    /// JSON form: no shell.
    pub exec: bool,
}

impl CommandLine {
    fn read(line: &Line) -> Self {
        CommandLine {
            words: line.words().iter().map(|word| word.text.clone()).collect(),
            exec: line.is_json(),
        }
    }

    /// The argument vector: the shell form with the shell in front.
    fn argv(&self, shell: &[String]) -> Vec<String> {
        if self.exec {
            return self.words.clone();
        }
        let mut argv = shell.to_vec();
        argv.push(self.words.join(" "));
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
