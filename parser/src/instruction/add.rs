//! `ADD`: files from the context, URLs and git repositories; archives are unpacked.

use super::Meaning;
use super::copy::git;
use super::copy::transfer::{self, Expanded, Transfer};
use crate::code;
use crate::diagnostic::Diagnostic;
use crate::flags::{self, FlagSpec};
use crate::graph::{CopySource, Op, SourcePath, Unpack};
use crate::line::{Form, Line, Word};
use crate::path;
use crate::stage::StageBuilder;

/// `ADD source … destination`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Add {
    /// Sources, destination and the options shared with `COPY`.
    pub transfer: Transfer,
    /// `--keep-git-dir`.
    pub keep_git_dir: Option<bool>,
    /// `--checksum`, not expanded.
    pub checksum: Option<Word>,
    /// `--unpack`.
    pub unpack: Option<bool>,
}

impl Meaning for Add {
    const NAME: &'static str = "ADD";
    const FORM: Form = Form::JsonOrList;
    const HEREDOCS: bool = true;
    const FLAGS: &'static [FlagSpec] = &[
        transfer::CHOWN,
        transfer::CHMOD,
        transfer::LINK,
        flags::boolean("keep-git-dir", "keeps `.git` of a repository"),
        flags::text(
            "checksum",
            "<algorithm:hex|commit>",
            "the expected digest or commit of the source, which must be the only one, and remote",
        ),
        flags::boolean(
            "unpack",
            "unpacks all archives, even fetched ones, or with `false` none",
        ),
        transfer::EXCLUDE,
    ];
    const USAGE: &'static str = "ADD [options] <source> … <destination>\n\
        ADD [options] [\"<source>\", …, \"<destination>\"]\nADD [options] <<EOF <destination>\n…\nEOF";
    const DOC: &'static str = "Like `COPY`, but also unpacks local archives (recognised by content: tar, plain or compressed with \
        gzip, bzip2 or xz) and fetches URLs (mode 0600) and git repositories. Variables are expanded.";

    fn parse(line: &Line) -> Result<Self, Diagnostic> {
        transfer::check_count(line, Self::NAME)?;
        let flags = flags::read(line, Self::FLAGS)?;
        Ok(Add {
            transfer: Transfer::read(line, Self::NAME, &flags)?,
            keep_git_dir: flags.boolean("keep-git-dir"),
            checksum: flags.text("checksum"),
            unpack: flags.boolean("unpack"),
        })
    }

    fn apply(&self, line: &Line, stage: &mut StageBuilder<'_>) -> Result<(), Diagnostic> {
        let expanded = self.transfer.expand(line, stage)?;
        let checksum = self.checksum(line, &expanded.sources, stage)?;
        let mut history = "ADD".to_owned();
        expanded.describe(&mut history);
        let mut sources: Vec<CopySource> = Vec::new();
        for source in &expanded.sources {
            let next = self.source(line, source, checksum.as_deref(), stage)?;
            match (sources.last_mut(), next) {
                (Some(CopySource::Files { paths, .. }), CopySource::Files { paths: more, .. }) => {
                    paths.extend(more)
                }
                (_, next) => sources.push(next),
            }
        }
        let mut copy = expanded.into_op(stage, sources);
        copy.is_add = true;
        copy.unpack = match self.unpack {
            None => Unpack::Auto,
            Some(false) => Unpack::No,
            Some(true) => Unpack::Yes,
        };
        stage.change(line, Op::Copy(copy), history);
        Ok(())
    }
}

impl Add {
    fn source(
        &self,
        line: &Line,
        source: &Expanded,
        checksum: Option<&str>,
        stage: &mut StageBuilder<'_>,
    ) -> Result<CopySource, Diagnostic> {
        let text = &source.text;
        let checksum = checksum.map(str::to_owned);
        if let Some(url) = git::parse(text) {
            let git = url.and_then(|url| url.into_source(checksum, self.keep_git_dir));
            let failed = |message| line.error_at(source.span, code::SOURCE, message);
            return git.map(CopySource::Git).map_err(failed);
        }
        if transfer::is_url(text) {
            return Ok(CopySource::Url {
                url: text.clone(),
                name: file_name(text),
                checksum,
            });
        }
        source.warn_if_ignored("Add", stage);
        let path = SourcePath {
            pattern: path::relative_to_root(text),
            pivot: String::new(),
        };
        Ok(CopySource::Files {
            from: stage.context(source.span),
            paths: vec![path],
        })
    }

