//! `ARG`: variables of the build, which `--build-arg` sets.

use compact_str::CompactString;

use super::Meaning;
use crate::code;
use crate::diagnostic::Diagnostic;
use crate::line::{Form, Line, Word};
use crate::lint::secrets_used_in_arg_or_env;
use crate::redact;
use crate::stage::StageBuilder;

/// `ARG name[=default] …`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arg {
    /// At least one.
    pub arguments: Box<[Argument]>,
}

/// One variable of `ARG`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    /// Its name, never empty.
    pub name: CompactString,
    /// Its default as written, not expanded.
    pub default: Option<Word>,
}

impl Meaning for Arg {
    const NAME: &'static str = "ARG";
    const FORM: Form = Form::Quoted;
    const USAGE: &'static str = "ARG <name>[=<default value>] …";
    const DOC: &'static str = "Declares build arguments. Those before the first `FROM` are visible only in `FROM` \
        lines; `ARG <name>` in a stage imports them. `--build-arg` overrides the default. After its line \
        an argument is in the environment of every `RUN`. If an `ENV` and an `ARG` have the same name, the later one wins.";

    /// Flags are ignored, as in BuildKit.
    fn parse(line: &Line) -> Result<Self, Diagnostic> {
        super::at_least_one(line, Self::NAME)?;
        let arguments = line.words().iter().map(|word| argument(line, word));
        Ok(Arg {
            arguments: arguments.collect::<Result<_, _>>()?,
        })
    }

    fn apply(&self, line: &Line, stage: &mut StageBuilder<'_>) -> Result<(), Diagnostic> {
        let mut history = Vec::with_capacity(self.arguments.len());
        for argument in &self.arguments {
            secrets_used_in_arg_or_env::look_at(line, Self::NAME, &argument.name, stage);
            let value = stage.declare(line, &argument.name, argument.default.as_ref())?;
            history.push(match value {
                Some(value) => format!("{}={}", argument.name, redact::credentials(&value)),
                None => argument.name.to_string(),
            });
        }
        stage.record(format!("ARG {}", history.join(" ")));
        Ok(())
    }
}

fn argument(line: &Line, word: &Word) -> Result<Argument, Diagnostic> {
    let (name, default) = match word.text.split_once('=') {
        Some((name, default)) => (name, Some(default)),
        None => (word.text.as_str(), None),
    };
    if name.is_empty() {
        return Err(line.error_at(word.span, code::ARGUMENTS, "ARG names can not be blank"));
    }
    Ok(Argument {
        name: name.into(),
        default: default.map(|text| Word::new(text, word.span)),
    })
}

#[cfg(test)]
mod tests {
    use crate::tests::{build_arg, evaluated, messages, target};

    #[test]
    fn command_line_beats_default_and_history_tells_the_value() {
        let source = "FROM scratch\nARG A=1 B C=\"x y\"\nLABEL a=$A b=$B c=$C";
        let stage = evaluated(source, build_arg("A", "2"))
            .target_stage()
            .clone();
        assert_eq!(stage.config.labels["a"], "2");
        assert_eq!(stage.config.labels["c"], "x y");
        assert_eq!(stage.history[0].created_by, "ARG A=2 B C=x y");
    }

    #[test]
    fn credentials_are_not_told() {
        let source = "FROM scratch\nARG U\nADD $U /\nRUN x";
        let url = "https://me:secret@h/a";
        let stage = evaluated(source, build_arg("U", url))
            .target_stage()
            .clone();
        let history: Vec<&str> = stage.history.iter().map(|step| &*step.created_by).collect();
        assert_eq!(
            history,
            [
                "ARG U=https://h/a",
                "ADD https://h/a / # buildkit",
                "RUN |1 U=https://h/a /bin/sh -c x # buildkit"
            ]
        );
    }

    #[test]
    fn a_later_default_sees_an_earlier_one() {
        let stage = target("FROM scratch\nARG A=1 B=$A-2\nLABEL b=$B");
        assert_eq!(stage.config.labels["b"], "1-2");
    }

    #[test]
    fn global_arguments_are_imported_by_name() {
        let stage = target("ARG V=3\nFROM scratch\nLABEL a=x$V\nARG V\nLABEL b=x$V");
        assert_eq!(stage.config.labels["a"], "x");
        assert_eq!(stage.config.labels["b"], "x3");
        let stage = target("ARG V=3\nFROM scratch\nARG V=4\nLABEL b=$V");
        assert_eq!(stage.config.labels["b"], "4");
    }

    #[test]
    fn what_comes_last_decides_between_env_and_arg() {
        let stage = target("FROM scratch\nENV A=e\nARG A=a\nLABEL l=$A");
        assert_eq!(stage.config.labels["l"], "a");
        assert_eq!(stage.config.env[1], "A=e", "the image does not care");
        let stage = target("FROM scratch\nARG A=a\nENV A=e\nLABEL l=$A");
        assert_eq!(stage.config.labels["l"], "e");
    }

    #[test]
    fn names_are_needed() {
        assert_eq!(
            messages("FROM x\nARG\nARG =a"),
            [
                "ARG requires at least one argument",
                "ARG names can not be blank"
            ]
        );
    }
}
