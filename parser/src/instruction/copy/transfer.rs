//! What `COPY` and `ADD` share: sources, destination, owner, mode. Unaware of where sources come from.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::chmod::Chmod;
use crate::code;
use crate::diagnostic::Diagnostic;
use crate::flags::{self, FlagSpec, Flags};
use crate::graph::{CopyOp, CopySource, Unpack};
use crate::heredoc::{self, Heredoc};
use crate::line::{Line, Word};
use crate::lint::evaluated;
use crate::path;
use crate::redact;
use crate::source::Span;
use crate::stage::StageBuilder;

pub(crate) const CHOWN: FlagSpec = flags::text(
    "chown",
    "<user>[:<group>]",
    "the owner of the files; names are looked up in the stage",
);
pub(crate) const CHMOD: FlagSpec = flags::text(
    "chmod",
    "<mode>",
    "the mode of the files, octal or symbolic (`u=rwX,go=rX`)",
);
pub(crate) const LINK: FlagSpec =
    flags::boolean("link", "makes the layer independently of the layers below");
pub(crate) const EXCLUDE: FlagSpec = flags::list(
    "exclude",
    "<pattern>",
    "leaves out files that match a `.dockerignore` pattern, relative to each source",
);

/// Sources, destination and common options; nothing is expanded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Those of the line: sources and heredocs, and the destination as the last one.
    arguments: Arc<[Word]>,
    /// Apart, because few lines have any.
    options: Option<Box<Options>>,
}

/// Common options, and the files that are written in the Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Files that are written in the Dockerfile.
    pub inline: Vec<Heredoc>,
    /// `--chown`.
    pub chown: Option<Word>,
    /// `--chmod`.
    pub chmod: Option<Word>,
    /// `--link`.
    pub link: bool,
    /// `--exclude`, in order.
    pub exclude: Vec<Word>,
}

static NO_OPTIONS: Options = Options {
    inline: Vec::new(),
    chown: None,
    chmod: None,
    link: false,
    exclude: Vec::new(),
};

/// A text after expansion, and its place.
#[derive(Clone, Debug)]
pub(crate) struct Expanded {
    pub text: String,
    pub span: Span,
}

impl Expanded {
    /// Warns of a source of the main context that its `.dockerignore` leaves out.
    pub(crate) fn warn_if_ignored(&self, verb: &str, stage: &mut StageBuilder<'_>) {
        let ignore = &stage.scope.inputs.ignore;
        if let Some(message) = evaluated::ignored_source(verb, &self.text, ignore) {
            stage.warn_of_value(&evaluated::COPY_IGNORED_FILE, self.span, message);
        }
    }
}

/// A transfer after expansion.
#[derive(Debug)]
pub(crate) struct ExpandedTransfer {
    pub(crate) sources: Vec<Expanded>,
    inline: Vec<(String, String)>,
    destination: String,
    chown: Option<String>,
    chmod: Option<(String, Chmod)>,
    link: bool,
    exclude: Vec<String>,
}

/// `COPY` and `ADD` need a source and a destination.
pub(crate) fn check_count(line: &Line, name: &str) -> Result<(), Diagnostic> {
    if line.words().len() < 2 {
        let message = format!(
            "{name} requires at least two arguments, but only one was provided. \
             Destination could not be determined"
        );
        let help = format!("write {name} SOURCE DESTINATION");
        return Err(line.error(code::ARGUMENTS, message).with_help(help));
    }
    Ok(())
}

/// Whether a source of `ADD` is fetched.
pub(crate) fn is_url(source: &str) -> bool {
    source.starts_with("http://") || source.starts_with("https://")
}

impl Transfer {
    pub(crate) fn read(line: &Line, name: &str, flags: &Flags) -> Result<Self, Diagnostic> {
        let Some((destination, arguments)) = line.words().split_last() else {
            return Err(line.error(code::ARGUMENTS, format!("{name} needs arguments")));
        };
        if is_heredoc(destination) {
            let message = format!("{name} cannot accept a heredoc as a destination");
            return Err(line.error_at(destination.span, code::ARGUMENTS, message));
        }
        let options = Options {
            inline: inline(line, arguments),
            chown: flags.text("chown"),
            chmod: flags.text("chmod"),
            link: flags.boolean("link").unwrap_or(false),
            exclude: flags.list("exclude"),
        };
        Ok(Transfer {
            arguments: line.shared_words(),
            options: (options != NO_OPTIONS).then(|| Box::new(options)),
        })
    }

    /// Paths, patterns and URLs in the order written.
    pub fn sources(&self) -> impl Iterator<Item = &Word> {
        let arguments = self.arguments.split_last().map(|(_, arguments)| arguments);
        let has_heredocs = !self.options().inline.is_empty();
        let sources = arguments.unwrap_or_default().iter();
        sources.filter(move |word| !has_heredocs || !is_heredoc(word))
    }

    /// What else was given.
    pub fn options(&self) -> &Options {
        self.options.as_deref().unwrap_or(&NO_OPTIONS)
    }

