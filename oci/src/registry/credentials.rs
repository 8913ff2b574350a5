//! User names, passwords and tokens of registries: where they are found and kept. Unaware of how
//! they are shown to a registry.
//!
//! The files are docker's `config.json` and podman's `auth.json`, which have one format. The crate
//! docker_credential reads them too, but it waits for helpers without end, knows neither podman's
//! names with a repository nor their aliases, and writes nothing; `login` and `logout` need the
//! files and the helpers for writing anyway, so one place does both.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::http::Cancel;
use crate::reference::DEFAULT_REGISTRY;

mod file;
mod helper;

pub use file::{erase, store};

/// Under which name docker keeps what belongs to docker.io.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";
/// Other names of docker.io.
const HUB_ALIASES: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/// A text that no message and no log shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// What is shown to a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A user and a password.
    Password {
        /// The user.
        user: String,
        /// The password, or what a registry hands out in its place.
        password: Secret,
    },
    /// A token that a token service trades for others (OAuth2's refresh token).
    IdentityToken(Secret),
    /// A token that is shown as it is.
    RegistryToken(Secret),
}

/// Where credentials are found.
#[derive(Debug, Clone, Default)]
pub struct Keychain {
    /// By registry; these win.
    pub given: BTreeMap<String, Credential>,
    /// The text of such a file, from wherever; it comes before all files.
    pub text: Option<Secret>,
    /// Files of docker's or podman's; the first one that has a credential wins. Missing files are
    /// no error, and one that cannot be used counts only where no other one has a credential.
    pub files: Vec<PathBuf>,
}

/// Why credentials were not found, kept or removed.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// [`Cancel`] said so.
    #[error("cancelled")]
    Cancelled,
    /// The file cannot be read or written.
    #[error("the credentials in {path} cannot be used: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is no JSON object of docker's shape.
    #[error("the credentials in {path} are malformed: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, without quoting the file.
        reason: String,
    },
    /// A credential helper does not do its work.
    #[error("the credential helper {program} {reason}")]
    Helper {
        /// The program.
        program: String,
        /// What it did, without what it printed on standard output.
        reason: String,
    },
}

impl Keychain {
    /// The credential for a repository of a registry, if there is one. Blocks while a helper runs.
    ///
    /// # Errors
    /// [`CredentialsError`] when a file or helper that is asked fails.
    pub fn find(
        &self,
        registry: &str,
        repository: &str,
        cancel: &Cancel,
    ) -> Result<Option<Credential>, CredentialsError> {
        if let Some(given) = self.given.get(registry) {
            return Ok(Some(given.clone()));
        }
        let mut problem = None;
        let text = self.text.iter();
        let texts = text.map(|text| file::find_in(text.expose(), registry, repository, cancel));
        let files = self.files.iter();
        let files = files.map(|path| file::find(path, registry, repository, cancel));
        for found in texts.chain(files) {
            match found {
                Ok(Some(found)) => return Ok(Some(found)),
                Ok(None) => {}
                Err(CredentialsError::Cancelled) => return Err(CredentialsError::Cancelled),
                // Docker's helper may be missing where podman's file has all that is needed.
                Err(error) => problem = problem.or(Some(error)),
            }
        }
        problem.map_or(Ok(None), Err)
    }
}

/// The name under which docker keeps a registry's credential.
fn server(registry: &str) -> &str {
    match registry {
        DEFAULT_REGISTRY => DOCKER_HUB,
        other => other,
    }
}

/// Whether `key` of a file means `registry` as a whole: schemes and paths are ignored, as docker does.
fn names(key: &str, registry: &str) -> bool {
    let bare = key
        .strip_prefix("https://")
        .or_else(|| key.strip_prefix("http://"));
    let host = match bare {
        Some(bare) => bare.split('/').next().unwrap_or_default(),
        // Without a scheme, a path is a repository (podman).
        None => key,
    };
    host == registry || (registry == DEFAULT_REGISTRY && HUB_ALIASES.contains(&host))
}

#[cfg(test)]
mod tests;
