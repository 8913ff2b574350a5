//! `FROM`: begins a stage. Evaluation reads it; by itself it changes no stage.

use super::Meaning;
use crate::code;
use crate::diagnostic::Diagnostic;
use crate::flags::{self, FlagSpec};
use crate::line::{Form, Line, Word};
use crate::stage::StageBuilder;

/// `FROM [--platform=…] image [AS name]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct From {
    /// As written, not expanded.
    pub image: Word,
    /// Lower case.
    pub name: Option<String>,
    /// As written, not expanded.
    pub platform: Option<Box<Word>>,
}

impl Meaning for From {
    const NAME: &'static str = "FROM";
    const FORM: Form = Form::List;
    const FLAGS: &'static [FlagSpec] = &[flags::text(
        "platform",
        "<platform>",
        "the platform of the image, `linux/arm64`",
    )];
    const USAGE: &'static str =
        "FROM [--platform=<platform>] <image>[:<tag>][@<digest>] [AS <name>]";
    const DOC: &'static str = "Begins a stage that is based on an image, an earlier stage or `scratch`, the empty \
        file system. Stages that the target does not need are not built. Only arguments declared before \
        the first `FROM`, and the platform arguments, are expanded.";

    fn parse(line: &Line) -> Result<Self, Diagnostic> {
        let (image, name) = match line.words() {
            [image] => (image, None),
            [image, keyword, name] if keyword.text.eq_ignore_ascii_case("as") => {
                (image, Some(name))
            }
            _ => {
                let message = "FROM requires either one or three arguments";
                return Err(line
                    .error(code::ARGUMENTS, message)
                    .with_help("write FROM image AS name"));
            }
        };
        let name = name.map(|name| stage_name(line, name)).transpose()?;
        let flags = flags::read(line, Self::FLAGS)?;
        Ok(From {
            image: image.clone(),
            name,
            platform: flags.text("platform").map(Box::new),
        })
    }

    fn apply(&self, _: &Line, _: &mut StageBuilder<'_>) -> Result<(), Diagnostic> {
        Ok(())
    }
}

fn stage_name(line: &Line, word: &Word) -> Result<String, Diagnostic> {
    let name = word.text.as_str().to_lowercase();
    let inner = |ch: char| ch.is_ascii_lowercase() || ch.is_ascii_digit() || "-_.".contains(ch);
    if name.starts_with(|ch: char| ch.is_ascii_lowercase()) && name.chars().all(inner) {
        return Ok(name);
    }
    let message = format!(
        "invalid name for build stage: {:?}, name can't start with a number or contain symbols",
        word.text
    );
    Err(line.error_at(word.span, code::STAGE_NAME, message))
}

#[cfg(test)]
mod tests {
    use crate::tests::messages;

    #[test]
    fn forms() {
        assert!(messages("FROM a\nFROM a AS b\nFROM --platform=x a as B-_.1").is_empty());
        assert_eq!(messages("FROM a b\nFROM a is b\nFROM").len(), 3);
        assert!(messages("FROM a AS 1a")[0].contains("invalid name for build stage: \"1a\""));
        assert_eq!(messages("FROM a AS é").len(), 1);
    }
}
