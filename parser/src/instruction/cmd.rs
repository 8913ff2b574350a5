//! `CMD`: what containers run by default.

use super::{CommandLine, Meaning};
use crate::diagnostic::Diagnostic;
use crate::flags;
use crate::go;
use crate::line::{Form, Line};
use crate::lint::multiple_instructions_disallowed;
use crate::stage::StageBuilder;

/// `CMD ["executable", "argument"]` or `CMD command`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cmd {
    /// The command.
    pub command: CommandLine,
}

impl Meaning for Cmd {
    const NAME: &'static str = "CMD";
    const FORM: Form = Form::JsonOrText;
    const USAGE: &'static str = "CMD [\"<executable>\", \"<argument>\", …]\nCMD <command>";
    const DOC: &'static str = "Sets the command of a container, or the arguments of its `ENTRYPOINT`. The last \
        one wins; `CMD []` clears it. Variables are not expanded.";

    fn parse(line: &Line) -> Result<Self, Diagnostic> {
        flags::read(line, Self::FLAGS)?;
        Ok(Cmd {
            command: CommandLine::read(line),
        })
    }

    fn apply(&self, line: &Line, stage: &mut StageBuilder<'_>) -> Result<(), Diagnostic> {
        multiple_instructions_disallowed::look_at(line, Self::NAME, stage);
        super::recommend_json(line, &self.command, stage);
        super::look_for_slip(line, stage, "a text for the shell");
        let argv = self.command.argv(&stage.shell());
        stage.record(format!("CMD {}", go::quote_list(&argv)));
        stage.state.config.cmd = Some(argv);
        stage.state.config.args_escaped = true;
        stage.cmd_is_set = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::tests::target;

    #[test]
    fn both_forms() {
        let stage = target("FROM scratch\nCMD [\"a\", \"$B\"]");
        assert_eq!(stage.config.cmd.unwrap(), ["a", "$B"]);
        assert_eq!(stage.history[0].created_by, r#"CMD ["a" "$B"]"#);
        let stage = target("FROM scratch\nCMD echo \"$B\"");
        assert_eq!(stage.config.cmd.unwrap(), ["/bin/sh", "-c", "echo \"$B\""]);
        assert_eq!(
            stage.history[0].created_by,
            r#"CMD ["/bin/sh" "-c" "echo \"$B\""]"#
        );
    }

    #[test]
    fn an_empty_array_clears() {
        let stage = target("FROM scratch\nCMD a\nCMD []");
        assert_eq!(stage.config.cmd, Some(Vec::new()));
    }
}
