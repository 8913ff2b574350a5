//! Files of credentials, docker's `config.json` and podman's `auth.json`:
//!
//! ```json
//! { "auths": { "ghcr.io": { "auth": "base64 of user:password", "identitytoken": "…" } },
//!   "credHelpers": { "host": "ecr-login" }, "credsStore": "pass" }
//! ```
//!
//! Keys are hosts, URLs, or (podman) hosts with the beginning of a repository; the longest wins.
//! Unaware of registries' answers.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};

use super::{Cancel, Credential, CredentialsError, Secret, helper, names, server};

/// The largest file that is read, in bytes.
const LARGEST: u64 = 4 << 20;

/// What an entry of `auths` says of a credential.
const FIELDS: [&str; 5] = [
    "auth",
    "username",
    "password",
    "identitytoken",
    "registrytoken",
];

/// Base64 with or without padding, as files have it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

type Result<T> = std::result::Result<T, CredentialsError>;

/// The credential that the file at `path` has for a repository; none when there is no such file.
pub(super) fn find(
    path: &Path,
    registry: &str,
    repository: &str,
    cancel: &Cancel,
) -> Result<Option<Credential>> {
    match read(path)? {
        Some(document) => search(&document, path, registry, repository, cancel),
        None => Ok(None),
    }
}

/// The same of a text that is no file.
pub(super) fn find_in(
    text: &str,
    registry: &str,
    repository: &str,
    cancel: &Cancel,
) -> Result<Option<Credential>> {
    let name = Path::new("DOCKER_AUTH_CONFIG");
    search(
        &parse(text.as_bytes(), name)?,
        name,
        registry,
        repository,
        cancel,
    )
}

fn search(
    document: &Map<String, Value>,
    path: &Path,
    registry: &str,
    repository: &str,
    cancel: &Cancel,
) -> Result<Option<Credential>> {
    if let Some(name) = helper_of(document, registry) {
        return helper::get(name, server(registry), cancel);
    }
    if let Some(entry) = entry(document, registry, repository)
        && let Some(credential) = credential(entry).map_err(|reason| malformed(path, reason))?
    {
        return Ok(Some(credential));
    }
    match document.get("credsStore").and_then(Value::as_str) {
        Some(name) if !name.is_empty() => helper::get(name, server(registry), cancel),
        _ => Ok(None),
    }
}

/// Keeps `credential` for `registry`: in the helper that the file at `path` names for it, else in
/// the file, which is made if need be (mode 0600, replaced as a whole, other fields as they were).
///
/// # Errors
/// [`CredentialsError`] when the file is malformed, cannot be written, or the helper fails.
pub fn store(path: &Path, registry: &str, credential: &Credential, cancel: &Cancel) -> Result<()> {
    let mut document = read(path)?.unwrap_or_default();
    let name = any_helper_of(&document, registry).map(str::to_owned);
    if let Some(name) = &name {
        helper::store(name, server(registry), credential, cancel)?;
    }
    let empty = || Value::Object(Map::new());
    let auths = document
        .entry("auths")
        .or_insert_with(empty)
        .as_object_mut();
    let auths = auths.ok_or_else(|| malformed(path, "\"auths\" is no object"))?;
    let entry = auths.entry(server(registry)).or_insert_with(empty);
    if !entry.is_object() {
        *entry = empty();
    }
    if let Some(entry) = entry.as_object_mut() {
        entry.retain(|field, _| !FIELDS.contains(&field.as_str()));
        if name.is_none() {
            fill(entry, credential);
        }
    }
    write(path, &document)
}

/// Removes what is kept for `registry`; whether there was anything.
///
/// # Errors
/// [`CredentialsError`] when the file is malformed, cannot be written, or the helper fails.
pub fn erase(path: &Path, registry: &str, cancel: &Cancel) -> Result<bool> {
    let Some(mut document) = read(path)? else {
        return Ok(false);
    };
    let mut found = false;
    if let Some(name) = any_helper_of(&document, registry).map(str::to_owned) {
        found = helper::get(&name, server(registry), cancel)?.is_some();
        if found {
            helper::erase(&name, server(registry), cancel)?;
        }
    }
    let Some(auths) = document.get_mut("auths").and_then(Value::as_object_mut) else {
        return Ok(found);
    };
    let before = auths.len();
    auths.retain(|key, _| !names(key, registry));
    if auths.len() == before {
        return Ok(found);
    }
    write(path, &document)?;
    Ok(true)
}

fn malformed(path: &Path, reason: impl Into<String>) -> CredentialsError {
    CredentialsError::Malformed {
        path: path.into(),
        reason: reason.into(),
    }
}

