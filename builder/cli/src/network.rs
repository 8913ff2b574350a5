//! How servers are reached: credentials, certificate authorities, proxies and mirrors, from flags, files and the environment. Unaware of
//! what is asked of them.
//!
//! Credentials come from the variable `DOCKER_AUTH_CONFIG` (a text like docker's file), then from `REGISTRY_AUTH_FILE`, else from docker's
//! `config.json` (in `DOCKER_CONFIG`, else `~/.docker`) and podman's `auth.json` (in `XDG_RUNTIME_DIR/containers`, else
//! `~/.config/containers`). Mirrors are in the file that `KILN_REGISTRIES` names, else in `~/.config/kiln/registries.json`, else in
//! `/etc/kiln/registries.json`.

use crate::environment::{Globals, variable};
use crate::failure::{Failure, Kind};
use kiln_engine::event::{Cancel, EventKind, Events};
use kiln_engine::remote::Remote;
use kiln_oci::http::{self, Authorities, Notice, Observer, Proxies};
use kiln_oci::registry::{Client, Configuration, Keychain, Mirror, Secret, Settings};
use kiln_oci::{Reference, ReferenceError};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The way to registries and other servers; none to registries with `--offline`.
///
/// # Errors
/// When the file of mirrors cannot be used.
pub fn remote(globals: &Globals, events: &Events, cancel: &Cancel) -> Result<Remote, Failure> {
    let heard = events.clone();
    let observer = Observer::new(move |notice| match notice {
        Notice::Warning(text) => heard.warn(text),
        Notice::Waiting { host, what } => heard.send(EventKind::Waiting {
            host,
            what: what.to_owned(),
        }),
    });
    let http = http(globals, cancel, observer);
    let online = (!globals.offline).then(|| client(globals, http.clone()));
    Ok(Remote {
        registry: online.transpose()?,
        events: events.clone(),
        cancel: cancel.clone(),
        http,
        // a wrong address is told where something is loaded
        daemon: globals
            .bases
            .as_ref()
            .and_then(|address| address.parse().ok()),
    })
}

/// The client of all servers; nothing is asked yet. `observer` hears what does not end a call.
pub fn http(globals: &Globals, cancel: &Cancel, observer: Observer) -> http::Client {
    let cancel = cancel.clone();
    http::Client::new(http::Settings {
        authorities: Authorities {
            file: path("SSL_CERT_FILE"),
            directory: path("SSL_CERT_DIR"),
        },
        proxies: proxies(),
        socket: None,
        patience: globals.patience.clone(),
        cancel: http::Cancel::when(move || cancel.requested()),
        observer,
    })
}

/// The client of registries; nothing is asked yet.
///
/// # Errors
/// When the file of mirrors cannot be used.
pub fn client(globals: &Globals, http: http::Client) -> Result<Client, Failure> {
    let configuration = configuration()?;
    let mut insecure = globals.insecure_registry.clone();
    insecure.extend(configuration.insecure);
    let mirrors = mirrors(globals, &insecure, configuration.mirrors)?;
    let text = variable("DOCKER_AUTH_CONFIG").filter(|text| !text.trim().is_empty());
    let settings = Settings {
        insecure,
        insecure_pulls: globals.insecure_pulls,
        all_insecure: !globals.tls_verify,
        mirrors,
        keychain: Keychain {
            text: text.map(Secret::new),
            files: credential_files(),
            ..Keychain::default()
        },
    };
    Ok(Client::new(http, settings))
}

