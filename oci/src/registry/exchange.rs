//! One exchange with a registry: which scheme to speak, the credentials that go along, redirects.
//! Unaware of what is asked; repetition after failures is `retry`'s.
//!
//! Two rules hold for every hop. Authorization goes to the registry's own scheme, host and port and
//! to nobody else (CVE-2020-15157). Nothing leads from https to plain http.

use std::sync::PoisonError;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Method, Response, StatusCode, Url};

use super::answer::refusal;
use super::endpoint::{Endpoint, Security};
use super::error::{Error, Result};
use super::retry::Attempts;
use super::session::{Session, Window};
use super::transport::{explain, host_of};
use super::upload_body::Upload;

/// Redirects that are followed.
const MOST_REDIRECTS: usize = 8;

/// What is asked.
pub(super) struct Request<'a> {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub payload: Payload<'a>,
    /// What a token must allow.
    pub scopes: Vec<String>,
    /// What messages call it.
    pub what: String,
    /// Until the answer begins.
    pub limit: Duration,
}

/// The body of a request, which can be made again.
pub(super) enum Payload<'a> {
    Empty,
    Bytes(Bytes),
    Stream(&'a (dyn Fn() -> Result<Upload> + Sync)),
}

impl<'a> Request<'a> {
    /// Without headers and body, to read.
    pub(super) fn new(method: Method, url: Url, endpoint: &Endpoint, session: &Session) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            payload: Payload::Empty,
            scopes: vec![endpoint.pull_scope()],
            what: format!("{}/{}", endpoint.registry, endpoint.repository),
            limit: session.settings.patience.answer,
        }
    }

    /// To read and write.
    pub(super) fn pushing(mut self, endpoint: &Endpoint) -> Self {
        self.scopes = vec![endpoint.push_scope()];
        self
    }

    /// Messages call it so.
    pub(super) fn called(mut self, what: impl Into<String>) -> Self {
        self.what = what.into();
        self
    }
}

impl Session {
    /// The address of `path` at an endpoint; finds out how to speak to it, where that is open.
    pub(super) async fn address(&self, endpoint: &Endpoint, path: &str) -> Result<Url> {
        let scheme = match endpoint.security {
            Security::Https => "https",
            Security::Http => "http",
            Security::Loopback | Security::Any => self.scheme(endpoint).await?,
        };
        endpoint.url(scheme, path)
    }

