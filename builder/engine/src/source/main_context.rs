//! The main context, opened: a folder stays what it is, all else becomes a layer.
//!
//! Rules (docker's and BuildKit's): what is an archive is told by its content; a Dockerfile alone is built without a
//! context; .dockerignore means nothing in a context that was fetched; all its files are owned by root.

use super::archive::is_archive;
use super::dockerfile::{in_layer, text};
use super::fetch::web::interruptible;
use super::fetch::{Access, Fetches, RemoteSource};
use super::fetched::{FILE_NAME, archive, file, layer, unpacked};
use super::unpack::unpack;
use crate::failure::{BuildError, FetchError};
use crate::request::{ContextSource, DockerfileText, Language};
use crate::session::Session;
use crate::source::fetch::address::redacted;
use kiln_cache::{Fetched, Store, StoreError};
use kiln_oci::Digest;
use kiln_parser::graph::GitSource;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A main context that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MainContext {
    /// A folder of the caller's machine, read when the plan knows what of it is needed.
    Folder(PathBuf),
    /// Files that were fetched.
    Files(Files),
}

/// Files that were fetched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Files {
    /// Their layer; `None` for no files.
    pub layer: Option<Digest>,
    /// The time of the commit, or of the last change as the server tells it.
    pub modified: Option<i64>,
    /// Whether they came in an archive, where files have times of their own.
    pub is_archive: bool,
}

impl MainContext {
    /// The folder of the caller's machine, if it is one.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Folder(folder) => Some(folder),
            Self::Files(_) => None,
        }
    }
}

/// The main context as it was found.
pub(super) struct Main {
    pub(super) context: MainContext,
    /// The Dockerfile, when that was all there was.
    pub(super) alone: Option<DockerfileText>,
    /// What messages call it.
    pub(super) name: String,
}

impl Main {
    fn of(files: Files, name: String) -> Self {
        Main {
            context: MainContext::Files(files),
            alone: None,
            name,
        }
    }

    fn of_archive(layer: Option<Digest>, name: String) -> Self {
        let files = Files {
            layer,
            is_archive: true,
            ..Files::default()
        };
        Main::of(files, name)
    }
}

/// Opens what has a name.
pub(super) fn named(
    access: Access<'_>,
    fetches: &Fetches,
    source: &ContextSource,
    language: &Language,
) -> Result<Main, BuildError> {
    let store = &access.session.store;
    match source {
        ContextSource::Directory(folder) => Ok(Main {
            context: MainContext::Folder(folder.clone()),
            alone: None,
            name: folder.display().to_string(),
        }),
        ContextSource::File { url, checksum } => {
            let file = file(access, fetches, url, checksum.clone())?;
            of_file(store, &file, redacted(url))
        }
        ContextSource::Git(git) => of_git(access, fetches, git, language),
        ContextSource::Archive(path) => {
            let name = path.display().to_string();
            Ok(Main::of_archive(
                archive(store, path, &name, "is no archive")?,
                name,
            ))
        }
        other => Ok(Main::of_archive(
            layer(access, other, "context")?,
            "context".to_owned(),
        )),
    }
}

fn of_git(
    access: Access<'_>,
    fetches: &Fetches,
    git: &GitSource,
    language: &Language,
) -> Result<Main, BuildError> {
    let keeps = language.is_true("BUILDKIT_CONTEXT_KEEP_GIT_DIR");
    let git = GitSource {
        keep_git_dir: git.keep_git_dir || keeps,
        ..git.clone()
    };
    let name = redacted(&git.remote);
    let found = fetches.get(access, &RemoteSource::Git(git))?;
    Ok(Main::of(found.into(), name))
}

impl From<Fetched> for Files {
    fn from(fetched: Fetched) -> Self {
        Files {
            layer: fetched.layer,
            modified: fetched.modified,
            is_archive: false,
        }
    }
}

/// Opens standard input. It can be read once, and only its end tells whether it is an archive: it is kept in a file meanwhile.
pub(super) fn of_stream(
    session: &Session,
    mut stream: impl Read + Send + 'static,
) -> Result<Main, BuildError> {
    let (store, name) = (&session.store, "stdin");
    if store.is_read_only() {
        return alone(session, stream, name);
    }
    let scratch = store.scratch().dir("stdin")?;
    let path = scratch.join("content");
    let io = |action, source| FetchError::Io {
        action,
        path: name.into(),
        source,
    };
    let mut kept = File::create_new(&path).map_err(|error| io("keep", error))?;
    let copy = move || std::io::copy(&mut stream, &mut kept);
    interruptible(&session.cancel, copy)?.map_err(|error| io("read", error))?;
    let read = || File::open(&path).map_err(|error| io("read", error));
    let main = match unpack(store, read()?, name)? {
        Some(layer) => Main::of_archive(layer, name.to_owned()),
        None => Main {
            alone: Some(text(read()?, name)?),
            ..Main::of(Files::default(), name.to_owned())
        },
    };
    store.scratch().discard(&scratch)?;
    Ok(main)
}

/// The same where the store takes nothing, and so no archive.
fn alone(
    session: &Session,
    mut stream: impl Read + Send + 'static,
    name: &str,
) -> Result<Main, BuildError> {
    let read = move || {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).map(|_| bytes)
    };
    let bytes = interruptible(&session.cancel, read)?;
    let bytes = bytes.map_err(|source| FetchError::Io {
        action: "read",
        path: name.into(),
        source,
    })?;
    let path = session.store.root().to_owned();
    match is_archive(&bytes[..]) {
        true => Err(StoreError::ReadOnly { path }.into()),
        false => Ok(Main {
            alone: Some(text(&bytes[..], name)?),
            ..Main::of(Files::default(), name.to_owned())
        }),
    }
}

/// An archive with the context, else a Dockerfile, which is then also the only file of the context.
fn of_file(store: &Store, file: &Fetched, name: String) -> Result<Main, BuildError> {
    let mut files = Files::from(file.clone());
    if let Some(layer) = unpacked(store, file, &name)? {
        (files.layer, files.is_archive) = (layer, true);
        return Ok(Main::of(files, name));
    }
    let mut text = in_layer(store, file.layer, Some(FILE_NAME), &name)?;
    text.name.clone_from(&name);
    Ok(Main {
        alone: Some(text),
        ..Main::of(files, name)
    })
}
