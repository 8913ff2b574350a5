//! `ENV`: environment variables of everything that follows and of containers.

use std::fmt::Write as _;
use std::sync::Arc;

use super::Meaning;
use crate::code;
use crate::diagnostic::Diagnostic;
use crate::flags;
use crate::line::{Arguments, Form, Line, Pair};
use crate::lint::{legacy_key_value_format, secrets_used_in_arg_or_env};
use crate::stage::StageBuilder;

/// `ENV key=value …`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Env {
    /// At least one; not expanded.
    pub pairs: Arc<[Pair]>,
}

impl Meaning for Env {
    const NAME: &'static str = "ENV";
    const FORM: Form = Form::Pairs;
    const USAGE: &'static str = "ENV <key>=<value> …\nENV <key> <value>";
    const DOC: &'static str = "Sets environment variables. All values of one line see the variables as they \
        were before it. An existing variable keeps its position. An `ENV` overrides an earlier `ARG` with the same name.";

    fn parse(line: &Line) -> Result<Self, Diagnostic> {
        flags::read(line, Self::FLAGS)?;
        Ok(Env {
            pairs: pairs(line, Self::NAME)?,
        })
    }

    fn apply(&self, line: &Line, stage: &mut StageBuilder<'_>) -> Result<(), Diagnostic> {
        let mut history = "ENV".to_owned();
        let expanded = expand(&self.pairs, stage)?;
        for (pair, (key, value)) in self.pairs.iter().zip(expanded) {
            legacy_key_value_format::look_at(line, pair, stage);
            secrets_used_in_arg_or_env::look_at(line, Self::NAME, &key, stage);
            // Writing to a String cannot fail.
            let _ = write!(history, " {key}={value}");
            stage.set_env(&key, &value);
        }
        stage.record(history);
        Ok(())
    }
}

/// The pairs of `ENV` and `LABEL`.
pub(super) fn pairs(line: &Line, name: &str) -> Result<Arc<[Pair]>, Diagnostic> {
    let pairs = match &line.arguments {
        Arguments::Pairs(pairs) if !pairs.is_empty() => Arc::clone(pairs),
        _ => {
            let message = format!("{name} requires at least one argument");
            return Err(line.error(code::ARGUMENTS, message));
        }
    };
    if let Some(pair) = pairs.iter().find(|pair| pair.key.is_empty()) {
        return Err(line.error_at(
            pair.span,
            code::ARGUMENTS,
            format!("{name} names can not be blank"),
        ));
    }
    Ok(pairs)
}

/// All of them, expanded with the variables as they are before the instruction.
pub(super) fn expand(
    pairs: &[Pair],
    stage: &mut StageBuilder<'_>,
) -> Result<Vec<(String, String)>, Diagnostic> {
    let mut expanded = Vec::with_capacity(pairs.len());
    for pair in pairs {
        let key = stage.expand_text(&pair.key, pair.span)?;
        let value = stage.expand_text(&pair.value, pair.span)?;
        expanded.push((key, value));
    }
    Ok(expanded)
}

#[cfg(test)]
mod tests {
    use crate::tests::{messages, target};

    #[test]
    fn a_line_is_expanded_as_a_whole() {
        let stage = target("FROM scratch\nENV abc=hello\nENV abc=bye def=$abc\nENV ghi=$abc");
        assert_eq!(stage.config.env[1..], ["abc=bye", "def=hello", "ghi=bye"]);
        assert_eq!(stage.history[1].created_by, "ENV abc=bye def=hello");
    }

    #[test]
    fn overriding_keeps_the_position() {
        let stage = target("FROM scratch\nENV A=1 B=2\nENV A=3\nENV C d  e\\ f");
        assert_eq!(stage.config.env[1..], ["A=3", "B=2", "C=d  e f"]);
    }

    #[test]
    fn names_are_needed() {
        assert_eq!(
            messages("FROM x\nENV\nENV =a\nENV a=b =c"),
            [
                "ENV requires at least one argument",
                "ENV names can not be blank",
                "ENV names can not be blank"
            ]
        );
    }
}
