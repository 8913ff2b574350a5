//! `USER`: the user of the following instructions, and of containers of the image.

use super::{Meaning, exactly_one};
use crate::diagnostic::Diagnostic;
use crate::flags;
use crate::line::{Form, Line, Word};
use crate::stage::StageBuilder;

/// `USER user[:group]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Not expanded.
    pub user: Word,
}

impl Meaning for User {
    const NAME: &'static str = "USER";
    const FORM: Form = Form::Text;
    const USAGE: &'static str = "USER <user>[:<group>]\nUSER <uid>[:<gid>]";
    const DOC: &'static str = "Sets the user of the following `RUN` and `WORKDIR` instructions and of \
        containers. Names are looked up in the image when something runs; `COPY` and `ADD` ignore \
        the user. Variables are expanded.";

    fn parse(line: &Line) -> Result<Self, Diagnostic> {
        let user = exactly_one(line, Self::NAME)?;
        flags::read(line, Self::FLAGS)?;
        Ok(User { user })
    }

    fn apply(&self, _: &Line, stage: &mut StageBuilder<'_>) -> Result<(), Diagnostic> {
        let user = stage.expand(&self.user)?;
        stage.record(format!("USER {user}"));
        stage.state.config.user = user;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::tests::{messages, target};

    #[test]
    fn is_stored_verbatim_after_expansion() {
        let stage = target("FROM scratch\nENV U=app\nUSER ${U}:1\n");
        assert_eq!(stage.config.user, "app:1");
        assert_eq!(stage.history[1].created_by, "USER app:1");
    }

    #[test]
    fn needs_an_argument() {
        assert_eq!(
            messages("FROM x\nUSER"),
            ["USER requires exactly one argument"]
        );
    }
}
