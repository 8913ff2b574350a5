//! What a registry demands before it answers: Basic, or Bearer tokens of a token service
//! (distribution's "Token Authentication Specification", and its OAuth2 variant for identity
//! tokens). Unaware of what is asked of the registry afterwards.
//!
//! Credentials are looked up only once a registry asks for some; without any, a token service is
//! asked for an anonymous token. Tokens are kept in memory, a little less long than they live.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};

use super::challenge::Challenge;
use super::credentials::{Credential, CredentialsError};
use super::endpoint::Endpoint;
use super::error::{Error, Result};
use super::session::Session;
use super::transport::{host_of, without_query};

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

impl Session {
    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        self.authorizations
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// What to show at once: what this repository is known to demand.
    pub(super) async fn authorization(
        &self,
        endpoint: &Endpoint,
        scopes: &[String],
    ) -> Result<Option<HeaderValue>> {
        let challenge = self
            .known()
            .get(&key(endpoint))
            .and_then(|known| known.challenge.clone());
        match challenge {
            None => Ok(None),
            Some(challenge) => self.respond(endpoint, &challenge, scopes).await,
        }
    }

    /// What to show after a refusal; `None` when there is nothing to show.
    pub(super) async fn challenged(
        &self,
        endpoint: &Endpoint,
        headers: &HeaderMap,
        scopes: &[String],
    ) -> Result<Option<HeaderValue>> {
        let Some(challenge) = Challenge::strongest(headers.get_all(WWW_AUTHENTICATE)) else {
            return Ok(None);
        };
        {
            let mut known = self.known();
            let known = known.entry(key(endpoint)).or_default();
            // What was shown is refused, whatever its date said.
            known.tokens.remove(&scopes.join(" "));
            known.challenge = Some(challenge.clone());
        }
        self.respond(endpoint, &challenge, scopes).await
    }

    /// Says which credentials were shown, for a message.
    pub(super) fn shown_credentials(&self, endpoint: &Endpoint) -> String {
        let known = self.known();
        let known = known.get(&key(endpoint));
        if let Some(problem) = known.and_then(|known| known.problem.as_ref()) {
            return format!("asked without credentials, because {problem}");
        }
        match known.and_then(|known| known.credential.as_ref()) {
            Some(Some(Credential::Password { user, .. })) => format!("asked as {user:?}"),
            Some(Some(_)) => "asked with a token".into(),
            _ => "asked without credentials".into(),
        }
    }

    async fn respond(
        &self,
        endpoint: &Endpoint,
        challenge: &Challenge,
        scopes: &[String],
    ) -> Result<Option<HeaderValue>> {
        if let Challenge::Basic = challenge {
            return match self.credential(endpoint)? {
                Some(Credential::Password { user, password }) => {
                    basic(&user, password.expose()).map(Some)
                }
                _ => Ok(None),
            };
        }
        let name = scopes.join(" ");
        let _one = self.wait(self.authorizations.fetching.lock()).await?;
        if let Some(token) = self
            .known()
            .get(&key(endpoint))
            .and_then(|known| known.tokens.get(&name))
            .filter(|token| token.expires > Instant::now())
        {
            return Ok(Some(token.header.clone()));
        }
        let credential = self.credential(endpoint)?;
        if let Some(Credential::RegistryToken(token)) = &credential {
            return bearer(token.expose()).map(Some);
        }
        let token = self
            .fetch_token(endpoint, challenge, scopes, credential.as_ref())
            .await?;
        let header = token.header.clone();
        let mut known = self.known();
        let tokens = &mut known.entry(key(endpoint)).or_default().tokens;
        tokens.insert(name, token);
        Ok(Some(header))
    }

    /// The credential of a repository, looked up once. Where the look-up fails, access is tried
    /// without; the reason is told if that is refused.
    fn credential(&self, endpoint: &Endpoint) -> Result<Option<Credential>> {
        if let Some(found) = self
            .known()
            .get(&key(endpoint))
            .and_then(|known| known.credential.clone())
        {
            return Ok(found);
        }
        let keychain = &self.settings.keychain;
        let looked_up = keychain.find(
            &endpoint.registry,
            &endpoint.repository,
            &self.settings.cancel,
        );
        let (credential, problem) = match looked_up {
            Ok(credential) => (credential, None),
            Err(CredentialsError::Cancelled) => return Err(Error::Cancelled),
            Err(error) => (None, Some(error.to_string())),
        };
        let mut known = self.known();
        let known = known.entry(key(endpoint)).or_default();
        known.problem = problem;
        known.credential = Some(credential.clone());
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

/// Credentials may differ by repository: podman's files say so.
fn key(endpoint: &Endpoint) -> String {
    format!("{}/{}", endpoint.host, endpoint.repository)
}

pub(super) fn basic(user: &str, password: &str) -> Result<HeaderValue> {
    let encoded = STANDARD.encode(format!("{user}:{password}"));
    header(&format!("Basic {encoded}"))
}

fn bearer(token: &str) -> Result<HeaderValue> {
    header(&format!("Bearer {token}"))
}

fn header(text: &str) -> Result<HeaderValue> {
    let wrong = |_| Error::Setting {
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
