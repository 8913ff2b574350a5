//! The http client: makes it, asks, downloads into a file. Bounded in time, size and tries; unaware of stores and layers.
//!
//! Proxies come from the usual variables (`HTTPS_PROXY`, `NO_PROXY`, …) and certificate authorities from the system, or from
//! `SSL_CERT_FILE` and `SSL_CERT_DIR`: reqwest and rustls read those themselves. Credentials never follow a redirect to
//! another host (reqwest drops them), and none leads from https to http.

use super::address;
use super::error::{FetchError, redacted};
use crate::cancel::Cancel;
use crate::policy::{Policy, apply};
use kiln_oci::{Digest, Hasher};
use reqwest::blocking::{Client, Response};
use reqwest::header::{
    AUTHORIZATION, ETAG, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH, LAST_MODIFIED,
    RETRY_AFTER,
};
use reqwest::{Method, StatusCode, Url, redirect};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// Redirects in a row, as browsers allow.
const MAX_REDIRECTS: usize = 10;
/// How often a waiting build looks whether it was stopped.
const TICK: Duration = Duration::from_millis(50);
/// An `ETag` that is longer is no use.
const MAX_ETAG: usize = 1024;

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
    /// `Last-Modified`, in seconds since 1970.
    pub modified: Option<i64>,
}

/// A client.
#[derive(Debug, Clone)]
pub struct Web {
    client: Client,
    limits: Limits,
}

/// Why a try failed, and whether another may not.
struct Failed {
    error: FetchError,
    /// `Some` for failures that pass; the pause that the server asks for.
    again: Option<Option<Duration>>,
}

impl Web {
    /// Makes a client.
    ///
    /// # Errors
    /// When the system offers no TLS.
    pub fn new(limits: Limits) -> Result<Self, FetchError> {
        Web::judged(limits, &[])
    }

    /// Makes a client that follows no redirect which a source policy denies.
    ///
    /// # Errors
    /// When the system offers no TLS.
    pub fn judged(limits: Limits, policies: &[Policy]) -> Result<Self, FetchError> {
        // Another part of the process may have chosen already: then that choice holds.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let made = builder(limits, policies).build();
        // Without any certificate authority http still works, and https says what is wrong.
        let client = made.or_else(|_| builder(limits, policies).tls_certs_only([]).build());
        let client = client.map_err(|error| FetchError::Tls(crate::chain_of_causes(&error)))?;
        Ok(Web { client, limits })
    }

    /// Whether the other side still has the version `etag`: one request without content. Not being told means no.
    ///
    /// # Errors
    /// When the build is stopped.
    pub fn is_unchanged(
        &self,
        cancel: &Cancel,
        request: &Request,
        etag: &str,
    ) -> Result<bool, FetchError> {
        let (web, request, etag) = (self.clone(), request.clone(), etag.to_owned());
        interruptible(cancel, move || {
            let Ok(answer) = web.send(Method::HEAD, &request, Some(&etag)) else {
                return false;
            };
            let told = header(answer.headers(), ETAG);
            match (answer.status(), told) {
                (StatusCode::NOT_MODIFIED, None) => true,
                (StatusCode::NOT_MODIFIED | StatusCode::OK, Some(told)) => {
                    strong(&told) == strong(&etag)
                }
                _ => false,
            }
        })
    }

