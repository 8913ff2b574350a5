//! `ENTRYPOINT`: what containers always run.

use super::{CommandLine, Meaning};
use crate::diagnostic::Diagnostic;
use crate::flags;
use crate::go;
use crate::line::{Form, Line};
use crate::lint::multiple_instructions_disallowed;
use crate::stage::StageBuilder;

/// `ENTRYPOINT ["executable", "argument"]` or `ENTRYPOINT command`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entrypoint {
    /// The command.
    pub command: CommandLine,
}

impl Meaning for Entrypoint {
    const NAME: &'static str = "ENTRYPOINT";
    const FORM: Form = Form::JsonOrText;
    const USAGE: &'static str =
        "ENTRYPOINT [\"<executable>\", \"<argument>\", …]\nENTRYPOINT <command>";
    const DOC: &'static str = "Sets the program that a container always runs. Clears a `CMD` of the base image, \
        but not one of the same stage. The last one wins; `ENTRYPOINT []` clears it. Variables are not expanded.";

    fn parse(line: &Line) -> Result<Self, Diagnostic> {
        flags::read(line, Self::FLAGS)?;
        Ok(Entrypoint {
            command: CommandLine::read(line),
        })
    }

    fn apply(&self, line: &Line, stage: &mut StageBuilder<'_>) -> Result<(), Diagnostic> {
        multiple_instructions_disallowed::look_at(line, Self::NAME, stage);
        super::recommend_json(line, &self.command, stage);
        super::look_for_slip(line, stage, "a text for the shell");
        let argv = self.command.argv(&stage.shell());
        stage.record(format!("ENTRYPOINT {}", go::quote_list(&argv)));
        stage.state.config.entrypoint = (!argv.is_empty()).then_some(argv);
        if !stage.cmd_is_set {
            stage.state.config.cmd = None;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::tests::target;

    #[test]
    fn clears_an_inherited_command_only() {
        let stage = target("FROM scratch AS a\nCMD a\nFROM a\nENTRYPOINT [\"e\"]");
        assert_eq!(stage.config.cmd, None);
        let stage = target("FROM scratch\nCMD [\"a\"]\nENTRYPOINT [\"e\"]");
        assert_eq!(stage.config.cmd.unwrap(), ["a"]);
        assert_eq!(stage.config.entrypoint.unwrap(), ["e"]);
        assert_eq!(stage.history[1].created_by, r#"ENTRYPOINT ["e"]"#);
    }

    #[test]
    fn an_empty_array_clears() {
        let stage = target("FROM scratch\nENTRYPOINT a\nENTRYPOINT []");
        assert_eq!(stage.config.entrypoint, None);
    }
}
