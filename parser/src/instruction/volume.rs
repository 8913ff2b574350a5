//! `VOLUME`: mount points of containers.

use std::sync::Arc;

use super::Meaning;
use crate::code;
use crate::diagnostic::Diagnostic;
use crate::flags;
use crate::line::{Form, Line, Word};
use crate::stage::StageBuilder;

/// `VOLUME ["/path", …]` or `VOLUME /path …`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// At least one; not expanded, never empty without the blanks around them.
    pub paths: Arc<[Word]>,
}

impl Meaning for Volume {
    const NAME: &'static str = "VOLUME";
    const FORM: Form = Form::JsonOrList;
    const USAGE: &'static str = "VOLUME [\"<path>\", …]\nVOLUME <path> …";
    const DOC: &'static str = "Marks paths where containers mount volumes. Files that later instructions write \
        there are kept. Variables are expanded.";

    fn parse(line: &Line) -> Result<Self, Diagnostic> {
        super::at_least_one(line, Self::NAME)?;
        flags::read(line, Self::FLAGS)?;
        let paths = line.shared_words();
        match paths.iter().find(|path| path.text.trim().is_empty()) {
            Some(path) => Err(Diagnostic {
                span: path.span,
                ..empty(line)
            }),
            None => Ok(Volume { paths }),
        }
    }

    fn apply(&self, line: &Line, stage: &mut StageBuilder<'_>) -> Result<(), Diagnostic> {
        super::look_for_slip(line, stage, "a list of paths");
        let mut paths = Vec::with_capacity(self.paths.len());
        for path in &*self.paths {
            let path = stage.expand_text(path.text.trim(), path.span)?;
            if path.is_empty() {
                return Err(empty(line));
            }
            paths.push(path);
        }
        stage.record(format!("VOLUME [{}]", paths.join(" ")));
        let volumes = paths.into_iter().map(|path| (path, kiln_oci::Empty {}));
        stage.state.config.volumes.extend(volumes);
        Ok(())
    }
}

fn empty(line: &Line) -> Diagnostic {
    let message = "VOLUME specified can not be an empty string";
    line.error(code::ARGUMENTS, message)
}

#[cfg(test)]
mod tests {
    use crate::tests::{messages, target};

    #[test]
    fn both_forms() {
        let stage = target("FROM scratch\nENV V=/v\nVOLUME $V /a\nVOLUME [\" /b c \"]");
        let volumes: Vec<_> = stage.config.volumes.keys().collect();
        assert_eq!(volumes, ["/a", "/b c", "/v"]);
        assert_eq!(stage.history[1].created_by, "VOLUME [/v /a]");
    }

    #[test]
    fn empty_paths_are_refused() {
        assert_eq!(messages("FROM x\nVOLUME\nVOLUME [\" \"]").len(), 2);
    }
}
