//! The http client: makes it, asks, downloads into a file. Bounded in time, size and tries; unaware of stores and layers.
//!
//! Certificate authorities come from the system, or from `SSL_CERT_FILE` and `SSL_CERT_DIR`: rustls reads those itself.
//! Credentials never follow a redirect to another host (reqwest drops them), and none leads from https to http.

mod answer;
mod date;

use super::address;
use crate::event::cancel::Cancel;
use crate::failure::FetchError;
use crate::request::policy::Policy;
use crate::source::fetch::address::redacted;
use crate::source::policy;
use answer::{Failed, broken, header, refused};
use kiln_cache::Fetched;
use kiln_oci::Digest;
use kiln_oci::registry::Proxies;
use reqwest::blocking::{Client, ClientBuilder, Response};
use reqwest::header::{
    ACCEPT_ENCODING, AUTHORIZATION, ETAG, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH,
};
use reqwest::{Method, StatusCode, Url, redirect};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// Redirects in a row, as browsers allow.
const MAX_REDIRECTS: usize = 10;
/// How often a waiting build looks whether it was stopped.
const TICK: Duration = Duration::from_millis(50);
/// What may be undone on the way: Go's client, and so BuildKit, asks for this and no other. Servers that compress on demand show
/// another `ETag` to those who do not ask for it.
const ENCODING: HeaderValue = HeaderValue::from_static("gzip");

/// What is allowed.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Until a connection is there.
    pub connect: Duration,
    /// Without a byte.
    pub stall: Duration,
    /// Tries in all.
    pub tries: u32,
    /// Before the second try; doubled for each further one.
    pub pause: Duration,
    /// The longest pause, also when the server asks for a longer one.
    pub longest_pause: Duration,
    /// Bytes of one file.
    pub size: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connect: Duration::from_secs(20),
            stall: Duration::from_secs(60),
            tries: 4,
            pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(20),
            size: 64 << 30,
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    url: Url,
    authorization: Option<HeaderValue>,
}

impl Request {
    /// A request for an http(s) address, with the value of an `Authorization` header.
    ///
    /// # Errors
    /// When the address is none, or the value cannot stand in a header.
    pub fn new(address: &str, authorization: Option<&str>) -> Result<Self, FetchError> {
        let wrong = |message: String| FetchError::Address {
            url: redacted(address),
            message,
        };
        let url = address::parse(address).map_err(wrong)?;
        let authorization = authorization
            .map(HeaderValue::from_str)
            .transpose()
            .map_err(|_| wrong("its credentials cannot be sent in a header".to_owned()))?
            .map(|mut value| {
                value.set_sensitive(true);
                value
            });
        Ok(Request { url, authorization })
    }

    /// The host's name, without port.
    #[must_use]
    pub fn host(address: &str) -> Option<String> {
        Url::parse(address).ok()?.host_str().map(str::to_owned)
    }

    fn shown(&self) -> String {
        redacted(self.url.as_str())
    }
}

/// A file that was downloaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Downloaded {
    /// sha256 of its content.
    pub sha256: Digest,
    /// Bytes.
    pub size: u64,
    /// `ETag`.
    pub etag: Option<String>,
    /// `Last-Modified` as it came.
    pub last_modified: Option<String>,
    /// `Last-Modified`, in seconds since 1970.
    pub modified: Option<i64>,
    /// `Date`, in seconds since 1970.
    pub date: Option<i64>,
}

/// What tells the version that is held from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Validator {
    /// Its `ETag`.
    Tag(String),
    /// Its `Last-Modified`.
    Since(String),
}

impl Validator {
    /// That of a file in the store, if it has any.
    #[must_use]
    pub fn of(held: &Fetched) -> Option<Self> {
        let tag = held.etag.clone().map(Validator::Tag);
        tag.or_else(|| held.last_modified.clone().map(Validator::Since))
    }
}

/// A client.
#[derive(Debug, Clone)]
pub struct Web {
    client: Client,
    limits: Limits,
}

impl Web {
    /// Makes a client.
    ///
    /// # Errors
    /// When the system offers no TLS.
    #[cfg(test)]
    pub fn new(limits: Limits) -> Result<Self, FetchError> {
        Web::judged(limits, &Proxies::default(), &[])
    }

    /// Makes a client that follows no redirect which a source policy denies.
    ///
    /// # Errors
    /// When the system offers no TLS, or a proxy is none.
    pub fn judged(
        limits: Limits,
        proxies: &Proxies,
        policies: &[Policy],
    ) -> Result<Self, FetchError> {
        // Another part of the process may have chosen already: then that choice holds.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let proxies = proxies
            .all()
            .map_err(|error| FetchError::Tls(crate::failure::chain_of_causes(&error)))?;
        let builder = || {
            let builder = builder(limits, policies).no_proxy();
            proxies.iter().cloned().fold(builder, ClientBuilder::proxy)
        };
        let made = builder().build();
        // Without any certificate authority http still works, and https says what is wrong.
        let client = made.or_else(|_| builder().tls_certs_only([]).build());
        let client =
            client.map_err(|error| FetchError::Tls(crate::failure::chain_of_causes(&error)))?;
        Ok(Web { client, limits })
    }

