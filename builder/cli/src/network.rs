//! How registries are reached: credentials, certificates, proxies and mirrors, from flags, files and the environment. Unaware of
//! what is asked of registries.
//!
//! Credentials are looked for in the variable `DOCKER_AUTH_CONFIG` (a text like docker's file), then in `REGISTRY_AUTH_FILE`, else in docker's `config.json` (in `DOCKER_CONFIG`, else `~/.docker`) and
//! podman's `auth.json` (in `XDG_RUNTIME_DIR/containers`, else `~/.config/containers`). Mirrors are in the file that
//! `KILN_REGISTRIES` names, else in `~/.config/kiln/registries.json`, else in `/etc/kiln/registries.json`.

use crate::environment::{Globals, variable};
use crate::failure::{Failure, Kind};
use kiln_engine::event::{Cancel, Events};
use kiln_engine::remote::Remote;
use kiln_oci::registry::{
    self, Certificates, Client, Configuration, Keychain, Mirror, Proxies, Secret, Settings, Told,
};
use kiln_oci::{Reference, ReferenceError};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The way to registries, or none with `--offline`.
///
/// # Errors
/// When the file of mirrors cannot be used.
pub fn remote(globals: &Globals, events: &Events, cancel: &Cancel) -> Result<Remote, Failure> {
    let tell = {
        let events = events.clone();
        move |text| events.warn(text)
    };
    let online = (!globals.offline).then(|| client(globals, cancel, Told::by(tell)));
    Ok(Remote {
        registry: online.transpose()?,
        events: events.clone(),
        cancel: cancel.clone(),
        proxies: proxies(),
    })
}

/// The client of registries; nothing is asked yet. `told` hears what does not end a call.
///
/// # Errors
/// When the file of mirrors cannot be used.
pub fn client(globals: &Globals, cancel: &Cancel, told: Told) -> Result<Client, Failure> {
    let configuration = configuration()?;
    let mut insecure = globals.insecure_registry.clone();
    insecure.extend(configuration.insecure);
    let mirrors = mirrors(globals, &insecure, configuration.mirrors)?;
    let cancel = cancel.clone();
    Ok(Client::new(Settings {
        insecure,
        insecure_pulls: globals.insecure_pulls,
        all_insecure: !globals.tls_verify,
        mirrors,
        keychain: Keychain {
            text: variable("DOCKER_AUTH_CONFIG")
                .filter(|text| !text.trim().is_empty())
                .map(Secret::new),
            files: credential_files(),
            ..Keychain::default()
        },
        certificates: Certificates {
            file: path("SSL_CERT_FILE"),
            directory: path("SSL_CERT_DIR"),
        },
        proxies: proxies(),
        cancel: registry::Cancel::when(move || cancel.requested()),
        patience: globals.patience.clone(),
        told,
    }))
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

/// Docker's `config.json`, whether it is there or not.
pub fn docker_config() -> Option<PathBuf> {
    let folder = path("DOCKER_CONFIG").or_else(|| Some(home()?.join(".docker")));
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
        if let Some(found) = read(&folder.join("kiln/registries.json"))? {
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