    /// Downloads into the file `into`, which is made anew for each try. `None` when the other side still has `etag`.
    ///
    /// # Errors
    /// When it cannot be had in the number of tries.
    pub fn download(
        &self,
        cancel: &Cancel,
        request: &Request,
        etag: Option<&str>,
        into: &Path,
    ) -> Result<Option<Downloaded>, FetchError> {
        let mut pause = self.limits.pause;
        let mut tries = 1;
        loop {
            let (web, request, stop) = (self.clone(), request.clone(), cancel.clone());
            let (etag, into): (Option<String>, PathBuf) = (etag.map(str::to_owned), into.into());
            let tried = interruptible(cancel, move || {
                web.try_download(&stop, &request, etag.as_deref(), &into)
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
        etag: Option<&str>,
    ) -> Result<Response, reqwest::Error> {
        let mut builder = self.client.request(method, request.url.clone());
        if let Some(authorization) = &request.authorization {
            builder = builder.header(AUTHORIZATION, authorization.clone());
        }
        if let Some(etag) = etag {
            builder = builder.header(IF_NONE_MATCH, etag);
        }
        builder.send()
    }

    fn try_download(
        &self,
        cancel: &Cancel,
        request: &Request,
        etag: Option<&str>,
        into: &Path,
    ) -> Result<Option<Downloaded>, Failed> {
        let answer = self
            .send(Method::GET, request, etag)
            .map_err(|error| broken(request, &error))?;
        let status = answer.status();
        if status == StatusCode::NOT_MODIFIED && etag.is_some() {
            return Ok(None);
        }
        if !status.is_success() {
            return Err(refused(request, status, answer.headers()));
        }
        self.receive(cancel, request, answer, into).map(Some)
    }

    fn receive(
        &self,
        cancel: &Cancel,
        request: &Request,
        mut answer: Response,
        into: &Path,
    ) -> Result<Downloaded, Failed> {
        let headers = answer.headers().clone();
        if answer.content_length().unwrap_or(0) > self.limits.size {
            return Err(self.too_large(request));
        }
        let mut file = File::create(into).map_err(|error| io("make", into, error))?;
        let mut hasher = Hasher::new();
        let (mut size, mut buffer) = (0_u64, vec![0; 256 << 10]);
        loop {
            if cancel.requested() {
                return Err(FetchError::Stopped.into());
            }
            let count = answer
                .read(&mut buffer)
                .map_err(|error| cut_off(request, size, &error))?;
            if count == 0 {
                break;
            }
            size += count as u64;
            if size > self.limits.size {
                return Err(self.too_large(request));
            }
            hasher.update(&buffer[..count]);
            file.write_all(&buffer[..count])
                .map_err(|error| io("write", into, error))?;
        }
        Ok(Downloaded {
            sha256: hasher.finish(),
            size,
            etag: header(&headers, ETAG),
            modified: header(&headers, LAST_MODIFIED).and_then(|date| seconds(&date)),
        })
    }

    fn too_large(&self, request: &Request) -> Failed {
        let (url, limit) = (request.shown(), self.limits.size);
        FetchError::TooLarge { url, limit }.into()
    }
}

impl From<FetchError> for Failed {
    fn from(error: FetchError) -> Self {
        Failed { error, again: None }
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
        } else if let Err(refusal) = apply::redirect(&policies, attempt.url()) {
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

fn header(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let text = headers.get(name)?.to_str().ok()?;
    Some(text.to_owned()).filter(|text| !text.is_empty() && text.len() <= MAX_ETAG)
}

/// An `ETag` without the mark of weak ones: what changed is what counts.
fn strong(etag: &str) -> &str {
    etag.strip_prefix("W/").unwrap_or(etag)
}

/// An http date in seconds since 1970.
fn seconds(date: &str) -> Option<i64> {
    let parsed = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date);
    parsed.ok().map(jiff::Timestamp::as_second)
}

fn io(action: &'static str, path: &Path, source: std::io::Error) -> Failed {
    let path = path.to_owned();
    FetchError::Io {
        action,
        path,
        source,
    }
    .into()
}

/// No answer: what a redirect or the address itself caused will not change, a connection may.
fn broken(request: &Request, error: &reqwest::Error) -> Failed {
    let passes = !(error.is_redirect() || error.is_builder());
    Failed {
        error: FetchError::Connection {
            url: request.shown(),
            reason: reason(error),
        },
        again: passes.then_some(None),
    }
}

fn cut_off(request: &Request, size: u64, error: &std::io::Error) -> Failed {
    Failed {
        error: FetchError::Connection {
            url: request.shown(),
            reason: format!(
                "the connection broke after {size} bytes: {}",
                crate::chain_of_causes(error)
            ),
        },
        again: Some(None),
    }
}

fn refused(request: &Request, status: StatusCode, headers: &HeaderMap) -> Failed {
    let asked = header(headers, RETRY_AFTER).and_then(|seconds| seconds.parse().ok());
    let passes = status.is_server_error()
        || matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
        );
    Failed {
        error: FetchError::Status {
            url: request.shown(),
            status: status.to_string(),
        },
        again: passes.then_some(asked.map(Duration::from_secs)),
    }
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
            Err(RecvTimeoutError::Disconnected) => return Err(FetchError::Stopped),
            Err(RecvTimeoutError::Timeout) if cancel.requested() => {
                return Err(FetchError::Stopped);
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

pub(crate) fn wait(cancel: &Cancel, pause: Duration) -> Result<(), FetchError> {
    let until = std::time::Instant::now() + pause;
    while std::time::Instant::now() < until {
        if cancel.requested() {
            return Err(FetchError::Stopped);
        }
        std::thread::sleep(TICK.min(pause));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
