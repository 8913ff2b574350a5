//! Contexts that are not folders, as layers of the store: files at an address, archives, repositories. Unaware of which of them is the
//! main context.

use super::fetch::{Access, Fetches, FileSource, RemoteSource};
use super::unpack::unpack;
use crate::failure::{BuildError, FetchError, Wrong};
use crate::request::ContextSource;
use kiln_cache::{Fetched, KeyBuilder, Store};
use kiln_oci::Digest;
use std::fs::File;
use std::path::Path;

/// What the file of an address is called in a context (BuildKit).
pub const FILE_NAME: &str = "context";

/// A file of an address, under the name that files of contexts have.
pub(crate) fn file(
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
    Ok(fetches.get(access, &RemoteSource::File(source))?)
}

/// What is in a fetched archive, `None` if it is not an archive; unpacked once.
pub(crate) fn unpacked(
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

/// The files of an archive of this machine, which messages call `title`; `otherwise` says what is wrong with one that is no archive.
pub(super) fn archive(
    store: &Store,
    path: &Path,
    title: &str,
    otherwise: &str,
) -> Result<Option<Digest>, BuildError> {
    let wrong = |wrong: Wrong| BuildError::File {
        path: title.into(),
        wrong,
    };
    let opened = File::open(path).map_err(|error| wrong(error.into()))?;
    let unpacked = unpack(store, opened, &path.display().to_string())?;
    unpacked.ok_or_else(|| wrong(otherwise.into()))
}

/// The files of a context that is neither a folder nor made of the host's programs; messages call it `title`.
///
/// # Errors
/// When they cannot be fetched or read, or it has none.
pub fn layer(
    access: Access<'_>,
    source: &ContextSource,
    title: &str,
) -> Result<Option<Digest>, BuildError> {
    access.session.cancel.lasts();
    let fetches = Fetches::default();
    match source {
        ContextSource::Scratch => Ok(None),
        ContextSource::File { url, checksum } => {
            Ok(file(access, &fetches, url, checksum.clone())?.layer)
        }
        ContextSource::Git(git) => Ok(fetches.get(access, &RemoteSource::Git(git.clone()))?.layer),
        ContextSource::Archive(path) => {
            let otherwise = "is neither a folder nor an archive";
            archive(&access.session.store, path, title, otherwise)
        }
        _ => Err(BuildError::File {
            path: title.into(),
            wrong: "has no files of its own".into(),
        }),
    }
}