    async fn scheme(&self, endpoint: &Endpoint) -> Result<&'static str> {
        let schemes = || self.schemes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(scheme) = schemes().get(&endpoint.host) {
            return Ok(scheme);
        }
        let scheme = match self.probe(endpoint, "https").await {
            Ok(()) => "https",
            Err(Error::NotTls { .. }) => "http",
            // Some servers hang up on a greeting that they do not understand.
            Err(error) if error.is_passing() => match self.probe(endpoint, "http").await {
                Ok(()) => "http",
                Err(_) => return Err(error),
            },
            Err(error) => return Err(error),
        };
        schemes().insert(endpoint.host.clone(), scheme);
        Ok(scheme)
    }

    /// Whether anybody answers, whatever it is.
    async fn probe(&self, endpoint: &Endpoint, scheme: &str) -> Result<()> {
        let request = Request::new(Method::GET, endpoint.url(scheme, "")?, endpoint, self);
        let answer = self.hop(endpoint, &request, &request.url, None).await;
        answer.map(drop)
    }

    /// Asks, again after passing failures; any answer that is none of `hoped` is an error.
    pub(super) async fn ask(
        &self,
        endpoint: &Endpoint,
        request: &Request<'_>,
        hoped: &[StatusCode],
    ) -> Result<Response> {
        let mut attempts = Attempts::new(self, endpoint.is_mirror);
        loop {
            match self.ask_once(endpoint, request, hoped).await {
                Err(error) => attempts.failed(error).await?,
                answer => return answer,
            }
        }
    }

    /// As [`Session::ask`], once.
    pub(super) async fn ask_once(
        &self,
        endpoint: &Endpoint,
        request: &Request<'_>,
        hoped: &[StatusCode],
    ) -> Result<Response> {
        let response = self.authorized(endpoint, request).await?;
        if hoped.contains(&response.status()) {
            return Ok(response);
        }
        Err(refusal(self, &request.method, response, &request.what).await?)
    }

    /// The answer to a request, with what the registry demands of credentials.
    async fn authorized(&self, endpoint: &Endpoint, request: &Request<'_>) -> Result<Response> {
        let shown = self.authorization(endpoint, &request.scopes).await?;
        let response = self.follow(endpoint, request, shown.as_ref()).await?;
        let from_registry = same_origin(response.url(), &self.address(endpoint, "").await?);
        if response.status() != StatusCode::UNAUTHORIZED || !from_registry {
            return Ok(response);
        }
        let challenged = self.challenged(endpoint, response.headers(), &request.scopes);
        let response = match challenged.await? {
            // What was shown has expired, or nothing was shown.
            Some(other) if Some(&other) != shown.as_ref() => {
                self.follow(endpoint, request, Some(&other)).await?
            }
            _ => response,
        };
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        Err(self.unauthorized(endpoint, request, response).await?)
    }

    async fn unauthorized(
        &self,
        endpoint: &Endpoint,
        request: &Request<'_>,
        response: Response,
    ) -> Result<Error> {
        let error = refusal(self, &request.method, response, &request.what).await?;
        let Error::Denied { host, what, reason } = error else {
            return Ok(error);
        };
        Ok(Error::Denied {
            host,
            what,
            reason: format!("{reason}, {}", self.shown_credentials(endpoint)),
        })
    }

    /// The answer to a request at the end of its redirects.
    async fn follow(
        &self,
        endpoint: &Endpoint,
        request: &Request<'_>,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response> {
        let origin = self.address(endpoint, "").await?;
        let mut url = request.url.clone();
        refuse_downgrade(&origin, &url)?;
        for _ in 0..=MOST_REDIRECTS {
            let shown = authorization.filter(|_| same_origin(&origin, &url));
            let response = self.hop(endpoint, request, &url, shown).await?;
            if !is_redirect(response.status(), &request.method) {
                return Ok(response);
            }
            let next = location(&response)?;
            refuse_downgrade(&url, &next)?;
            tracing::debug!(from = host_of(&url), to = host_of(&next), "redirect");
            url = next;
        }
        Err(Error::Redirect {
            host: host_of(&request.url),
            reason: format!("more than {MOST_REDIRECTS} times"),
        })
    }

    /// One request to one address.
    pub(super) async fn hop(
        &self,
        endpoint: &Endpoint,
        request: &Request<'_>,
        url: &Url,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response> {
        let checked = endpoint.security != Security::Any || host_of(url) != endpoint.host;
        let client = self.transports.get(checked, &self.settings)?;
        let mut built = client
            .request(request.method.clone(), url.clone())
            .headers(request.headers.clone())
            .header(ACCEPT_ENCODING, "identity");
        if let Some(authorization) = authorization {
            built = built.header(AUTHORIZATION, authorization);
        }
        let answer = match &request.payload {
            Payload::Empty => self.within(request.limit, built.send()).await?,
            Payload::Bytes(bytes) => {
                self.within(request.limit, built.body(bytes.clone()).send())
                    .await?
            }
            Payload::Stream(open) => {
                let upload = open()?;
                return self.stream(request, url, built, upload).await;
            }
        };
        let answer = answer.ok_or_else(|| stalled(url, "an answer", request.limit))?;
        answer.map_err(|error| explain(&error, url))
    }

    /// Sends a body that is read while it is sent: it must move, and the answer comes in its time.
    async fn stream(
        &self,
        request: &Request<'_>,
        url: &Url,
        built: reqwest::RequestBuilder,
        upload: Upload,
    ) -> Result<Response> {
        let sent = upload.sent.clone();
        let mut answer = std::pin::pin!(built.body(upload.into_body()).send());
        let (mut window, mut before) = (Window::default(), 0);
        let patience = &self.settings.patience;
        while !sent.is_complete() {
            let step = patience.stall / 8;
            if let Some(answer) = self.within(step, &mut answer).await? {
                return sent.explain(answer, url);
            }
            let now = sent.bytes();
            window.moved(now - before, step);
            before = now;
            if window.stalled(patience.stall, patience.least) {
                return Err(stalled(url, "it to take more of a blob", patience.stall));
            }
        }
        let answer = self.within(request.limit, answer).await?;
        let answer = answer.ok_or_else(|| stalled(url, "an answer", request.limit))?;
        sent.explain(answer, url)
    }
}