    pub(crate) fn expand(
        &self,
        line: &Line,
        stage: &mut StageBuilder<'_>,
    ) -> Result<ExpandedTransfer, Diagnostic> {
        let options = self.options();
        let mut sources = Vec::with_capacity(self.arguments.len());
        for source in self.sources() {
            let (text, span) = (stage.expand(source)?, source.span);
            sources.push(Expanded { text, span });
        }
        let mut inline = Vec::with_capacity(options.inline.len());
        for doc in &options.inline {
            inline.push((doc.name.clone(), expand_heredoc(doc, line, stage)?));
        }
        let exclude = options.exclude.iter();
        let exclude: Result<_, _> = exclude.map(|pattern| stage.expand(pattern)).collect();
        let exclude = exclude?;
        let chown = options.chown.as_ref().map(|owner| stage.expand(owner));
        let chown = chown.transpose()?.filter(|owner| !owner.is_empty());
        let destination = self.arguments.last().map(|last| stage.expand(last));
        Ok(ExpandedTransfer {
            sources,
            inline,
            destination: destination.transpose()?.unwrap_or_default(),
            chown,
            chmod: options.mode(line, stage)?,
            link: options.link,
            exclude,
        })
    }
}

impl Options {
    fn mode(
        &self,
        line: &Line,
        stage: &mut StageBuilder<'_>,
    ) -> Result<Option<(String, Chmod)>, Diagnostic> {
        let Some(word) = &self.chmod else {
            return Ok(None);
        };
        let text = stage.expand(word)?;
        if text.is_empty() {
            return Ok(None);
        }
        let Some(mode) = Chmod::parse(&text) else {
            let message = format!(
                "invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777"
            );
            return Err(line.error_at(word.span, code::COPY_OPTION, message));
        };
        Ok(Some((text, mode)))
    }
}

impl ExpandedTransfer {
    /// Adds the options, sources and destination to a history entry.
    pub(crate) fn describe(&self, history: &mut String) {
        let mut add = |text: &str| {
            history.push(' ');
            history.push_str(text);
        };
        if let Some(owner) = &self.chown {
            add(&format!("--chown={owner}"));
        }
        if let Some((mode, _)) = &self.chmod {
            add(&format!("--chmod={mode}"));
        }
        for source in &self.sources {
            add(&redact::credentials(&source.text));
        }
        for (name, _) in &self.inline {
            add(&format!("<<{name}"));
        }
        add(&self.destination);
        add("# buildkit");
    }

    /// The operation with these sources and the heredocs, as for `COPY`.
    pub(crate) fn into_op(self, stage: &StageBuilder<'_>, mut sources: Vec<CopySource>) -> CopyOp {
        let inline = self.inline.into_iter();
        sources.extend(inline.map(|(name, content)| CopySource::Inline {
            name: file_name(&name).unwrap_or(name),
            content,
        }));
        let chmod = self.chmod.map(|(_, mode)| mode);
        CopyOp {
            base: stage.state.output,
            sources,
            destination: destination(&stage.working_dir(), &self.destination),
            chown: self.chown,
            // BuildKit does not link if it has to change modes.
            link: self.link && chmod.is_none(),
            chmod,
            parents: false,
            exclude: self.exclude,
            unpack: Unpack::No,
            is_add: false,
        }
    }
}

fn is_heredoc(word: &Word) -> bool {
    matches!(heredoc::opening(&word.text), Ok(Some(_)))
}

/// The heredocs among the arguments, with their bodies. The last body of a name counts, as in BuildKit.
fn inline(line: &Line, arguments: &[Word]) -> Vec<Heredoc> {
    let docs = line.heredocs().iter();
    let bodies: BTreeMap<&str, &str> = docs
        .map(|doc| (doc.name.as_str(), doc.content.as_str()))
        .collect();
    let openings = arguments.iter().filter(|word| word.text.contains("<<"));
    let openings = openings.filter_map(|word| heredoc::opening(&word.text).ok().flatten());
    let with_body = |mut opening: Heredoc| {
        let body = bodies.get(opening.name.as_str());
        opening.content = body.copied().unwrap_or_default().to_owned();
        opening
    };
    openings.map(with_body).collect()
}

/// The content of a heredoc's file.
fn expand_heredoc(
    doc: &Heredoc,
    line: &Line,
    stage: &mut StageBuilder<'_>,
) -> Result<String, Diagnostic> {
    if file_name(&doc.name).is_none_or(|name| name.contains('/')) {
        let message = format!("a heredoc cannot create the file {}", doc.name);
        let help = "its name is that of a file: name folders in the destination";
        return Err(line.error(code::SOURCE, message).with_help(help));
    }
    let text = doc.text();
    if doc.expand {
        stage.expand_heredoc(&text, line)
    } else {
        Ok(text)
    }
}

/// The path of a heredoc's file below an empty root, which has no folders.
fn file_name(name: &str) -> Option<String> {
    let path = path::clean(&format!("/{name}"));
    path.strip_prefix('/')
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
}

/// Absolute and cleaned; a trailing slash stays, and `.` at the end becomes one.
fn destination(working_dir: &str, written: &str) -> String {
    let mut path = path::join(working_dir, written);
    let last = written.rsplit('/').next().unwrap_or_default();
    let is_directory = matches!(last, "" | ".");
    if is_directory && !path.ends_with('/') {
        path.push('/');
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_keep_their_slash() {
        for (written, path) in [
            (".", "/w/"),
            ("", "/w/"),
            ("./", "/w/"),
            ("a", "/w/a"),
            ("a/", "/w/a/"),
            ("/x/.", "/x/"),
            ("..", "/"),
            ("/", "/"),
            ("/a/../b//", "/b/"),
        ] {
            assert_eq!(destination("/w", written), path, "{written}");
        }
    }
}