    fn checksum(
        &self,
        line: &Line,
        sources: &[Expanded],
        stage: &mut StageBuilder<'_>,
    ) -> Result<Option<String>, Diagnostic> {
        let Some(word) = &self.checksum else {
            return Ok(None);
        };
        let checksum = stage.expand(word)?;
        let error = |message: &str| line.error(code::COPY_OPTION, message);
        let valid = match sources {
            [source] if git::is_git(&source.text) => is_hex(&checksum, 7..=64),
            [source] if transfer::is_url(&source.text) => is_digest(&checksum),
            [_] => return Err(error("checksum requires HTTP(S) or Git sources")),
            _ => return Err(error("checksum can't be specified for multiple sources")),
        };
        if !valid && !checksum.is_empty() {
            let message = format!("invalid checksum {checksum:?}");
            return Err(line.error_at(word.span, code::COPY_OPTION, message));
        }
        Ok(Some(checksum).filter(|checksum| !checksum.is_empty()))
    }
}

fn is_hex(text: &str, length: std::ops::RangeInclusive<usize>) -> bool {
    let digit = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    length.contains(&text.len()) && text.bytes().all(digit)
}

fn is_digest(text: &str) -> bool {
    match text.split_once(':') {
        Some(("sha256", hex)) => is_hex(hex, 64..=64),
        Some(("sha384", hex)) => is_hex(hex, 96..=96),
        Some(("sha512", hex)) => is_hex(hex, 128..=128),
        _ => false,
    }
}

/// The last part of the URL's path.
fn file_name(url: &str) -> String {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let path = path.split_once("://").map_or(path, |(_, rest)| rest);
    let path = path.split_once('/').map_or("", |(_, path)| path);
    let path = path::relative_to_root(&git::percent_decoded(path));
    match path.rsplit('/').next() {
        Some(name) if !name.is_empty() => name.to_owned(),
        _ => "__unnamed__".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::CopyOp;
    use crate::tests::{evaluated, evaluation_messages, no_arguments};

    fn copy(source: &str) -> CopyOp {
        let graph = evaluated(&format!("FROM scratch\n{source}\n"), no_arguments());
        match &graph.nodes.last().unwrap().op {
            Op::Copy(copy) => copy.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn local_files_unpack_by_themselves() {
        let add = copy("ADD a.tar b/ /x");
        assert!(add.is_add);
        assert_eq!(add.unpack, Unpack::Auto);
        let [CopySource::Files { paths, .. }] = &add.sources[..] else {
            panic!("{add:?}")
        };
        assert_eq!(
            paths
                .iter()
                .map(|path| path.pattern.as_str())
                .collect::<Vec<_>>(),
            ["a.tar", "b"]
        );
        assert_eq!(copy("ADD --unpack=false a /x").unpack, Unpack::No);
        assert_eq!(copy("ADD --unpack a /x").unpack, Unpack::Yes);
    }

    #[test]
    fn urls_have_a_name_and_repositories_a_reference() {
        let hex = "a".repeat(64);
        let add = copy(&format!(
            "ADD --checksum=sha256:{hex} https://h/a%20b?x=/c /x/"
        ));
        assert_eq!(
            add.sources,
            [CopySource::Url {
                url: "https://h/a%20b?x=/c".to_owned(),
                name: "a b".to_owned(),
                checksum: Some(format!("sha256:{hex}")),
            }]
        );
        assert_eq!(file_name("https://h"), "__unnamed__");
        let add = copy("ADD --keep-git-dir https://h/r.git#v1 /x");
        let [CopySource::Git(git)] = &add.sources[..] else {
            panic!("{add:?}")
        };
        assert!(git.keep_git_dir);
        assert_eq!(git.reference.as_deref(), Some("v1"));
    }

    #[test]
    fn checksums_need_one_remote_source() {
        for bad in ["a /x", "https://a https://b /x", "https://a/b /x"] {
            let source = format!("FROM scratch\nADD --checksum=sha256:aa {bad}");
            assert_eq!(evaluation_messages(&source).len(), 1, "{bad}");
        }
    }
}