fn stalled(url: &Url, what: &'static str, waited: Duration) -> Error {
    Error::Stalled {
        host: host_of(url),
        what,
        waited,
    }
}

/// Whether an answer sends `method` elsewhere. A body is only sent on where it must not change.
fn is_redirect(status: StatusCode, method: &Method) -> bool {
    let reads = matches!(*method, Method::GET | Method::HEAD);
    match status.as_u16() {
        301..=303 => reads,
        307 | 308 => true,
        _ => false,
    }
}

/// The address in an answer's `Location`, which may be relative.
pub(super) fn location(response: &Response) -> Result<Url> {
    let wrong = |reason: &str| Error::Redirect {
        host: host_of(response.url()),
        reason: reason.into(),
    };
    let location = response.headers().get(LOCATION);
    let location = location.ok_or_else(|| wrong("without saying where to"))?;
    let text = location.to_str().map_err(|_| wrong("to no address"))?;
    let url = response
        .url()
        .join(text)
        .map_err(|_| wrong("to no address"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(wrong(&format!("to a {} address", url.scheme())));
    }
    Ok(url)
}

fn refuse_downgrade(from: &Url, to: &Url) -> Result<()> {
    if from.scheme() == "https" && to.scheme() != "https" {
        return Err(Error::Redirect {
            host: host_of(from),
            reason: format!("from https to plain http, at {}", host_of(to)),
        });
    }
    Ok(())
}

/// Whether two addresses have the same scheme, host and port.
pub(super) fn same_origin(one: &Url, other: &Url) -> bool {
    one.origin() == other.origin()
}

#[cfg(test)]
mod tests {
    use super::super::authorize::check_realm;
    use super::*;

    #[test]
    fn nothing_leads_from_https_to_http() {
        let url = |text: &str| Url::parse(text).unwrap();
        let (secure, plain) = (
            url("https://a.example/v2/"),
            url("http://a.example/token?x=hidden"),
        );
        let error = refuse_downgrade(&secure, &plain).unwrap_err().to_string();
        assert_eq!(
            error,
            "a.example redirects from https to plain http, at a.example"
        );
        assert!(refuse_downgrade(&plain, &secure).is_ok());
        let error = check_realm(&secure, &plain).unwrap_err().to_string();
        let expected =
            "cannot get a token for a.example from http://a.example/token: it is not https";
        assert_eq!(error, expected);
        assert!(check_realm(&plain, &plain).is_ok());
        assert!(
            !same_origin(&secure, &plain) && !same_origin(&secure, &url("https://a.example:444/"))
        );
    }

    #[test]
    fn a_body_is_only_sent_on_where_it_must_not_change() {
        assert!(is_redirect(StatusCode::FOUND, &Method::GET));
        assert!(!is_redirect(StatusCode::FOUND, &Method::PUT));
        assert!(is_redirect(StatusCode::TEMPORARY_REDIRECT, &Method::PUT));
        assert!(!is_redirect(StatusCode::NOT_MODIFIED, &Method::GET));
    }
}