fn read(path: &Path) -> Result<Option<Map<String, Value>>> {
    let wrong = |source| CredentialsError::File {
        path: path.into(),
        source,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(wrong(error)),
    };
    let mut text = Vec::new();
    file.take(LARGEST + 1)
        .read_to_end(&mut text)
        .map_err(wrong)?;
    if text.len() as u64 > LARGEST {
        return Err(malformed(path, format!("more than {LARGEST} bytes")));
    }
    if text.iter().all(u8::is_ascii_whitespace) {
        return Ok(Some(Map::new()));
    }
    parse(&text, path).map(Some)
}

fn parse(text: &[u8], path: &Path) -> Result<Map<String, Value>> {
    // serde_json's messages may quote what they do not like.
    serde_json::from_slice(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        malformed(
            path,
            format!("no JSON object (line {line}, column {column})"),
        )
    })
}

/// The helper that the file names for this registry.
fn helper_of<'d>(document: &'d Map<String, Value>, registry: &str) -> Option<&'d str> {
    let helpers = document.get("credHelpers")?.as_object()?;
    let (_, name) = helpers.iter().find(|(key, _)| names(key, registry))?;
    name.as_str().filter(|name| !name.is_empty())
}

/// The same, or the one for all registries.
fn any_helper_of<'d>(document: &'d Map<String, Value>, registry: &str) -> Option<&'d str> {
    let for_all = || document.get("credsStore").and_then(Value::as_str);
    helper_of(document, registry)
        .or_else(for_all)
        .filter(|name| !name.is_empty())
}

/// What the file says about a repository, or the namespaces around it, or the registry.
fn entry<'d>(
    document: &'d Map<String, Value>,
    registry: &str,
    repository: &str,
) -> Option<&'d Map<String, Value>> {
    let auths = document.get("auths")?.as_object()?;
    let mut name = repository;
    while !name.is_empty() {
        if let Some(found) = auths.get(&format!("{registry}/{name}")) {
            return found.as_object();
        }
        name = name.rsplit_once('/').map_or("", |(parent, _)| parent);
    }
    let exact = auths.get(server(registry));
    let similar = || {
        let mut all = auths.iter();
        all.find(|(key, _)| names(key, registry))
            .map(|(_, found)| found)
    };
    exact.or_else(similar)?.as_object()
}

fn credential(entry: &Map<String, Value>) -> std::result::Result<Option<Credential>, &'static str> {
    let field = |name| {
        let text = entry.get(name).and_then(Value::as_str);
        text.filter(|text| !text.is_empty())
    };
    let password = |user: &str, password| Credential::Password {
        user: user.into(),
        password: Secret::new(password),
    };
    if let Some(token) = field("identitytoken") {
        return Ok(Some(Credential::IdentityToken(Secret::new(token))));
    }
    if let Some(token) = field("registrytoken") {
        return Ok(Some(Credential::RegistryToken(Secret::new(token))));
    }
    if let Some(encoded) = field("auth") {
        let decoded = BASE64.decode(encoded.trim()).ok();
        let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        let text = text.ok_or("an \"auth\" is no base64")?;
        let (user, secret) = text.split_once(':').ok_or("an \"auth\" has no colon")?;
        return Ok(Some(password(user, secret.trim_end_matches('\0'))));
    }
    let named = field("username").zip(field("password"));
    Ok(named.map(|(user, secret)| password(user, secret)))
}

fn fill(entry: &mut Map<String, Value>, credential: &Credential) {
    let (name, text) = match credential {
        Credential::Password { user, password } => (
            "auth",
            BASE64.encode(format!("{user}:{}", password.expose())),
        ),
        Credential::IdentityToken(token) => ("identitytoken", token.expose().into()),
        Credential::RegistryToken(token) => ("registrytoken", token.expose().into()),
    };
    entry.insert(name.into(), Value::String(text));
}

/// Replaces the file; where it is a link, what that leads to.
fn write(path: &Path, document: &Map<String, Value>) -> Result<()> {
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.into());
    let wrong = |source| CredentialsError::File {
        path: path.into(),
        source,
    };
    replace(&target, document).map_err(wrong)
}

fn replace(target: &Path, document: &Map<String, Value>) -> io::Result<()> {
    let folder: PathBuf = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.into(),
        _ => ".".into(),
    };
    create_private(&folder)?;
    // Such files are made with mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(&folder)?;
    let mut text = serde_json::to_vec_pretty(document)?;
    text.push(b'\n');
    file.write_all(&text)?;
    file.as_file().sync_all()?;
    file.persist(target)?;
    File::open(folder)?.sync_all()
}

/// Makes a folder that only its owner can look into.
fn create_private(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(folder)
}
