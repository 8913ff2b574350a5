//! One exchange with a registry: which scheme to speak, and the credentials that go along. Unaware of what is asked.

use std::time::Duration;

use super::Client;
use super::answer::refusal;
use super::endpoint::{Endpoint, Security};
use super::error::{Error, Result};
use crate::http::{self, Answer, Attempts, Method, Redirects, StatusCode, Url, same_origin};
use crate::lock::locked;

/// What is asked.
pub(super) struct Request<'a> {
    pub http: http::Request<'a>,
    /// What a token must allow.
    pub scopes: Vec<String>,
    /// What messages call it.
    pub what: String,
}

impl Request<'_> {
    /// To read and write.
    pub(super) fn pushing(mut self, endpoint: &Endpoint) -> Self {
        self.scopes = vec![endpoint.push_scope()];
        self
    }

    /// To read and delete.
    pub(super) fn deleting(mut self, endpoint: &Endpoint) -> Self {
        self.scopes = vec![endpoint.delete_scope()];
        self
    }

    /// Messages call it so.
    pub(super) fn called(mut self, what: impl Into<String>) -> Self {
        self.what = what.into();
        self
    }
}

impl Client {
    /// A request for `path` of an endpoint, without headers and body, to read.
    pub(super) fn request<'a>(
        &self,
        method: Method,
        endpoint: &Endpoint,
        path: &str,
    ) -> Result<Request<'a>> {
        self.request_at(method, endpoint, self.address(endpoint, path)?)
    }

    /// The same for an address that the registry gave.
    pub(super) fn request_at<'a>(
        &self,
        method: Method,
        endpoint: &Endpoint,
        url: Url,
    ) -> Result<Request<'a>> {
        let mut http = http::Request::new(&self.0.http, method, url);
        http.origin = self.address(endpoint, "")?;
        http.unchecked = endpoint.unchecked();
        Ok(Request {
            http,
            scopes: vec![endpoint.pull_scope()],
            what: format!("{}/{}", endpoint.registry, endpoint.repository),
        })
    }

    /// The address of `path` at an endpoint; finds out how to speak to it, where that is open.
    pub(super) fn address(&self, endpoint: &Endpoint, path: &str) -> Result<Url> {
        let scheme = match endpoint.security {
            Security::Https => "https",
            Security::Http => "http",
            Security::Loopback | Security::Any => self.scheme(endpoint)?,
        };
        endpoint.url(scheme, path)
    }

    fn scheme(&self, endpoint: &Endpoint) -> Result<&'static str> {
        let schemes = &self.0.schemes;
        if let Some(scheme) = locked(schemes).get(&endpoint.host) {
            return Ok(scheme);
        }
        let answer = self.0.http.settings().patience.answer;
        let scheme = match self.probe(endpoint, "https", answer) {
            Ok(()) => "https",
            Err(Error::Http(http::Error::NotTls { .. })) => "http",
            // Some servers hang up on a greeting that they do not understand, or wait for more of it.
            Err(Error::Http(secure)) if secure.is_passing() => {
                let left = answer.saturating_sub(secure.silence());
                let probed = self.probe(endpoint, "http", left);
                probed.map_err(|plain| match plain {
                    Error::Http(plain) => secure.or_longer(plain).into(),
                    plain => plain,
                })?;
                "http"
            }
            Err(error) => return Err(error),
        };
        locked(schemes).insert(endpoint.host.clone(), scheme);
        Ok(scheme)
    }

    /// Whether anybody answers, whatever it is.
    fn probe(&self, endpoint: &Endpoint, scheme: &str, limit: Duration) -> Result<()> {
        let url = endpoint.url(scheme, "")?;
        let mut request = http::Request::new(&self.0.http, Method::GET, url);
        request.redirects = Redirects::Return;
        request.limit = limit;
        request.unchecked = endpoint.unchecked();
        Ok(self.0.http.send(&request, None).map(drop)?)
    }

    /// Asks, again after passing failures; any answer but those of `hoped` is an error.
    pub(super) fn ask(
        &self,
        endpoint: &Endpoint,
        request: &Request<'_>,
        hoped: &[StatusCode],
    ) -> Result<Answer> {
        let mut attempts = Attempts::new(&self.0.http, endpoint.is_mirror);
        loop {
            match self.ask_once(endpoint, request, hoped) {
                Err(Error::Http(error)) => attempts.failed(error)?,
                end => return end,
            }
        }
    }

    /// As [`Client::ask`], once.
    pub(super) fn ask_once(
        &self,
        endpoint: &Endpoint,
        request: &Request<'_>,
        hoped: &[StatusCode],
    ) -> Result<Answer> {
        let answer = self.authorized(endpoint, request)?;
        match hoped.contains(&answer.status()) {
            true => Ok(answer),
            false => Err(refusal(answer, &request.what)?),
        }
    }

    /// The answer to a request, with what the registry demands of credentials.
    fn authorized(&self, endpoint: &Endpoint, request: &Request<'_>) -> Result<Answer> {
        let shown = self.authorization(endpoint, &request.scopes)?;
        let mut answer = self.0.http.send(&request.http, shown.as_ref())?;
        let is_refused = |answer: &Answer| answer.status() == StatusCode::UNAUTHORIZED;
        if !is_refused(&answer) || !same_origin(answer.url(), &request.http.origin) {
            return Ok(answer);
        }
        // What was shown has expired, or nothing was shown.
        let challenged = self.challenged(endpoint, answer.headers(), &request.scopes)?;
        if let Some(other) = challenged.filter(|other| Some(other) != shown.as_ref()) {
            answer = self.0.http.send(&request.http, Some(&other))?;
        }
        if !is_refused(&answer) {
            return Ok(answer);
        }
        Err(match refusal(answer, &request.what)? {
            Error::Denied { host, what, reason } => Error::Denied {
                host,
                what,
                reason: format!("{reason}, {}", self.shown_credentials(endpoint)),
            },
            error => error,
        })
    }
}
