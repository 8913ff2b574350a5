//! Files by http(s): what of them the store holds, and how they get there. BuildKit's rules: mode 0600, the time of
//! `Last-Modified` (1970 without one), credentials from the secrets `HTTP_AUTH_TOKEN_<host>` and `HTTP_AUTH_HEADER_<host>`.
//! Unaware of what the files are for.

use super::address::redacted;
use super::web::{Downloaded, Validator, WebFile};
use super::{Access, FileSource, layer, secret};
use crate::failure::FetchError;
use kiln_cache::{Fetched, KeyBuilder};
use kiln_oci::Digest;
use kiln_oci::http::Url;
use sha2::{Sha384, Sha512};
use std::io::Read;
use std::path::Path;
use std::time::Instant;

/// What the store holds of a file, if it is known to be what the other side has. A file with a checksum needs no network.
///
/// # Errors
/// When the store fails, the address is malformed or the build is stopped.
pub fn known(access: Access<'_>, source: &FileSource) -> Result<Option<Fetched>, FetchError> {
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
    let unchanged = web_file(access, source)?.is_unchanged(&validator)?;
    Ok(unchanged.then_some(held))
}

/// Downloads a file and makes a layer of it.
///
/// # Errors
/// When it cannot be fetched, or is not what its checksum says.
pub fn fetch(access: Access<'_>, source: &FileSource) -> Result<Fetched, FetchError> {
    let store = &access.session.store;
    if let Some(checksum) = &source.checksum
        && let Some(held) = store
            .records()
            .fetched(&content_key(checksum, &source.name))?
    {
        return Ok(held);
    }
    let held = store.records().fetched(&address_key(source))?;
    if access.session.offline {
        return Err(FetchError::Offline {
            url: redacted(&source.url),
            held: held.map(|held| held.version),
        });
    }
    let scratch = store.scratch().dir("download")?;
    let fetched = download(access, source, held, &scratch.join("file"));
    store.scratch().discard(&scratch)?;
    fetched
}

fn download(
    access: Access<'_>,
    source: &FileSource,
    held: Option<Fetched>,
    file: &Path,
) -> Result<Fetched, FetchError> {
    let begun = Instant::now();
    // What is asked for by checksum is not what was there before.
    let held = held.filter(|_| source.checksum.is_none());
    let validator = held.as_ref().and_then(Validator::of);
    match web_file(access, source)?.download(validator.as_ref(), file)? {
        Some(downloaded) => keep(access, source, file, downloaded, begun),
        // Only a file that is held was asked about.
        None => held.ok_or(FetchError::Cancelled),
    }
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
    let now = || access.session.host.seconds();
    let sent = downloaded.date.unwrap_or_else(now);
    let tells = downloaded.etag.is_none() && downloaded.modified.is_some_and(|time| time < sent);
    let fetched = Fetched {
        layer: layer::of_file(store, &source.name, file, modified)?,
        version: downloaded.sha256.to_string(),
        last_modified: downloaded.last_modified.filter(|_| tells),
        etag: downloaded.etag,
        modified: downloaded.modified,
    };
    let records = store.records();
    records.remember_fetched(&address_key(source), &fetched)?;
    let by_sha256 = Some(fetched.version.clone());
    for checksum in by_sha256.iter().chain(&source.checksum) {
        records.remember_fetched(&content_key(checksum, &source.name), &fetched)?;
    }
    let title = redacted(&source.url);
    access.tell(title, 1, downloaded.size, begun);
    Ok(fetched)
}

fn check(
    source: &FileSource,
    expected: &str,
    file: &Path,
    sha256: &Digest,
) -> Result<(), FetchError> {
    let found = match expected.split_once(':') {
        Some(("sha384", _)) => format!("sha384:{}", digest_of::<Sha384>(file)?),
        Some(("sha512", _)) => format!("sha512:{}", digest_of::<Sha512>(file)?),
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

fn digest_of<H: sha2::Digest>(path: &Path) -> Result<String, FetchError> {
    let unreadable = |source| FetchError::Io {
        action: "read",
        path: path.to_owned(),
        source,
    };
    let mut reader = std::fs::File::open(path).map_err(unreadable)?;
    let (mut hasher, mut buffer) = (H::new(), vec![0; 256 << 10]);
    loop {
        let count = reader.read(&mut buffer).map_err(unreadable)?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
    }
    let bytes = hasher.finalize();
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn web_file<'a>(access: Access<'a>, source: &FileSource) -> Result<WebFile<'a>, FetchError> {
    let url = Url::parse(&source.url).ok();
    let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
    let token = secret(access, &format!("HTTP_AUTH_TOKEN_{host}"));
    let authorization = match token {
        Some(token) => Some(format!("Bearer {token}")),
        None => secret(access, &format!("HTTP_AUTH_HEADER_{host}")),
    };
    let (client, policies) = (&access.session.remote.http, access.policies);
    WebFile::new(client, policies, &source.url, authorization.as_deref())
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
