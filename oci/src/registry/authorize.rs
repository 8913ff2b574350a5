//! What a registry demands before it answers: Basic, or Bearer tokens of a token service
//! (distribution's "Token Authentication Specification", and its OAuth2 variant for identity
//! tokens). Unaware of what is asked of the registry afterwards.
//!
//! Credentials are looked up only once a registry asks for some; without any, a token service is
//! asked for an anonymous token. Tokens are kept in memory, a little less long than they live.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Client;
use super::challenge::{Challenge, TokenService};
use super::credentials::{Credential, CredentialsError};
use super::endpoint::Endpoint;
use super::error::{Error, Result};
use crate::http::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use crate::http::{self, Url, host_of, without_query};
use crate::lock::locked;

/// How much earlier than it says a token is renewed: a request takes time.
const MARGIN: Duration = Duration::from_secs(5);

/// What is known of each repository's demands.
#[derive(Default)]
pub(super) struct Authorizations {
    known: Mutex<BTreeMap<String, Known>>,
    /// Held while a token is fetched, so that parallel transfers need one.
    fetching: tokio::sync::Mutex<()>,
}

impl std::fmt::Debug for Authorizations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authorizations")
    }
}

#[derive(Default)]
struct Known {
    challenge: Option<Challenge>,
    /// By the scopes asked for.
    tokens: BTreeMap<String, Token>,
    /// Once looked up.
    credential: Option<Option<Credential>>,
    /// Why the look-up failed; access without credentials was tried then.
    problem: Option<String>,
}

/// What goes into the header, until when.
pub(super) struct Token {
    pub header: HeaderValue,
    pub expires: Instant,
}

impl Client {
    /// Does `look` with what is known of a repository.
    fn known<T>(&self, endpoint: &Endpoint, look: impl FnOnce(&mut Known) -> T) -> T {
        // Credentials may differ by repository: podman's files say so.
        let key = format!("{}/{}", endpoint.host, endpoint.repository);
        look(locked(&self.0.authorizations.known).entry(key).or_default())
    }

    /// What to show at once: what this repository is known to demand.
    pub(super) fn authorization(
        &self,
        endpoint: &Endpoint,
        scopes: &[String],
    ) -> Result<Option<HeaderValue>> {
        match self.known(endpoint, |known| known.challenge.clone()) {
            None => Ok(None),
            Some(challenge) => self.respond(endpoint, &challenge, scopes),
        }
    }

    /// What to show after a refusal; `None` when there is nothing to show.
    pub(super) fn challenged(
        &self,
        endpoint: &Endpoint,
        headers: &HeaderMap,
        scopes: &[String],
    ) -> Result<Option<HeaderValue>> {
        let Some(challenge) = Challenge::strongest(headers.get_all(WWW_AUTHENTICATE)) else {
            return Ok(None);
        };
        self.known(endpoint, |known| {
            // What was shown is refused, whatever its date said.
            known.tokens.remove(&scopes.join(" "));
            known.challenge = Some(challenge.clone());
        });
        self.respond(endpoint, &challenge, scopes)
    }

    /// Says which credentials were shown, for a message.
    pub(super) fn shown_credentials(&self, endpoint: &Endpoint) -> String {
        self.known(endpoint, |known| {
            match (&known.problem, &known.credential) {
                (Some(problem), _) => format!("asked without credentials, because {problem}"),
                (None, Some(Some(Credential::Password { user, .. }))) => {
                    format!("asked as {user:?}")
                }
                (None, Some(Some(_))) => "asked with a token".into(),
                (None, _) => "asked without credentials".into(),
            }
        })
    }

    fn respond(
        &self,
        endpoint: &Endpoint,
        challenge: &Challenge,
        scopes: &[String],
    ) -> Result<Option<HeaderValue>> {
        if let Challenge::Bearer(service) = challenge {
            return self.token(endpoint, service, scopes).map(Some);
        }
        match self.credential(endpoint)? {
            Some(Credential::Password { user, password }) => {
                basic(&user, password.expose()).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// A token for `scopes`: the one that is known, else a new one.
    fn token(
        &self,
        endpoint: &Endpoint,
        service: &TokenService,
        scopes: &[String],
    ) -> Result<HeaderValue> {
        let name = scopes.join(" ");
        let _one = self.0.http.wait(self.0.authorizations.fetching.lock())?;
        let valid = |token: &&Token| token.expires > Instant::now();
        let held = |known: &mut Known| Some(known.tokens.get(&name).filter(valid)?.header.clone());
        if let Some(header) = self.known(endpoint, held) {
            return Ok(header);
        }
        let credential = self.credential(endpoint)?;
        if let Some(Credential::RegistryToken(token)) = &credential {
            return bearer(token.expose());
        }
        let token = self.fetch_token(endpoint, service, scopes, credential.as_ref())?;
        let header = token.header.clone();
        self.known(endpoint, |known| known.tokens.insert(name, token));
        Ok(header)
    }

    /// The credential of a repository, looked up once. If the look-up fails, access is tried without a credential; the reason is told when
    /// that is refused.
    fn credential(&self, endpoint: &Endpoint) -> Result<Option<Credential>> {
        if let Some(found) = self.known(endpoint, |known| known.credential.clone()) {
            return Ok(found);
        }
        let (keychain, cancel) = (&self.0.settings.keychain, &self.0.http.settings().cancel);
        let looked_up = keychain.find(&endpoint.registry, &endpoint.repository, cancel);
        let (credential, problem) = match looked_up {
            Ok(credential) => (credential, None),
            Err(CredentialsError::Cancelled) => return Err(http::Error::Cancelled.into()),
            Err(error) => (None, Some(error.to_string())),
        };
        self.known(endpoint, |known| {
            known.problem = problem;
            known.credential = Some(credential.clone());
        });
        Ok(credential)
    }
}

impl Token {
    /// A token that lives for `seconds` from now.
    pub(super) fn new(text: &str, seconds: u64) -> Result<Self> {
        let life = Duration::from_secs(seconds.min(24 * 3600)).saturating_sub(MARGIN);
        Ok(Self {
            header: bearer(text)?,
            expires: Instant::now() + life,
        })
    }
}

pub(super) fn basic(user: &str, password: &str) -> Result<HeaderValue> {
    let encoded = STANDARD.encode(format!("{user}:{password}"));
    header(&format!("Basic {encoded}"))
}

fn bearer(token: &str) -> Result<HeaderValue> {
    header(&format!("Bearer {token}"))
}

fn header(text: &str) -> Result<HeaderValue> {
    let wrong = |_| http::Error::Setting {
        what: "a token or password",
        reason: "it has bytes that no header may have".into(),
    };
    let mut value = HeaderValue::from_str(text).map_err(wrong)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Passwords are sent to a token service over https only, unless the registry itself is plain http.
pub(super) fn check_realm(registry: &Url, realm: &Url) -> Result<()> {
    if realm.scheme() == "https" || registry.scheme() == "http" {
        return Ok(());
    }
    Err(Error::Token {
        host: host_of(registry),
        realm: without_query(realm),
        reason: "it is not https".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_go_to_token_services_by_https() {
        let url = |text: &str| Url::parse(text).unwrap();
        let (secure, plain) = (
            url("https://a.example/v2/"),
            url("http://a.example/token?x=hidden"),
        );
        let error = check_realm(&secure, &plain).unwrap_err().to_string();
        let expected =
            "cannot get a token for a.example from http://a.example/token: it is not https";
        assert_eq!(error, expected);
        assert!(check_realm(&plain, &plain).is_ok());
    }
}
