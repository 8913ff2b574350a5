//! `MAINTAINER`: the author of the image.

use super::{Meaning, exactly_one};
use crate::diagnostic::Diagnostic;
use crate::flags;
use crate::line::{Form, Line};
use crate::stage::StageBuilder;

/// `MAINTAINER name`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maintainer {
    /// As written; nothing is expanded.
    pub name: String,
}

impl Meaning for Maintainer {
    const NAME: &'static str = "MAINTAINER";
    const FORM: Form = Form::Text;
    const USAGE: &'static str = "MAINTAINER <name>";
    const DOC: &'static str = "Sets the image's author. Deprecated: use a label.";

    fn parse(line: &Line) -> Result<Self, Diagnostic> {
        let name = exactly_one(line, Self::NAME)?.text.into();
        flags::read(line, Self::FLAGS)?;
        Ok(Maintainer { name })
    }

    fn apply(&self, _: &Line, stage: &mut StageBuilder<'_>) -> Result<(), Diagnostic> {
        stage.state.author = Some(self.name.clone());
        stage.record(format!("MAINTAINER {}", self.name));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::tests::target;

    #[test]
    fn sets_the_author_verbatim() {
        let stage = target("FROM scratch\nMAINTAINER $A <a@b>");
        assert_eq!(stage.author.as_deref(), Some("$A <a@b>"));
        assert_eq!(stage.history[0].created_by, "MAINTAINER $A <a@b>");
    }
}
