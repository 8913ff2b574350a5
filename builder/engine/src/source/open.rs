//! Opens what the options of a build only name: a main context from standard input, an address or a repository, a Dockerfile
//! that is in it or elsewhere, images of OCI layouts. After that the options are those of any other build.
//!
//! Rules (docker's and BuildKit's): what is an archive is told by its content; a Dockerfile alone is built without a
//! context; .dockerignore means nothing in a context that was fetched; all its files are owned by root.

use super::dockerfile::{dockerfile, text};
use super::epoch;
use super::fetch::error::{FetchError, redacted};
use super::fetch::web::interruptible;
use super::fetch::{Access, Fetches, FileSource, Remote};
use super::oci_layout;
use super::unpack::unpack;
use crate::failure::BuildError;
use crate::request::options::{BuildOptions, ContextSource, DockerfileText, Unread};
use crate::request::policy::apply as policy;
use crate::session::Session;
use kiln_cache::{Fetched, KeyBuilder, Store};
use kiln_oci::{Digest, Platform};
use kiln_parser::graph::GitSource;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

/// What the file of an address is called in a context (BuildKit).
pub const FILE_NAME: &str = "context";

/// See the module; `stream` is standard input, read on a thread that is left behind when the build is stopped.
///
/// # Errors
/// When something cannot be had, or has no Dockerfile.
pub fn open(
    session: &Session,
    options: &mut BuildOptions,
    stream: impl Read + Send + 'static,
) -> Result<(), BuildError> {
    policy::contexts(options)?;
    let fetches = Fetches::default();
    let mut opened = open_context(session, &fetches, options, stream)?;
    if let Some(alone) = opened.dockerfile.take() {
        (options.dockerfile, options.unread) = (alone, None);
    }
    if let Some(layer) = opened.layer {
        options.context = ContextSource::Layer(layer);
    }
    match options.unread.take() {
        None => {}
        Some(Unread::InContext(name)) => {
            let layer = opened.layer.flatten();
            options.dockerfile = dockerfile(&session.store, layer, name.as_deref(), &opened.name)?;
        }
        Some(Unread::File { url, checksum }) => {
            let access = Access::of(session, options);
            let layer = file(access, &fetches, &url, checksum)?.layer;
            let mut read = dockerfile(&session.store, layer, Some(FILE_NAME), &url)?;
            read.name = redacted(&url);
            options.dockerfile = read;
        }
    }
    options.context_time = opened.time;
    if let (None, Some(layer)) = (opened.time, opened.archive)
        && epoch::may_be_named(options)
    {
        options.context_time = epoch::newest(&session.store, layer)?;
    }
    open_layouts(session, options)
}

/// A main context, as far as it had to be opened.
#[derive(Default)]
struct Opened {
    /// Its files, if they are no longer where the options say.
    layer: Option<Option<Digest>>,
    /// Its files, if they came in an archive.
    archive: Option<Option<Digest>>,
    /// The Dockerfile, when that was all there was.
    dockerfile: Option<DockerfileText>,
    /// What messages call it.
    name: String,
    /// Its time.
    time: Option<i64>,
}

fn open_context(
    session: &Session,
    fetches: &Fetches,
    options: &BuildOptions,
    stream: impl Read + Send + 'static,
) -> Result<Opened, BuildError> {
    let access = Access::of(session, options);
    match &options.context {
        ContextSource::Stream => open_stream(session, stream),
        ContextSource::File { url, checksum } => {
            let file = file(access, fetches, url, checksum.clone())?;
            open_file(&session.store, &file, url)
        }
        ContextSource::Git(source) => {
            let keeps = options
                .build_args
                .get("BUILDKIT_CONTEXT_KEEP_GIT_DIR")
                .is_some_and(|value| {
                    matches!(value.as_str(), "1" | "t" | "T" | "true" | "TRUE" | "True")
                });
            let source = GitSource {
                keep_git_dir: source.keep_git_dir || keeps,
                ..source.clone()
            };
            let name = redacted(&source.remote);
            let fetched = fetches.get(access, &Remote::Git(source))?;
            Ok(Opened {
                layer: Some(fetched.layer),
                name,
                time: fetched.modified,
                ..Opened::default()
            })
        }
        ContextSource::Archive(path) => {
            let name = path.display().to_string();
            let wrong = |message: String| BuildError::File {
                path: path.clone(),
                message,
            };
            let opened = File::open(path).map_err(|error| wrong(error.to_string()))?;
            let layer = unpack(&session.store, opened, &name)?;
            let layer = layer.ok_or_else(|| wrong("is no archive".to_owned()))?;
            Ok(Opened {
                layer: Some(layer),
                archive: Some(layer),
                name,
                ..Opened::default()
            })
        }
        ContextSource::Directory(folder) => Ok(Opened {
            name: folder.display().to_string(),
            ..Opened::default()
        }),
        _ => Ok(Opened::default()),
    }
}

