//! Where a repository is served: from the name of a registry to the address of its API, by way of
//! mirrors. Unaware of requests.

use std::net::IpAddr;

use super::Settings;
use super::error::Result;
use crate::http::{self, Url};
use crate::reference::{DEFAULT_REGISTRY, Reference};

/// Who serves `docker.io`.
const DOCKER_HUB: &str = "registry-1.docker.io";

/// A repository at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// Host, and port where it is not the usual one.
    pub host: String,
    /// Under which name credentials are looked up, and which messages name.
    pub registry: String,
    /// The repository, with a mirror's prefix.
    pub repository: String,
    /// How it may be spoken to.
    pub security: Security,
    /// Whether another place follows that may be asked when this one fails.
    pub is_mirror: bool,
}

/// How a host may be spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Security {
    /// https with a certificate that is checked.
    Https,
    /// Plain http, as the configuration says.
    Http,
    /// https with a certificate that is checked, else plain http: loopback addresses.
    Loopback,
    /// https with any certificate, else plain http: `--insecure-registry`.
    Any,
}

impl Endpoint {
    /// Where `reference` is pulled from, in the order in which to ask.
    pub(super) fn for_pull(reference: &Reference, settings: &Settings) -> Vec<Self> {
        let mirrors = settings.mirrors.get(&reference.registry);
        let mirror = |mirror: &super::configuration::Mirror| {
            let open = || security(&mirror.host, settings);
            Self {
                host: mirror.host.clone(),
                registry: mirror.host.clone(),
                repository: join(&mirror.prefix, &reference.repository),
                security: match mirror.plain {
                    Some(true) => Security::Http,
                    Some(false) if open() == Security::Loopback => Security::Https,
                    _ => open(),
                },
                is_mirror: true,
            }
        };
        let mirrors = mirrors.into_iter().flatten().map(mirror);
        let mut all: Vec<Self> = mirrors.chain([Self::origin(reference, settings)]).collect();
        for endpoint in all.iter_mut().filter(|_| settings.insecure_pulls) {
            endpoint.security = Security::Any;
        }
        all
    }

    /// The registry that `reference` itself names.
    pub(super) fn origin(reference: &Reference, settings: &Settings) -> Self {
        Self {
            repository: reference.repository.clone(),
            ..Self::of_registry(&reference.registry, settings)
        }
    }

    /// A registry as a whole.
    pub(super) fn of_registry(registry: &str, settings: &Settings) -> Self {
        let host = match registry {
            DEFAULT_REGISTRY => DOCKER_HUB,
            other => other,
        };
        Self {
            host: host.into(),
            registry: registry.into(),
            repository: String::new(),
            security: security(registry, settings),
            is_mirror: false,
        }
    }

    /// The address of `path` in the API, with `scheme`.
    pub(super) fn url(&self, scheme: &str, path: &str) -> Result<Url> {
        let url = format!("{scheme}://{}/v2/{path}", self.host);
        let wrong = |error| http::Error::Setting {
            what: "the registry's name",
            reason: format!("{:?} is no host: {error}", self.host),
        };
        Ok(Url::parse(&url).map_err(wrong)?)
    }

    /// The host, where it may show any certificate.
    pub(super) fn unchecked(&self) -> Option<String> {
        Some(self.host.clone()).filter(|_| self.security == Security::Any)
    }

    /// The path of something in the repository: `manifests/latest`.
    pub(super) fn path(&self, rest: &str) -> String {
        format!("{}/{rest}", self.repository)
    }

    /// What is asked of a token service to read.
    pub(super) fn pull_scope(&self) -> String {
        format!("repository:{}:pull", self.repository)
    }

    /// What is asked of a token service to read and delete.
    pub(super) fn delete_scope(&self) -> String {
        format!("repository:{}:pull,delete", self.repository)
    }

    /// What is asked of a token service to read and write.
    pub(super) fn push_scope(&self) -> String {
        format!("repository:{}:pull,push", self.repository)
    }
}

fn join(prefix: &str, repository: &str) -> String {
    if prefix.is_empty() {
        return repository.into();
    }
    format!("{prefix}/{repository}")
}

fn security(registry: &str, settings: &Settings) -> Security {
    let host = without_port(registry);
    let named = |name: &String| name == registry || name == host;
    if settings.all_insecure || settings.insecure.iter().any(named) {
        Security::Any
    } else if is_loopback(registry) {
        Security::Loopback
    } else {
        Security::Https
    }
}

fn without_port(registry: &str) -> &str {
    match registry.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => host,
        _ => registry,
    }
}

/// Whether `registry`, a host with an optional port, is this machine.
pub(super) fn is_loopback(registry: &str) -> bool {
    let host = without_port(registry).trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::super::configuration::Configuration;
    use super::*;

    fn pull(reference: &str, settings: &Settings) -> Vec<(String, Security, String)> {
        let endpoints = Endpoint::for_pull(&Reference::parse(reference).unwrap(), settings);
        let shown = |e: Endpoint| (e.host.clone(), e.security, e.repository);
        endpoints.into_iter().map(shown).collect()
    }

    #[test]
    fn pulls_may_be_insecure_and_pushes_not() {
        let settings = Settings {
            insecure_pulls: true,
            ..Settings::default()
        };
        assert_eq!(pull("lan/a", &settings)[0].1, Security::Any);
        let reference = Reference::parse("lan/a").unwrap();
        assert_eq!(
            Endpoint::origin(&reference, &settings).security,
            Security::Https
        );
    }

    #[test]
    fn names_become_hosts() {
        let settings = Settings {
            insecure: vec!["lan".into(), "other:1".into()],
            ..Settings::default()
        };
        for (reference, host, security, repository) in [
            ("alpine", DOCKER_HUB, Security::Https, "library/alpine"),
            ("ghcr.io/a/b", "ghcr.io", Security::Https, "a/b"),
            (
                "localhost:5000/a",
                "localhost:5000",
                Security::Loopback,
                "a",
            ),
            ("127.9.9.9/a", "127.9.9.9", Security::Loopback, "a"),
            ("[::1]:5000/a", "[::1]:5000", Security::Loopback, "a"),
            ("[::2]/a", "[::2]", Security::Https, "a"),
            (
                "localhost.example/a",
                "localhost.example",
                Security::Https,
                "a",
            ),
            ("lan/a", DOCKER_HUB, Security::Https, "lan/a"),
            ("lan:5000/a", "lan:5000", Security::Any, "a"),
            ("other:1/a", "other:1", Security::Any, "a"),
            ("other:2/a", "other:2", Security::Https, "a"),
        ] {
            assert_eq!(
                pull(reference, &settings),
                [(host.to_owned(), security, repository.to_owned())]
            );
        }
    }

    #[test]
    fn mirrors_come_first_and_only_for_pulls() {
        let json = r#"{"mirrors":{"docker.io":["https://m.example/hub","http://localhost:5000"]}}"#;
        let settings = Settings {
            mirrors: Configuration::parse(json.as_bytes()).unwrap().mirrors,
            ..Settings::default()
        };
        let found = pull("alpine", &settings);
        assert_eq!(found[0].0, "m.example");
        assert_eq!(found[0].2, "hub/library/alpine");
        assert_eq!(
            (found[1].0.as_str(), found[1].1),
            ("localhost:5000", Security::Http)
        );
        assert_eq!(found[2].0, DOCKER_HUB);
        let reference = Reference::parse("alpine").unwrap();
        assert!(!Endpoint::origin(&reference, &settings).is_mirror);
    }
}
