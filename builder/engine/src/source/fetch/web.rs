//! A file by http(s): whether it has changed, and its download. Unaware of stores and layers, and of how HTTP is spoken ([`http`]).

mod date;

use super::address::{self, redacted};
use crate::event::cancel::Cancel;
use crate::failure::FetchError;
use crate::request::policy::Policy;
use crate::source::policy;
use crate::transfer::remote::Remote;
use kiln_cache::Fetched;
use kiln_oci::http::header::{
    ACCEPT_ENCODING, DATE, ETAG, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
};
use kiln_oci::http::{self, Answer, Client, Method, Redirects, StatusCode, Url};
use kiln_oci::{Digest, HashingWriter};
use std::fs::File;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// Bytes that one file may have.
const MAX_SIZE: u64 = 64 << 30;
/// How often a waiting build looks whether it was stopped.
const TICK: Duration = Duration::from_millis(50);
/// What may be undone on the way: Go's client, and so BuildKit, asks for this and no other. Servers that compress on demand show
/// another `ETag` to those who do not ask for it.
const ENCODING: HeaderValue = HeaderValue::from_static("gzip");

/// A file, and how it may be asked for.
#[derive(Debug)]
pub struct WebFile<'a> {
    client: &'a Client,
    /// Which redirects are followed.
    policies: &'a [Policy],
    url: Url,
    authorization: Option<HeaderValue>,
    limit: u64,
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

impl<'a> WebFile<'a> {
    /// The file at an http(s) address; `authorization` is the value of the header of that name.
    ///
    /// # Errors
    /// When the address is not one, or the value cannot stand in a header.
    pub fn new(
        client: &'a Client,
        policies: &'a [Policy],
        address: &str,
        authorization: Option<&str>,
    ) -> Result<Self, FetchError> {
        let wrong = |message: String| FetchError::Address {
            url: redacted(address),
            message,
        };
        let url = address::parse(address).map_err(wrong)?;
        let authorization = authorization.map(HeaderValue::from_str).transpose();
        let mut authorization = authorization
            .map_err(|_| wrong("its credentials cannot be sent in a header".to_owned()))?;
        if let Some(value) = &mut authorization {
            value.set_sensitive(true);
        }
        Ok(WebFile {
            client,
            policies,
            url,
            authorization,
            limit: MAX_SIZE,
        })
    }

    /// Whether the other side still has the version that is held: one request without content. Not being told means no.
    ///
    /// # Errors
    /// When the build is stopped.
    pub fn is_unchanged(&self, held: &Validator) -> Result<bool, FetchError> {
        // A server that is slow here is asked for the file itself.
        let limit = self.client.settings().patience.connect;
        let answer = match self.send(Method::HEAD, Some(held), limit) {
            Ok(answer) => answer,
            Err(http::Error::Cancelled) => return Err(FetchError::Cancelled),
            Err(_) => return Ok(false),
        };
        Ok(match (answer.status(), answer.header(ETAG), held) {
            (StatusCode::NOT_MODIFIED, None, _) => true,
            (StatusCode::NOT_MODIFIED, Some(_), Validator::Since(_)) => true,
            (StatusCode::NOT_MODIFIED | StatusCode::OK, Some(told), Validator::Tag(held)) => {
                strong(&told) == strong(held)
            }
            _ => false,
        })
    }

    /// Downloads into the file `into`, which is made anew for each try. `None` when the other side still has what is held.
    ///
    /// # Errors
    /// When no attempt succeeds.
    pub fn download(
        &self,
        held: Option<&Validator>,
        into: &Path,
    ) -> Result<Option<Downloaded>, FetchError> {
        let limit = self.client.settings().patience.answer;
        let downloaded = self.client.repeat(|| {
            let answer = self.send(Method::GET, held, limit)?;
            match answer.status() {
                StatusCode::NOT_MODIFIED if held.is_some() => Ok(None),
                status if status.is_success() => receive(answer, self.limit, into).map(Some),
                _ => Err(answer.refused(|_| String::new())?),
            }
        });
        downloaded.map_err(|error| self.failure(error, into))
    }

    fn send(
        &self,
        method: Method,
        held: Option<&Validator>,
        limit: Duration,
    ) -> Result<Answer, http::Error> {
        let judge = |url: &Url| policy::redirect(self.policies, url).map_err(|no| no.to_string());
        let mut request = http::Request::new(self.client, method, self.url.clone());
        request.redirects = Redirects::Judge(&judge);
        request.limit = limit;
        request.headers.insert(ACCEPT_ENCODING, ENCODING);
        let condition = held.map(|held| match held {
            Validator::Tag(etag) => (IF_NONE_MATCH, HeaderValue::from_str(etag)),
            Validator::Since(date) => (IF_MODIFIED_SINCE, HeaderValue::from_str(date)),
        });
        if let Some((name, Ok(value))) = condition {
            request.headers.insert(name, value);
        }
        self.client.send(&request, self.authorization.as_ref())
    }

    fn failure(&self, error: http::Error, into: &Path) -> FetchError {
        let url = redacted(self.url.as_str());
        match error {
            http::Error::Cancelled => FetchError::Cancelled,
            http::Error::Status { status, .. } => FetchError::Status { url, status },
            http::Error::TooLarge { limit, .. } => FetchError::TooLarge { url, limit },
            http::Error::Write(source) => FetchError::Io {
                action: "write",
                path: into.to_owned(),
                source,
            },
            error => FetchError::Connection {
                url,
                reason: crate::failure::chain_of_causes(&error),
            },
        }
    }
}

/// Downloads a file.
///
/// # Errors
/// As [`WebFile::download`], or the network is not to be used.
pub fn download(remote: &Remote, url: &str, into: &Path) -> Result<(), FetchError> {
    if remote.is_offline() {
        let reason = crate::failure::RemoteError::Offline.to_string();
        let url = redacted(url);
        return Err(FetchError::Connection { url, reason });
    }
    let file = WebFile::new(&remote.http, &[], url, None)?;
    file.download(None, into).map(drop)
}

/// Writes the content to the file `into`, at most `limit` bytes of it.
fn receive(answer: Answer, limit: u64, into: &Path) -> Result<Downloaded, http::Error> {
    let (etag, last_modified) = (answer.header(ETAG), answer.header(LAST_MODIFIED));
    let date = answer.header(DATE);
    let mut file = HashingWriter::new(File::create(into).map_err(http::Error::Write)?);
    answer.copy(&mut file, limit, &|_| {})?;
    let (_, sha256, size) = file.finish();
    Ok(Downloaded {
        sha256,
        size,
        etag,
        modified: last_modified.as_deref().and_then(date::seconds),
        last_modified,
        date: date.and_then(|date| date::seconds(&date)),
    })
}

/// An `ETag` without the mark of weak ones: what changed is what counts.
fn strong(etag: &str) -> &str {
    etag.strip_prefix("W/").unwrap_or(etag)
}

/// Does `work` on a thread of its own, which is left behind when the build is stopped: a read may block for ever.
pub(crate) fn interruptible<T: Send + 'static>(
    cancel: &Cancel,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, FetchError> {
    let (sender, receiver) = channel();
    let work = move || {
        // The receiver is gone when the build was stopped.
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

#[cfg(test)]
mod tests;
