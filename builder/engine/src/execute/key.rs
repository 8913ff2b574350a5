//! Keys of steps: under what a result is recorded, what went into it, and what its inputs are called. Unaware of how operations are carried out.

use crate::source::fetch::address::redacted;
use kiln_cache::{FileTable, KeyBuilder};
use kiln_oci::Digest;
use kiln_parser::graph::{CopySource, Op, SourcePath};
use std::collections::BTreeMap;

/// A key with what went into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The digest.
    pub digest: Digest,
    /// Names and digests of the inputs.
    pub inputs: Vec<(String, Digest)>,
}

impl Key {
    /// Begins a key as all keys of steps begin: with the kind of the operation and its definition.
    pub fn begin(domain: &str, definition: Digest) -> KeyBuilder {
        KeyBuilder::new(domain).input(INSTRUCTION, definition)
    }
}

/// What is known of what goes into a key.
#[derive(Debug, Clone, Copy)]
pub enum Known<'a> {
    /// All of it.
    All(&'a Key),
    /// Some inputs.
    Part(&'a [(String, Digest)]),
}

/// The input that is the operation itself.
pub const INSTRUCTION: &str = "instruction";
/// The input that is the file system which the operation changes.
pub const BELOW: &str = "files below";

impl From<KeyBuilder> for Key {
    fn from(key: KeyBuilder) -> Self {
        let (digest, inputs) = key.finish();
        Key { digest, inputs }
    }
}

/// What a person understands of the inputs, by their names.
#[derive(Debug, Default)]
pub struct Seen {
    /// Files of contexts, and files that were fetched.
    pub files: BTreeMap<String, FileTable>,
    /// Values that are short.
    pub values: BTreeMap<String, String>,
}

/// For each input of an operation the input of its key; none where its content does not count.
pub fn input_names(op: &Op) -> Vec<Option<String>> {
    let below = || Some(BELOW.to_owned());
    match op {
        Op::Scratch | Op::Image { .. } | Op::Context { .. } => Vec::new(),
        Op::MakeDirectory { .. } => vec![below()],
        Op::Copy(copy) => {
            let files = |source: &&CopySource| matches!(source, CopySource::Files { .. });
            let sources = copy.sources.iter().filter(files).map(source_name);
            let base = if copy.link { None } else { below() };
            std::iter::once(base).chain(sources.map(Some)).collect()
        }
        Op::Run(run) => {
            let files = run.mounts.iter().filter_map(|mount| mount.files());
            let mounts = files.map(|(.., target)| Some(mount_name(target)));
            std::iter::once(below()).chain(mounts).collect()
        }
    }
}

/// The input that is what a mount shows.
pub fn mount_name(target: &str) -> String {
    format!("mount {target}")
}

/// The input that is what a source of COPY or ADD holds.
pub fn source_name(source: &CopySource) -> String {
    match source {
        CopySource::Files { paths, .. } => {
            let name = |path: &SourcePath| match path.pattern.as_str() {
                "" => ".".to_owned(),
                pattern => pattern.to_owned(),
            };
            paths.iter().map(name).collect::<Vec<_>>().join(" ")
        }
        CopySource::Inline { name, .. } => format!("<<{name}"),
        CopySource::Url { url, .. } => redacted(url),
        CopySource::Git(git) => redacted(&git.remote),
    }
}
