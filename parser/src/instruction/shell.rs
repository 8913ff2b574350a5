//! `SHELL`: the program that runs commands in shell form.

use super::Meaning;
use crate::almost_json;
use crate::code;
use crate::diagnostic::Diagnostic;
use crate::flags;
use crate::line::{Form, Line};
use crate::stage::StageBuilder;

/// `SHELL ["executable", "arguments"]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shell {
    /// At least one word.
    pub words: Vec<String>,
}

impl Meaning for Shell {
    const NAME: &'static str = "SHELL";
    const FORM: Form = Form::JsonOrText;
    const USAGE: &'static str = "SHELL [\"<executable>\", \"<argument>\", …]";
    const DOC: &'static str = "Sets the program that runs the shell form of the following `RUN`, `CMD`, `ENTRYPOINT` \
        and `HEALTHCHECK` instructions. The default is `[\"/bin/sh\", \"-c\"]`. JSON only.";

    fn parse(line: &Line) -> Result<Self, Diagnostic> {
        flags::read(line, Self::FLAGS)?;
        super::at_least_one(line, Self::NAME)?;
        if !line.is_json() {
            let message = "SHELL requires the arguments to be in JSON form";
            let written = line.words().iter().map(|word| word.text.as_str());
            let slip = almost_json::find(&written.collect::<Vec<_>>().join(" "));
            let meant = slip.map_or(r#"["/bin/bash", "-c"]"#.to_owned(), |slip| slip.meant);
            let help = format!("write SHELL {meant}");
            return Err(line.error(code::ARGUMENTS, message).with_help(help));
        }
        let words = line.words().iter().map(|word| word.text.to_string());
        Ok(Shell {
            words: words.collect(),
        })
    }

    fn apply(&self, _: &Line, stage: &mut StageBuilder<'_>) -> Result<(), Diagnostic> {
        stage.state.config.shell = self.words.clone();
        stage.record(format!("SHELL [{}]", self.words.join(" ")));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::tests::{messages, target};

    #[test]
    fn changes_shell_forms_from_here_on() {
        let stage = target("FROM scratch\nCMD a\nSHELL [\"/bin/bash\", \"-ec\"]\nENTRYPOINT b");
        assert_eq!(stage.config.shell, ["/bin/bash", "-ec"]);
        assert_eq!(stage.config.cmd.unwrap(), ["/bin/sh", "-c", "a"]);
        assert_eq!(stage.config.entrypoint.unwrap(), ["/bin/bash", "-ec", "b"]);
        assert_eq!(stage.history[1].created_by, "SHELL [/bin/bash -ec]");
    }

    #[test]
    fn must_be_json() {
        assert_eq!(messages("FROM x\nSHELL bash -c\nSHELL []").len(), 2);
    }
}
