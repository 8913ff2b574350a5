//! What a build reads: the Dockerfile, the main context, named contexts, and the rules about what may come from outside. Plain
//! data; unaware of how any of it is opened.

use super::policy::Policy;
use kiln_parser::graph::GitSource;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What is read.
#[derive(Debug, Clone)]
pub struct Sources {
    /// The Dockerfile.
    pub dockerfile: DockerfileSource,
    /// The main context.
    pub context: MainSource,
    /// `--build-context`, by lower-case name.
    pub contexts: BTreeMap<String, ContextSource>,
    /// `--ignorefile`: text that replaces any `.dockerignore` of the main context.
    pub ignore_file: Option<String>,
    /// `--source-policy-file`: what may be taken from outside.
    pub policies: Vec<Policy>,
}

/// Where the Dockerfile is.
#[derive(Debug, Clone)]
pub enum DockerfileSource {
    /// Here: the caller has read it.
    Text(DockerfileText),
    /// In the main context, under this name or a usual one.
    InContext(Option<String>),
    /// At an address.
    File {
        /// The address.
        url: String,
        /// What its content must be, as `algorithm:hex`.
        checksum: Option<String>,
    },
}

impl DockerfileSource {
    /// The text, if the caller has read it.
    #[must_use]
    pub fn text(&self) -> Option<&DockerfileText> {
        match self {
            Self::Text(text) => Some(text),
            Self::InContext(_) | Self::File { .. } => None,
        }
    }
}

/// A Dockerfile that was read.
#[derive(Debug, Clone, Default)]
pub struct DockerfileText {
    /// What messages call it.
    pub name: String,
    /// Its text.
    pub text: String,
    /// Text of `<Dockerfile>.dockerignore`, which replaces the context's own.
    pub ignore: Option<String>,
    /// Whether some bytes were not UTF-8 and were replaced.
    pub is_repaired: bool,
}

impl DockerfileText {
    /// The Dockerfile of a file's bytes; messages call it `name`.
    #[must_use]
    pub fn of_bytes(name: String, bytes: Vec<u8>) -> Self {
        let (text, is_repaired) = match String::from_utf8(bytes) {
            Ok(text) => (text, false),
            Err(error) => (repaired(error.as_bytes()), true),
        };
        DockerfileText {
            name,
            text,
            ignore: None,
            is_repaired,
        }
    }
}

/// Text with U+FFFD for each byte that is not UTF-8, as BuildKit writes it into its documents.
#[must_use]
pub fn repaired(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    text
}

/// Where the main context is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MainSource {
    /// On standard input: a Dockerfile or a tar.
    Stream,
    /// Somewhere with a name. A file at an address is a Dockerfile, or an archive with all files.
    Named(ContextSource),
}

impl MainSource {
    /// The folder of the caller's machine, if it is one.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Named(ContextSource::Directory(folder)) => Some(folder),
            _ => None,
        }
    }
}

/// What a name stands for: that of the main context, or one of `--build-context NAME=…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContextSource {
    /// A folder; its own `.dockerignore` applies.
    Directory(PathBuf),
    /// A file by http(s), called `context`.
    File {
        /// The address.
        url: String,
        /// What its content must be, as `algorithm:hex`.
        checksum: Option<String>,
    },
    /// A git repository.
    Git(GitSource),
    /// A tar, perhaps compressed.
    Archive(PathBuf),
    /// No files.
    Scratch,
    /// Programs of the host with what they need.
    HostTools(Vec<String>),
    /// An image of the store.
    Image(String),
    /// Another stage.
    Stage(String),
    /// An image of an OCI layout: its folder, and a tag or digest where it has several.
    OciLayout(PathBuf, Option<String>),
}
