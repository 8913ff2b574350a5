//! `RUN --mount`: comma-separated fields, quoted as in CSV. The fields are read with the file,
//! their values with the stage, because variables may stand in them. To add a type: write
//! `mount/x.rs` and add its line to [`TYPES`].

mod bind;
mod cache;
mod fields;
mod secret;
mod ssh;
mod tmpfs;

use std::fmt::Write as _;

use crate::code;
use crate::csv;
use crate::diagnostic::Diagnostic;
use crate::evaluate::StageBuilder;
use crate::graph::{NodeId, RunMount};
use crate::line::{Line, Word};
use crate::path;
use crate::suggest;
pub(crate) use fields::Fields;
use fields::Problem;

/// All types; the first is the default.
const TYPES: &[&MountType] = &[
    &bind::TYPE,
    &cache::TYPE,
    &tmpfs::TYPE,
    &secret::TYPE,
    &ssh::TYPE,
];

/// A type of mount: the keys that it has and what they mean.
#[derive(Debug)]
pub(crate) struct MountType {
    /// Its name, lower case.
    name: &'static str,
    /// What it shows.
    doc: &'static str,
    /// Its keys, without `type`. Those of other types are refused or do nothing.
    keys: &'static [Key],
    /// Whether it is read-only if nothing is said.
    read_only: bool,
    /// Whether it must have a target other than `/`.
    needs_target: bool,
    /// What is wrong with the fields as a whole.
    check: fn(&Fields) -> Result<(), Problem>,
    /// The mount, with its absolute target.
    resolve: Resolve,
}

type Resolve =
    fn(&MountSpec, Fields, String, &mut StageBuilder<'_>) -> Result<RunMount, Diagnostic>;

/// A key of a mount.
#[derive(Debug)]
struct Key {
    /// All spellings.
    names: &'static [&'static str],
    /// What it says.
    doc: &'static str,
}

const fn key(names: &'static [&'static str], doc: &'static str) -> Key {
    Key { names, doc }
}

/// Keys that mean the same in several types.
const TARGET: Key = key(
    &["target", "dst", "destination"],
    "where it is; relative to the working directory",
);
const FROM: Key = key(
    &["from"],
    "a stage, an image or a named context; no variables",
);
const SOURCE: Key = key(&["source", "src"], "path in `from`; its root");
const ID: Key = key(&["id", "source", "src"], "its name on the command line");
const REQUIRED: Key = key(&["required"], "fail if it is not given; `false`");
const UID: Key = key(&["uid"], "owner; 0");
const GID: Key = key(&["gid"], "group; 0");
const RELABEL: Key = key(
    &["z", "relabel"],
    "podman's change of an SELinux label: no label is changed, with a warning",
);

impl MountType {
    /// Whether a key means something.
    fn has(&self, name: &str) -> bool {
        self.keys.iter().any(|key| key.names.contains(&name))
    }
}

/// The reference of all types, in Markdown.
pub(super) fn reference() -> String {
    let mut text = String::new();
    for kind in TYPES {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "### --mount=type={}\n\n{}\n", kind.name, kind.doc);
        let _ = writeln!(text, "| key | meaning; default |\n| --- | --- |");
        for key in kind.keys {
            let names: Vec<String> = key.names.iter().map(|name| format!("`{name}`")).collect();
            let _ = writeln!(text, "| {} | {} |", names.join(", "), key.doc);
        }
        text.push('\n');
    }
    text
}

/// A `--mount` as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountSpec {
    /// `key[=value]`, CSV quotes removed.
    pub fields: Vec<String>,
    /// `from`, which must be known before variables are.
    pub from: Option<String>,
    /// The whole flag.
    pub flag: Word,
}

impl MountSpec {
    /// Splits the fields and looks at `from`.
    pub(super) fn parse(line: &Line, flag: Word) -> Result<Self, Diagnostic> {
        let error = |message: String| error(line, &flag, message);
        let fields = csv::fields(&flag.text)
            .map_err(|why| error(format!("failed to parse csv mounts: {why}")))?;
        let mut from = None;
        for field in &fields {
            let Some((key, value)) = field.split_once('=') else {
                continue;
            };
            if key.eq_ignore_ascii_case("from") {
                if value
                    .split_once('$')
                    .is_some_and(|(_, after)| !after.is_empty())
                {
                    let help = "give the image a name: FROM $IMAGE AS name";
                    let message =
                        "'from' doesn't support variable expansion, define alias stage instead";
                    return Err(error(message.to_owned()).with_help(help));
                }
                from = Some(value.to_owned()).filter(|from| !from.is_empty());
            }
        }
        let has_from = |kind: &MountType| kind.has("from");
        let from = from.filter(|_| fields::kind(&fields).is_none_or(has_from));
        Ok(MountSpec { fields, from, flag })
    }

    /// Expands and checks the fields.
    pub(super) fn resolve(
        &self,
        line: &Line,
        stage: &mut StageBuilder<'_>,
    ) -> Result<RunMount, Diagnostic> {
        let mut expanded = Vec::with_capacity(self.fields.len());
        for field in &self.fields {
            expanded.push(match field.split_once('=') {
                Some((key, value)) => {
                    let value = stage.expand_text(value, self.flag.span)?;
                    (key.to_lowercase(), Some(value))
                }
                None => (field.to_lowercase(), None),
            });
        }
        let fields = Fields::read(&expanded).map_err(|why| {
            let found = error(line, &self.flag, why.message);
            match why.near {
                Some(near) => found.with_help(format!("did you mean {near}?")),
                None => found,
            }
        })?;
        self.build(line, fields, stage)
    }

    fn build(
        &self,
        line: &Line,
        fields: Fields,
        stage: &mut StageBuilder<'_>,
    ) -> Result<RunMount, Diagnostic> {
        let kind = fields.kind;
        if fields.relabels {
            let message = "the option z of a mount has no effect: kiln changes no SELinux labels";
            stage.note(code::RELABEL, self.flag.span, message.to_owned());
        }
        let target = path::join(&stage.working_dir(), &fields.target);
        if kind.needs_target && target == "/" {
            let message = format!("invalid mount target {target:?}");
            return Err(error(line, &self.flag, message));
        }
        (kind.resolve)(self, fields, target, stage)
    }

    /// The file system that `from` names.
    fn from(
        &self,
        fields: &Fields,
        stage: &mut StageBuilder<'_>,
    ) -> Result<Option<NodeId>, Diagnostic> {
        match fields.from.as_str() {
            "" => Ok(None),
            from => stage.source(from, self.flag.span).map(Some),
        }
    }
}

fn error(line: &Line, flag: &Word, message: String) -> Diagnostic {
    let error = line.error(code::MOUNT, message);
    Diagnostic {
        span: flag.span,
        ..error
    }
}

fn nearest(word: &str, names: &[&'static str]) -> Option<&'static str> {
    suggest::nearest(word, names.iter().copied())
}
