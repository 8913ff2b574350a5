//! `RUN --mount`: comma-separated fields, quoted as in CSV. The fields are read with the file, their values with the stage, because they
//! may contain variables. To add a type: write `mount/x.rs` and add its line to [`TYPES`]. Unaware of how mounts are made.

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
use crate::graph::{NodeId, RunMount};
use crate::line::{Line, Word};
use crate::path;
use crate::stage::StageBuilder;
use crate::suggest;
use fields::{Fields, Problem};

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
    /// Its keys, without `type`. The keys of other types are refused or do nothing.
    keys: &'static [Key],
    /// Whether it is read-only by default.
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
    "the mount point, relative to the working directory",
);
const FROM: Key = key(
    &["from"],
    "a stage, an image or a named context; no variables",
);
const SOURCE: Key = key(&["source", "src"], "the path in `from`; its root");
const ID: Key = key(&["id", "source", "src"], "its name on the command line");
const REQUIRED: Key = key(&["required"], "fail if it is missing; `false`");
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
        let error = |message: &str| line.error_at(flag.span, code::MOUNT, message);
        let fields = csv::fields(&flag.text)
            .map_err(|why| error(&format!("failed to parse csv mounts: {why}")))?;
        let pairs = fields.iter().filter_map(|field| field.split_once('='));
        let mut from = None;
        for (_, value) in pairs.filter(|(key, _)| key.eq_ignore_ascii_case("from")) {
            let variable = value.split_once('$').map_or("", |(_, after)| after);
            if !variable.is_empty() {
                let message =
                    "'from' doesn't support variable expansion, define alias stage instead";
                let help = "give the image a name: FROM $IMAGE AS name";
                return Err(error(message).with_help(help));
            }
            from = Some(value.to_owned()).filter(|from| !from.is_empty());
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
        let fields = Fields::read(&expanded).map_err(|why| Diagnostic {
            help: why.near.map(|near| format!("did you mean {near}?")),
            ..line.error_at(self.flag.span, code::MOUNT, why.message)
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
            let message = "the mount option z has no effect: kiln does not change SELinux labels";
            stage.note(code::RELABEL, self.flag.span, message.to_owned());
        }
        let target = path::join(&stage.working_dir(), &fields.target);
        if kind.needs_target && target == "/" {
            let message = format!("invalid mount target {target:?}");
            let error = line.error_at(self.flag.span, code::MOUNT, message);
            return Err(error.with_help("name the folder where it is mounted: target=/PATH"));
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

fn nearest(word: &str, names: &[&'static str]) -> Option<&'static str> {
    suggest::nearest(word, names.iter().copied())
}
