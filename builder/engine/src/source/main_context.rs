//! The main context, opened: a folder stays what it is, all else becomes a layer.
//!
//! Rules (docker's and BuildKit's): what is an archive is told by its content; a Dockerfile alone is built without a
//! context; .dockerignore means nothing in a context that was fetched; all its files are owned by root.

use super::dockerfile::{in_layer, text};
use super::fetch::web::interruptible;
use super::fetch::{Access, Fetches, Remote};
use super::fetched::{FILE_NAME, archive, file, layer, unpacked};
use super::unpack::unpack;
use crate::failure::{BuildError, FetchError};
use crate::request::{ContextSource, DockerfileText, Language};
use crate::session::Session;
use crate::source::fetch::address::redacted;
use kiln_cache::{Fetched, Store};
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
    Fetched {
        /// Their layer; `None` for no files.
        layer: Option<Digest>,
        /// The time of the commit, or of the last change as the server tells it.
        modified: Option<i64>,
        /// Whether they came in an archive, where files have times of their own.
        is_archive: bool,
    },
}

impl MainContext {
    /// A context without files.
    pub(super) const EMPTY: Self = Self::fetched(None, None);

    /// The folder of the caller's machine, if it is one.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Folder(folder) => Some(folder),
            Self::Fetched { .. } => None,
        }
    }

    /// Its layer, if it was fetched and has files.
    #[must_use]
    pub fn layer(&self) -> Option<Digest> {
        match self {
            Self::Folder(_) => None,
            Self::Fetched { layer, .. } => *layer,
        }
    }

    const fn fetched(layer: Option<Digest>, modified: Option<i64>) -> Self {
        Self::Fetched {
            layer,
            modified,
            is_archive: false,
        }
    }

    const fn archive(layer: Option<Digest>, modified: Option<i64>) -> Self {
        Self::Fetched {
            layer,
            modified,
            is_archive: true,
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
    fn of(context: MainContext, name: String) -> Self {
        Main {
            context,
            alone: None,
            name,
        }
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
        ContextSource::Directory(folder) => {
            let name = folder.display().to_string();
            Ok(Main::of(MainContext::Folder(folder.clone()), name))
        }
        ContextSource::File { url, checksum } => {
            let file = file(access, fetches, url, checksum.clone())?;
            of_file(store, &file, url)
        }
        ContextSource::Git(source) => {
            let keeps = language.is_true("BUILDKIT_CONTEXT_KEEP_GIT_DIR");
            let source = GitSource {
                keep_git_dir: source.keep_git_dir || keeps,
                ..source.clone()
            };
            let name = redacted(&source.remote);
            let found = fetches.get(access, &Remote::Git(source))?;
            let context = MainContext::fetched(found.layer, found.modified);
            Ok(Main::of(context, name))
        }
        ContextSource::Archive(path) => {
            let name = path.display().to_string();
            let layer = archive(store, path, &name, "is no archive")?;
            Ok(Main::of(MainContext::archive(layer, None), name))
        }
        other => {
            let name = "context".to_owned();
            let layer = layer(access, other, &name)?;
            Ok(Main::of(MainContext::fetched(layer, None), name))
        }
    }
}

/// Opens standard input. It can be read once, and only its end tells whether it is an archive: it is kept in a file meanwhile.
pub(super) fn of_stream(
    session: &Session,
    mut stream: impl Read + Send + 'static,
) -> Result<Main, BuildError> {
    let (store, name) = (&session.store, "stdin");
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
        Some(layer) => Main::of(MainContext::archive(layer, None), name.to_owned()),
        None => Main {
            alone: Some(text(read()?, name)?),
            ..Main::of(MainContext::EMPTY, name.to_owned())
        },
    };
    store.scratch().discard(&scratch)?;
    Ok(main)
}

/// An archive with the context, else a Dockerfile, which is then also the only file of the context.
fn of_file(store: &Store, file: &Fetched, url: &str) -> Result<Main, BuildError> {
    let name = redacted(url);
    if let Some(layer) = unpacked(store, file, &name)? {
        return Ok(Main::of(MainContext::archive(layer, file.modified), name));
    }
    let text = in_layer(store, file.layer, Some(FILE_NAME), &name)?;
    Ok(Main {
        alone: Some(DockerfileText {
            name: name.clone(),
            ..text
        }),
        ..Main::of(MainContext::fetched(file.layer, file.modified), name)
    })
}