/// A file of an address, under the name that files of contexts have.
pub(super) fn file(
    access: Access<'_>,
    fetches: &Fetches,
    url: &str,
    checksum: Option<String>,
) -> Result<Fetched, BuildError> {
    let source = FileSource {
        url: url.to_owned(),
        name: FILE_NAME.to_owned(),
        checksum,
    };
    Ok(fetches.get(access, &Remote::File(source))?)
}

/// Standard input can be read once, and only its end tells whether it is an archive: it is kept in a file meanwhile.
fn open_stream(
    session: &Session,
    mut stream: impl Read + Send + 'static,
) -> Result<Opened, BuildError> {
    let (store, name) = (&session.store, "stdin");
    let scratch = store.scratch().dir("stdin")?;
    let path = scratch.join("content");
    let io = |action, source| {
        let path = PathBuf::from(name);
        FetchError::Io {
            action,
            path,
            source,
        }
    };
    let mut kept = File::create_new(&path).map_err(|error| io("keep", error))?;
    interruptible(&session.cancel, move || {
        std::io::copy(&mut stream, &mut kept)
    })?
    .map_err(|error| io("read", error))?;
    let read = || File::open(&path).map_err(|error| io("read", error));
    let opened = match unpack(store, read()?, name)? {
        Some(layer) => Opened {
            layer: Some(layer),
            archive: Some(layer),
            ..Opened::default()
        },
        None => Opened {
            layer: Some(None),
            dockerfile: Some(text(read()?, name)?),
            ..Opened::default()
        },
    };
    store.scratch().discard(&scratch)?;
    Ok(Opened {
        name: name.to_owned(),
        ..opened
    })
}

/// An archive with the context, else a Dockerfile, which is then also the only file of the context.
fn open_file(store: &Store, file: &Fetched, url: &str) -> Result<Opened, BuildError> {
    let name = redacted(url);
    let opened = Opened {
        name: name.clone(),
        time: file.modified,
        ..Opened::default()
    };
    if let Some(layer) = unpacked(store, file, &name)? {
        return Ok(Opened {
            layer: Some(layer),
            archive: Some(layer),
            ..opened
        });
    }
    let mut text = dockerfile(store, file.layer, Some(FILE_NAME), &name)?;
    text.name = name;
    Ok(Opened {
        layer: Some(file.layer),
        dockerfile: Some(text),
        ..opened
    })
}

/// What is in a fetched archive; unpacked once.
pub(super) fn unpacked(
    store: &Store,
    file: &Fetched,
    name: &str,
) -> Result<Option<Option<Digest>>, BuildError> {
    let Some(layer) = file.layer else {
        return Ok(None);
    };
    let key = KeyBuilder::new("unpacked").input("layer", layer).finish().0;
    if let Some(held) = store.records().fetched(&key)? {
        return Ok(Some(held.layer));
    }
    let chain = store.layers().chain(&[layer])?;
    let Some(found) = chain.lookup(FILE_NAME.as_bytes()) else {
        return Ok(None);
    };
    let content = chain.read(&found).map_err(FetchError::from)?;
    let unpacked = unpack(store, content, name)?;
    if let Some(layer) = unpacked {
        let held = Fetched {
            layer,
            ..file.clone()
        };
        store.records().remember_fetched(&key, &held)?;
    }
    Ok(unpacked)
}

/// The files of a context that is neither a folder nor made of the host's programs, which messages call `title`.
///
/// # Errors
/// When it cannot be had, or is no context.
pub fn layer(
    access: Access<'_>,
    source: &ContextSource,
    title: &str,
) -> Result<Option<Digest>, BuildError> {
    let fetches = Fetches::default();
    let wrong = |message: &str| BuildError::File {
        path: title.into(),
        message: message.to_owned(),
    };
    match source {
        ContextSource::Layer(layer) => Ok(*layer),
        ContextSource::File { url, checksum } => {
            Ok(file(access, &fetches, url, checksum.clone())?.layer)
        }
        ContextSource::Git(git) => Ok(fetches.get(access, &Remote::Git(git.clone()))?.layer),
        ContextSource::Archive(path) => {
            let opened = File::open(path).map_err(|error| wrong(&error.to_string()))?;
            let unpacked = unpack(&access.session.store, opened, &path.display().to_string())?;
            unpacked.ok_or_else(|| wrong("is neither a folder nor an archive"))
        }
        _ => Err(wrong("has no files of its own")),
    }
}

/// Images of OCI layouts are taken into the store, without a name.
fn open_layouts(session: &Session, options: &mut BuildOptions) -> Result<(), BuildError> {
    // what a stage may ask for without naming it
    let mut platforms = options.platforms.clone();
    platforms.push(Platform::host());
    for source in options.contexts.values_mut() {
        if let ContextSource::OciLayout(folder, reference) = source {
            let manifest =
                oci_layout::take(&session.store, folder, reference.as_deref(), &platforms)?;
            *source = ContextSource::Image(manifest.to_string());
        }
    }
    Ok(())
}
