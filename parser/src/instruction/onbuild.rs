//! `ONBUILD`: an instruction for builds on this image.

use super::Meaning;
use crate::code;
use crate::diagnostic::Diagnostic;
use crate::flags;
use crate::line::{Arguments, Form, Line};
use crate::stage::StageBuilder;

/// `ONBUILD instruction`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnBuild {
    /// The instruction with its heredocs, as the image's config stores it.
    pub expression: String,
}

impl Meaning for OnBuild {
    const NAME: &'static str = "ONBUILD";
    const FORM: Form = Form::Trigger;
    const HEREDOCS: bool = false;
    const USAGE: &'static str = "ONBUILD <instruction>";
    const DOC: &'static str = "Stores an instruction that is run once, directly after the `FROM` of a build on this \
        image (or of a stage on this stage). It cannot be `ONBUILD`, `FROM` or `MAINTAINER`.";

    fn parse(line: &Line) -> Result<Self, Diagnostic> {
        let Arguments::Trigger(Some(trigger)) = &line.arguments else {
            let message = "ONBUILD requires at least one argument";
            return Err(line.error(code::ARGUMENTS, message));
        };
        flags::read(line, Self::FLAGS)?;
        let name = trigger.name().to_uppercase();
        let message = match name.as_str() {
            "ONBUILD" => "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed".to_owned(),
            "MAINTAINER" | "FROM" => format!("{name} isn't allowed as an ONBUILD trigger"),
            _ => {
                return Ok(OnBuild {
                    expression: expression(line, &trigger.text),
                });
            }
        };
        Err(line.error_at(trigger.name_span(), code::TRIGGER, message))
    }

    fn apply(&self, _: &Line, stage: &mut StageBuilder<'_>) -> Result<(), Diagnostic> {
        stage.state.config.on_build.push(self.expression.clone());
        Ok(())
    }
}

fn expression(line: &Line, trigger: &str) -> String {
    let mut expression = trigger.to_owned();
    for doc in line.heredocs() {
        expression.push('\n');
        expression.push_str(&doc.content);
        expression.push_str(&doc.name);
    }
    expression
}

#[cfg(test)]
mod tests {
    use crate::tests::{messages, target};

    #[test]
    fn triggers_are_stored_and_fire_once_in_the_next_stage() {
        let stage = target("FROM scratch\nONBUILD  ENV A=$B \\\n  C=d");
        assert_eq!(stage.config.on_build, ["ENV A=$B   C=d"]);
        assert!(stage.history.is_empty());
        let stage = target("FROM scratch AS a\nONBUILD LABEL a=b\nFROM a\nLABEL c=d");
        assert!(stage.config.on_build.is_empty());
        let made: Vec<_> = stage
            .history
            .iter()
            .map(|step| step.created_by.as_str())
            .collect();
        assert_eq!(made, ["LABEL a=b", "LABEL c=d"]);
        let stage = target("FROM scratch AS a\nONBUILD LABEL a=b\nFROM a AS b\nFROM b");
        assert_eq!(stage.history.len(), 1);
    }

    #[test]
    fn heredocs_belong_to_the_trigger() {
        let stage = target("FROM scratch\nONBUILD RUN <<-E\n\tx\n\tE\n");
        assert_eq!(stage.config.on_build, ["RUN <<-E\n\tx\nE"]);
    }

    #[test]
    fn some_instructions_are_refused() {
        let found = messages(
            "FROM x\nONBUILD\nONBUILD onbuild RUN x\nONBUILD from x\nONBUILD MAINTAINER x",
        );
        assert_eq!(found.len(), 4);
        assert_eq!(found[2], "FROM isn't allowed as an ONBUILD trigger");
    }
}
