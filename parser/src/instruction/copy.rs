//! `COPY`: files from the context, a stage or an image. What it shares with `ADD` is in [`transfer`].

pub(super) mod git;
pub(super) mod transfer;

use super::Meaning;
use crate::code;
use crate::diagnostic::Diagnostic;
use crate::flags::{self, FlagSpec};
use crate::graph::{CopySource, Op, SourcePath};
use crate::line::{Form, Line, Word};
use crate::path;
use crate::stage::StageBuilder;
use transfer::{Expanded, Transfer};

/// `COPY [--from=…] source … destination`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// Sources, destination and the options shared with `ADD`.
    pub transfer: Transfer,
    /// `--from`, a stage, an image or a named context. Holds no variables.
    pub from: Option<Word>,
    /// `--parents`.
    pub parents: bool,
}

impl Meaning for Copy {
    const NAME: &'static str = "COPY";
    const FORM: Form = Form::JsonOrList;
    const HEREDOCS: bool = true;
    const FLAGS: &'static [FlagSpec] = &[
        flags::text(
            "from",
            "<stage|index|image|context>",
            "where the sources are",
        ),
        transfer::CHOWN,
        transfer::CHMOD,
        transfer::LINK,
        flags::boolean(
            "parents",
            "keeps the directories of the sources (after `/./` in them)",
        ),
        transfer::EXCLUDE,
    ];
    const USAGE: &'static str = "COPY [options] <source> … <destination>\n\
        COPY [options] [\"<source>\", …, \"<destination>\"]\nCOPY [options] <<EOF <destination>\n…\nEOF";
    const DOC: &'static str = "Copies files. Sources may contain `*`, `?` and `[…]`, and with `--parents` also \
        `**`; a wildcard that matches nothing is not an error. The contents of a directory are copied, not the directory \
        itself. A heredoc is a file with the name of its delimiter. Variables are expanded, except in `--from`.";

    fn parse(line: &Line) -> Result<Self, Diagnostic> {
        transfer::check_count(line, Self::NAME)?;
        let flags = flags::read(line, Self::FLAGS)?;
        Ok(Copy {
            transfer: Transfer::read(line, Self::NAME, &flags)?,
            from: flags.text("from"),
            parents: flags.boolean("parents").unwrap_or(false),
        })
    }

    fn apply(&self, line: &Line, stage: &mut StageBuilder<'_>) -> Result<(), Diagnostic> {
        let expanded = self.transfer.expand(line, stage)?;
        for source in &expanded.sources {
            refuse_remote(line, source)?;
        }
        let mut history = "COPY".to_owned();
        if self.parents {
            history.push_str(" --parents");
        }
        expanded.describe(&mut history);
        let sources = self.sources(line, &expanded.sources, stage)?;
        let mut copy = expanded.into_op(stage, sources.into_iter().collect());
        copy.parents = self.parents;
        stage.change(line, Op::Copy(copy), history);
        Ok(())
    }
}

impl Copy {
    fn sources(
        &self,
        line: &Line,
        expanded: &[Expanded],
        stage: &mut StageBuilder<'_>,
    ) -> Result<Option<CopySource>, Diagnostic> {
        if expanded.is_empty() {
            return Ok(None);
        }
        let paths = expanded.iter().map(|source| self.path(&source.text));
        let paths = paths.collect();
        let from = match &self.from {
            Some(from) => stage.source(&from.text, from.span)?,
            None => {
                let sources = expanded.iter();
                sources.for_each(|source| source.warn_if_ignored("Copy", stage));
                stage.context(line.head_span())
            }
        };
        Ok(Some(CopySource::Files { from, paths }))
    }

    fn path(&self, written: &str) -> SourcePath {
        let (pivot, pattern) = match written.split_once("/./") {
            Some(cut) if self.parents => cut,
            _ => ("", written),
        };
        SourcePath {
            pattern: path::relative_to_root(pattern),
            pivot: path::relative_to_root(pivot),
        }
    }
}

fn refuse_remote(line: &Line, source: &Expanded) -> Result<(), Diagnostic> {
    let what = if git::is_git(&source.text) {
        "git ref"
    } else if transfer::is_url(&source.text) {
        "URL"
    } else {
        return Ok(());
    };
    let message = format!("source can't be a {what} for COPY");
    let error = line.error_at(source.span, code::SOURCE, message);
    Err(error.with_help("use ADD"))
}

#[cfg(test)]
mod tests;