/// Those of the command line, then those of the file.
fn mirrors(
    globals: &Globals,
    insecure: &[String],
    of_file: BTreeMap<String, Vec<Mirror>>,
) -> Result<BTreeMap<String, Vec<Mirror>>, Failure> {
    let mut mirrors: BTreeMap<String, Vec<Mirror>> = BTreeMap::new();
    for (registry, written) in &globals.mirrors {
        let mirror = Mirror::parse(written, insecure);
        let mirror = mirror.map_err(|error| Failure::usage(error.to_string()))?;
        let registry = Reference::parse(&format!("{registry}/image"));
        let wrong = |error: ReferenceError| Failure::usage(format!("a mirror: {error}"));
        let registry = registry.map_err(wrong)?.registry;
        mirrors.entry(registry).or_default().push(mirror);
    }
    for (registry, of_file) in of_file {
        mirrors.entry(registry).or_default().extend(of_file);
    }
    Ok(mirrors)
}

/// The file that `login` writes to and `logout` removes from.
///
/// # Errors
/// When there is neither a home nor a variable that names one.
pub fn credential_file() -> Result<PathBuf, Failure> {
    credential_files().into_iter().next().ok_or_else(|| {
        Failure::usage("HOME is not set, so there is no place for credentials")
            .hint("name a file in REGISTRY_AUTH_FILE")
    })
}

/// All files that may hold credentials, the one to write to first.
pub fn credential_files() -> Vec<PathBuf> {
    if let Some(file) = path("REGISTRY_AUTH_FILE") {
        return vec![file];
    }
    let below = |folder: Option<PathBuf>, name: &str| folder.map(|folder| folder.join(name));
    let config = path("XDG_CONFIG_HOME").or_else(|| below(home(), ".config"));
    [
        docker_config(),
        below(path("XDG_RUNTIME_DIR"), "containers/auth.json"),
        below(config, "containers/auth.json"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Docker's folder, where the command line names one.
static DOCKER_CONFIG: OnceLock<PathBuf> = OnceLock::new();

/// Takes docker's `config.json` from this folder.
pub fn use_docker_config(folder: &Path) {
    // there is one command line
    let _ = DOCKER_CONFIG.set(folder.to_owned());
}

/// Docker's `config.json`, whether it is there or not.
pub fn docker_config() -> Option<PathBuf> {
    let named = DOCKER_CONFIG.get().cloned();
    let folder = named.or_else(|| path("DOCKER_CONFIG"));
    let folder = folder.or_else(|| Some(home()?.join(".docker")));
    folder.map(|folder| folder.join("config.json"))
}

fn home() -> Option<PathBuf> {
    path("HOME").filter(|home| home.is_absolute())
}

fn configuration() -> Result<Configuration, Failure> {
    if let Some(named) = path("KILN_REGISTRIES") {
        let missing = || {
            Failure::usage(format!(
                "KILN_REGISTRIES: {} does not exist",
                named.display()
            ))
        };
        return read(&named)?.ok_or_else(missing);
    }
    let own = path("XDG_CONFIG_HOME").or_else(|| path("HOME").map(|home| home.join(".config")));
    for folder in own.into_iter().chain([PathBuf::from("/etc")]) {
        let file = folder.join("kiln/registries.json");
        // the home of another user, after su or sudo
        let is_closed = std::fs::metadata(&file)
            .is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied);
        if let Some(found) = if is_closed { None } else { read(&file)? } {
            return Ok(found);
        }
    }
    Ok(Configuration::default())
}

fn read(file: &Path) -> Result<Option<Configuration>, Failure> {
    let failed =
        |error: String| Failure::new(Kind::Environment, format!("{}: {error}", file.display()));
    match std::fs::read(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(error.to_string())),
        Ok(bytes) => Configuration::parse(&bytes)
            .map(Some)
            .map_err(|error| failed(kiln_engine::chain_of_causes(&error))),
    }
}

fn proxies() -> Proxies {
    let first = |names: &[&str]| {
        let set = names.iter().find_map(|name| variable(name));
        set.filter(|value| !value.is_empty())
    };
    // curl reads HTTP_PROXY in lower case only, because of CGI; both are common elsewhere
    Proxies {
        http: first(&["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]),
        https: first(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]),
        no_proxy: first(&["no_proxy", "NO_PROXY"]),
    }
}

fn path(name: &str) -> Option<PathBuf> {
    variable(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}
