//! `COPY`: files from the context, a stage or an image. What it shares with `ADD` stands in
//! [`transfer`].

pub(super) mod git;
pub(super) mod transfer;

use super::Meaning;
use crate::code;
use crate::diagnostic::Diagnostic;
use crate::evaluate::StageBuilder;
use crate::flags::{self, FlagSpec};
use crate::graph::{CopySource, SourcePath, Unpack};
use crate::line::{Form, Line, Word};
use crate::path;
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
            "keeps the directories of the sources (below `/./` in them)",
        ),
        transfer::EXCLUDE,
    ];
    const USAGE: &'static str = "COPY [options] <source> … <destination>\n\
        COPY [options] [\"<source>\", …, \"<destination>\"]\nCOPY [options] <<EOF <destination>\n…\nEOF";
    const DOC: &'static str = "Copies files. Sources may hold `*`, `?` and `[…]`, and with `--parents` also \
        `**`; a wildcard that matches nothing is no error. A directory gives its contents. A heredoc is a file \
        named as its delimiter. Variables are expanded, except in `--from`.";

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
        let mut sources = Vec::new();
        if !expanded.sources.is_empty() {
            let paths = expanded
                .sources
                .iter()
                .map(|source| self.path(&source.text));
            let paths = paths.collect();
            let from = match &self.from {
                Some(from) => stage.source(&from.text, from.span)?,
                None => {
                    for source in &expanded.sources {
                        source.warn_if_ignored("Copy", stage);
                    }
                    stage.context(line.head_span())
                }
            };
            sources.push(CopySource::Files { from, paths });
        }
        let mut copy = expanded.into_op(stage, sources);
        copy.parents = self.parents;
        copy.unpack = Unpack::No;
        stage.change(line, crate::graph::Op::Copy(copy), history);
        Ok(())
    }
}

impl Copy {
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
    let error = line.error(code::SOURCE, format!("source can't be a {what} for COPY"));
    Err(Diagnostic {
        span: source.span,
        ..error
    }
    .with_help("use ADD"))
}

#[cfg(test)]
mod tests;
