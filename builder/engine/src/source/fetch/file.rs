//! Files by http(s): what of them the store holds, and how they get there. BuildKit's rules: mode 0600, the time of
//! `Last-Modified` (1970 without one), credentials from the secrets `HTTP_AUTH_TOKEN_<host>` and `HTTP_AUTH_HEADER_<host>`.
//! Unaware of what the files are for.

use super::web::{Downloaded, Request, Validator, Web};
use super::{Access, FileSource, layer, secret};
use crate::event::EventKind;
use crate::failure::FetchError;
use crate::source::fetch::address::redacted;
use kiln_cache::{Fetched, KeyBuilder};
use kiln_oci::Digest;
use sha2::{Sha384, Sha512};
use std::io::Read;
use std::path::Path;
use std::time::Instant;

/// What the store holds of a file, if it is known to be what the other side has. A file with a checksum needs no network.
///
/// # Errors
/// When the store fails, the address is malformed or the build is stopped.
pub fn known<'w>(
    access: Access<'_>,
    web: impl FnOnce() -> Result<&'w Web, FetchError>,
    source: &FileSource,
) -> Result<Option<Fetched>, FetchError> {
    let store = &access.session.store;
    if let Some(checksum) = &source.checksum {
        return Ok(store
            .records()
            .fetched(&content_key(checksum, &source.name))?);
    }
    let Some(held) = store.records().fetched(&address_key(source))? else {
        return Ok(None);
    };
    let Some(validator) = Validator::of(&held).filter(|_| !access.session.offline) else {
        return Ok(None);
    };
    let request = request(access, source)?;
    let unchanged = web()?.is_unchanged(&access.session.cancel, &request, &validator)?;
    Ok(unchanged.then_some(held))
}

/// Downloads a file and makes a layer of it.
///
/// # Errors
/// When it cannot be had, or is not what its checksum says.
pub fn fetch<'w>(
    access: Access<'_>,
    web: impl FnOnce() -> Result<&'w Web, FetchError>,
    source: &FileSource,
) -> Result<Fetched, FetchError> {
    let store = &access.session.store;
    let held = match &source.checksum {
        Some(checksum) => store
            .records()
            .fetched(&content_key(checksum, &source.name))?,
        None => None,
    };
    if let Some(held) = held {
        return Ok(held);
    }
    let held = store.records().fetched(&address_key(source))?;
    if access.session.offline {
        return Err(FetchError::Offline {
            url: redacted(&source.url),
            held: held.map(|held| held.version),
        });
    }
    // What is asked for by checksum is not what was there before.
    let validator = held
        .as_ref()
        .filter(|_| source.checksum.is_none())
        .and_then(Validator::of);
    let begun = Instant::now();
    let scratch = store.scratch().dir("download")?;
    let file = scratch.join("file");
    let request = request(access, source)?;
    let downloaded = web()?.download(&access.session.cancel, &request, validator.as_ref(), &file);
    let fetched = match downloaded {
        Ok(Some(downloaded)) => keep(access, source, &file, downloaded, begun),
        // Only what is held was asked about.
        Ok(None) => held.ok_or(FetchError::Cancelled),
        Err(error) => Err(error),
    };
    store.scratch().discard(&scratch)?;
    fetched
}

fn keep(
    access: Access<'_>,
    source: &FileSource,
    file: &Path,
    downloaded: Downloaded,
    begun: Instant,
) -> Result<Fetched, FetchError> {
    let store = &access.session.store;
    if let Some(expected) = &source.checksum {
        check(source, expected, file, &downloaded.sha256)?;
    }
    let modified = downloaded.modified.unwrap_or(0);
    // What changed within the second in which it was sent may change again and keep its time (RFC 9110, 8.8.2.2).
    let sent = downloaded
        .date
        .unwrap_or_else(|| access.session.host.seconds());
    let tells = downloaded.etag.is_none() && downloaded.modified.is_some_and(|time| time < sent);
    let fetched = Fetched {
        layer: layer::of_file(store, &source.name, file, modified)?,
        version: downloaded.sha256.to_string(),
        last_modified: downloaded.last_modified.filter(|_| tells),
        etag: downloaded.etag,
        modified: downloaded.modified,
    };
    store
        .records()
        .remember_fetched(&address_key(source), &fetched)?;
    let by_sha256 = Some(fetched.version.clone());
    for checksum in by_sha256.iter().chain(&source.checksum) {
        store
            .records()
            .remember_fetched(&content_key(checksum, &source.name), &fetched)?;
    }
    access.session.events.send(EventKind::Source {
        title: redacted(&source.url),
        items: 1,
        bytes: downloaded.size,
        took_us: u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX),
    });
    Ok(fetched)
}

fn check(
    source: &FileSource,
    expected: &str,
    file: &Path,
    sha256: &Digest,
) -> Result<(), FetchError> {
    let read = || {
        std::fs::File::open(file).map_err(|error| FetchError::Io {
            action: "read",
            path: file.to_owned(),
            source: error,
        })
    };
    let found = match expected.split_once(':') {
        Some(("sha384", _)) => format!("sha384:{}", digest_of::<Sha384>(read()?, file)?),
        Some(("sha512", _)) => format!("sha512:{}", digest_of::<Sha512>(read()?, file)?),
        _ => sha256.to_string(),
    };
    if found == expected {
        return Ok(());
    }
    Err(FetchError::Checksum {
        url: redacted(&source.url),
        expected: expected.to_owned(),
        found,
    })
}

fn digest_of<H: sha2::Digest>(
    mut reader: std::fs::File,
    path: &Path,
) -> Result<String, FetchError> {
    let mut hasher = H::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        let count = reader.read(&mut buffer).map_err(|source| FetchError::Io {
            action: "read",
            path: path.to_owned(),
            source,
        })?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
    }
    let bytes = hasher.finalize();
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn request(access: Access<'_>, source: &FileSource) -> Result<Request, FetchError> {
    let host = Request::host(&source.url).unwrap_or_default();
    let token = secret(access, &format!("HTTP_AUTH_TOKEN_{host}"));
    let authorization = match token {
        Some(token) => Some(format!("Bearer {token}")),
        None => secret(access, &format!("HTTP_AUTH_HEADER_{host}")),
    };
    Request::new(&source.url, authorization.as_deref())
}

/// The last version of an address under a name.
fn address_key(source: &FileSource) -> Digest {
    let key = KeyBuilder::new("http address").bytes("address", redacted(&source.url).as_bytes());
    key.bytes("name", source.name.as_bytes()).finish().0
}

/// Certain content under a name.
fn content_key(checksum: &str, name: &str) -> Digest {
    let key = KeyBuilder::new("http content").bytes("checksum", checksum.as_bytes());
    key.bytes("name", name.as_bytes()).finish().0
}
