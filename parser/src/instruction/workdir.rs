//! `WORKDIR`: the working directory, made if it is missing.

use super::{Meaning, exactly_one};
use crate::diagnostic::Diagnostic;
use crate::flags;
use crate::go;
use crate::graph::Op;
use crate::line::{Form, Line, Word};
use crate::lint::evaluated;
use crate::path;
use crate::stage::StageBuilder;

/// `WORKDIR path`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workdir {
    /// Not expanded.
    pub path: Word,
}

impl Meaning for Workdir {
    const NAME: &'static str = "WORKDIR";
    const FORM: Form = Form::Text;
    const USAGE: &'static str = "WORKDIR <path>";
    const DOC: &'static str = "Sets the working directory of the following instructions and of containers, relative to the \
        previous one. A missing directory is created, owned by the current `USER`. Variables are expanded.";

    fn parse(line: &Line) -> Result<Self, Diagnostic> {
        let path = exactly_one(line, Self::NAME)?;
        flags::read(line, Self::FLAGS)?;
        Ok(Workdir { path })
    }

    fn apply(&self, line: &Line, stage: &mut StageBuilder<'_>) -> Result<(), Diagnostic> {
        let written = stage.expand(&self.path)?;
        if !stage.state.workdir_is_set && !is_absolute(&written, stage) {
            let message = format!(
                "Relative workdir {} can have unexpected results if the base image changes",
                go::quote(&written)
            );
            stage.warn_of_value(&evaluated::WORKDIR_RELATIVE_PATH, line.span, message);
        }
        stage.state.workdir_is_set = true;
        let stored = path::written(&stage.state.config.working_dir, &written);
        let history = format!("WORKDIR {stored}");
        let path = path::clean(&stored);
        stage.state.config.working_dir = stored;
        if path == "/" {
            stage.record(history);
            return Ok(());
        }
        let user = stage.state.config.user.clone();
        let base = stage.state.output;
        stage.change(line, Op::MakeDirectory { base, path, user }, history);
        Ok(())
    }
}

/// On windows also with a drive and with backslashes.
fn is_absolute(path: &str, stage: &StageBuilder<'_>) -> bool {
    let on_drive = path.split_once(':').filter(|(drive, _)| drive.len() == 1);
    match on_drive.map_or(path, |(_, below)| below) {
        below if stage.is_windows() => below.starts_with(['/', '\\']),
        _ => path.starts_with('/'),
    }
}

#[cfg(test)]
mod tests {
    use crate::graph::Op;
    use crate::tests::{evaluated, no_arguments, target};

    #[test]
    fn absolute_paths_are_stored_as_written() {
        let graph = evaluated(
            "FROM scratch\nWORKDIR /a/../b/\nENV D=/c//./d/\nWORKDIR $D",
            no_arguments(),
        );
        let stage = graph.target_stage();
        assert_eq!(stage.config.working_dir, "/c//./d/");
        let written: Vec<_> = stage.history.iter().map(|step| &*step.created_by).collect();
        assert_eq!(
            written,
            ["WORKDIR /a/../b/", "ENV D=/c//./d/", "WORKDIR /c//./d/"]
        );
        let made = graph.nodes.iter().filter_map(|node| match &node.op {
            Op::MakeDirectory { path, .. } => Some(path.as_str()),
            _ => None,
        });
        assert_eq!(made.collect::<Vec<_>>(), ["/b", "/c/d"]);
    }

    #[test]
    fn what_follows_is_relative_to_what_was_meant() {
        let stage = target("FROM scratch\nWORKDIR /a/../b/\nWORKDIR ./c/../d/\nWORKDIR $NONE");
        assert_eq!(stage.config.working_dir, "/b/d");
        let stage = target("FROM scratch\nWORKDIR $NONE");
        assert_eq!(stage.config.working_dir, "/");
    }

    #[test]
    fn relative_paths_join_and_users_own() {
        let graph = evaluated(
            "FROM scratch\nENV D=x\nWORKDIR /a\nUSER app\nWORKDIR $D/../b\nWORKDIR /",
            no_arguments(),
        );
        let stage = graph.target_stage();
        assert_eq!(stage.config.working_dir, "/");
        let made = graph.nodes.iter().filter_map(|node| match &node.op {
            Op::MakeDirectory { path, user, .. } => Some((path.as_str(), user.as_str())),
            _ => None,
        });
        assert_eq!(made.collect::<Vec<_>>(), [("/a", ""), ("/a/b", "app")]);
        let last = stage.history.last().unwrap();
        assert_eq!((last.created_by.as_str(), last.node), ("WORKDIR /", None));
    }
}