    /// Whether the other side still has the version that is held: one request without content. Not being told means no.
    ///
    /// # Errors
    /// When the build is stopped.
    pub fn is_unchanged(
        &self,
        cancel: &Cancel,
        request: &Request,
        held: &Validator,
    ) -> Result<bool, FetchError> {
        let (web, request, held) = (self.clone(), request.clone(), held.clone());
        interruptible(cancel, move || {
            let Ok(answer) = web.send(Method::HEAD, &request, Some(&held)) else {
                return false;
            };
            let told = header(answer.headers(), &ETAG);
            match (answer.status(), told, &held) {
                (StatusCode::NOT_MODIFIED, None, _) => true,
                (StatusCode::NOT_MODIFIED, Some(_), Validator::Since(_)) => true,
                (StatusCode::NOT_MODIFIED | StatusCode::OK, Some(told), Validator::Tag(held)) => {
                    strong(&told) == strong(held)
                }
                _ => false,
            }
        })
    }

    /// Downloads into the file `into`, which is made anew for each try. `None` when the other side still has what is held.
    ///
    /// # Errors
    /// When it cannot be had in the number of tries.
    pub fn download(
        &self,
        cancel: &Cancel,
        request: &Request,
        held: Option<&Validator>,
        into: &Path,
    ) -> Result<Option<Downloaded>, FetchError> {
        let mut pause = self.limits.pause;
        let mut tries = 1;
        loop {
            let (web, request, stop) = (self.clone(), request.clone(), cancel.clone());
            let (held, into): (Option<Validator>, PathBuf) = (held.cloned(), into.into());
            let tried = interruptible(cancel, move || {
                web.try_download(&stop, &request, held.as_ref(), &into)
            })?;
            match tried {
                Ok(done) => return Ok(done),
                Err(Failed {
                    again: Some(asked), ..
                }) if tries < self.limits.tries => {
                    wait(
                        cancel,
                        asked.unwrap_or(pause).min(self.limits.longest_pause),
                    )?;
                }
                Err(failed) => return Err(failed.error),
            }
            tries += 1;
            pause *= 2;
        }
    }

    fn send(
        &self,
        method: Method,
        request: &Request,
        held: Option<&Validator>,
    ) -> Result<Response, reqwest::Error> {
        let mut builder = self.client.request(method, request.url.clone());
        builder = builder.header(ACCEPT_ENCODING, ENCODING);
        if let Some(authorization) = &request.authorization {
            builder = builder.header(AUTHORIZATION, authorization.clone());
        }
        let builder = match held {
            Some(Validator::Tag(etag)) => builder.header(IF_NONE_MATCH, etag),
            Some(Validator::Since(date)) => builder.header(IF_MODIFIED_SINCE, date),
            None => builder,
        };
        builder.send()
    }

    fn try_download(
        &self,
        cancel: &Cancel,
        request: &Request,
        held: Option<&Validator>,
        into: &Path,
    ) -> Result<Option<Downloaded>, Failed> {
        let answer = self
            .send(Method::GET, request, held)
            .map_err(|error| broken(request, &error))?;
        let status = answer.status();
        if status == StatusCode::NOT_MODIFIED && held.is_some() {
            return Ok(None);
        }
        if !status.is_success() {
            return Err(refused(request, status, answer.headers()));
        }
        answer::receive(cancel, request, answer, self.limits.size, into).map(Some)
    }
}

fn builder(limits: Limits, policies: &[Policy]) -> reqwest::blocking::ClientBuilder {
    let policies = policies.to_vec();
    let policy = redirect::Policy::custom(move |attempt| {
        let was_secure = attempt
            .previous()
            .last()
            .is_some_and(|url| url.scheme() == "https");
        if attempt.previous().len() > MAX_REDIRECTS {
            attempt.error("too many redirects")
        } else if was_secure && attempt.url().scheme() != "https" {
            attempt.error("a redirect leads from https to http")
        } else if let Err(refusal) = policy::redirect(&policies, attempt.url()) {
            attempt.error(refusal)
        } else {
            attempt.follow()
        }
    });
    Client::builder()
        .user_agent(concat!("kiln/", env!("CARGO_PKG_VERSION")))
        .redirect(policy)
        .connect_timeout(limits.connect)
        // Of the blocking client: for the head of the answer, and for each read after that.
        .timeout(limits.stall)
}

/// An `ETag` without the mark of weak ones: what changed is what counts.
fn strong(etag: &str) -> &str {
    etag.strip_prefix("W/").unwrap_or(etag)
}

/// The causes of an error without the address, which reqwest may show with credentials.
pub(crate) fn reason(error: &reqwest::Error) -> String {
    let mut causes = Vec::new();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        causes.push(error.to_string());
        cause = error.source();
    }
    if error.is_timeout() {
        "no answer in time".to_owned()
    } else if causes.is_empty() {
        "the request failed".to_owned()
    } else {
        causes.join(": ")
    }
}

/// Does `work` on a thread of its own, which is left behind when the build is stopped: a read may block for as long as the
/// limits allow.
pub(crate) fn interruptible<T: Send + 'static>(
    cancel: &Cancel,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, FetchError> {
    let (sender, receiver) = channel();
    let work = move || {
        // Nobody listens any more when the build was stopped.
        let _ = sender.send(work());
    };
    let thread = std::thread::Builder::new().spawn(work);
    thread.map_err(FetchError::Thread)?;
    loop {
        match receiver.recv_timeout(TICK) {
            Ok(done) => return Ok(done),
            Err(RecvTimeoutError::Disconnected) => return Err(FetchError::Cancelled),
            Err(RecvTimeoutError::Timeout) if cancel.requested() => {
                return Err(FetchError::Cancelled);
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

pub(crate) fn wait(cancel: &Cancel, pause: Duration) -> Result<(), FetchError> {
    let until = std::time::Instant::now() + pause;
    while std::time::Instant::now() < until {
        if cancel.requested() {
            return Err(FetchError::Cancelled);
        }
        std::thread::sleep(TICK.min(pause));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
