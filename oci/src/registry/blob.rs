//! Blobs as they come: streamed, checked, continued where they broke off. Unaware of where they go.
//!
//! A transfer that breaks is continued with a range request. A server that ignores the range, or refuses it, sends the beginning again,
//! which is skipped: what counts is the digest of what was given on.

use bytes::{Buf, Bytes};

use super::Client;
use super::asked::Asked;
use super::endpoint::Endpoint;
use super::error::{Error, Result};
use super::exchange::Request;
use crate::descriptor::Descriptor;
use crate::digest::{Digest, Hasher};
use crate::http::header::{CONTENT_RANGE, HeaderValue, RANGE};
use crate::http::{self, Answer, Attempts, Method, StatusCode};
use crate::reference::Reference;

/// So much is progress: failures before it are forgotten.
const PROGRESS: u64 = 1 << 20;

/// A blob on its way.
pub(super) struct BlobStream {
    client: Client,
    endpoints: Vec<Endpoint>,
    /// Which of them is asked.
    place: usize,
    digest: Digest,
    size: u64,
    hasher: Hasher,
    /// Bytes that were given on.
    offset: u64,
    incoming: Option<Answer>,
    /// Bytes of `incoming` that were given on before.
    skip: u64,
    /// Whether ranges are understood, as far as is known.
    ranges: bool,
    attempts: Attempts,
    asked: Asked,
    since_failure: u64,
}

impl BlobStream {
    /// A blob, of which the first `offset` bytes, digested by `hasher`, are there already.
    pub(super) fn new(
        client: &Client,
        endpoints: Vec<Endpoint>,
        blob: &Descriptor,
        hasher: Hasher,
        offset: u64,
    ) -> Self {
        Self {
            attempts: Attempts::new(&client.0.http, endpoints[0].is_mirror),
            client: client.clone(),
            endpoints,
            place: 0,
            digest: blob.digest,
            size: blob.size,
            hasher,
            offset,
            incoming: None,
            skip: 0,
            ranges: true,
            asked: Asked::default(),
            since_failure: 0,
        }
    }

    /// Bytes that were given on.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The place that is asked.
    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoints[self.place]
    }

    /// The next bytes; `None` once all are there and have the right digest.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            if self.offset == self.size && self.incoming.is_none() {
                return self.finish().map(|()| None);
            }
            match self.step() {
                Ok(Some(bytes)) => return Ok(Some(bytes)),
                Ok(None) => {}
                Err(error) => self.failed(error)?,
            }
        }
    }

    /// One step: a connection, or some bytes.
    fn step(&mut self) -> Result<Option<Bytes>> {
        let Some(incoming) = self.incoming.as_mut() else {
            self.incoming = Some(self.open()?);
            return Ok(None);
        };
        let Some(mut bytes) = incoming.chunk()? else {
            return self.ended().map(|()| None);
        };
        let known = self.skip.min(bytes.len() as u64);
        bytes.advance(known as usize);
        self.skip -= known;
        if bytes.len() as u64 > self.size - self.offset {
            return Err(self.wrong(format!("more than {} bytes", self.size)));
        }
        if bytes.is_empty() {
            return Ok(None);
        }
        self.hasher.update(&bytes);
        self.offset += bytes.len() as u64;
        self.since_failure += bytes.len() as u64;
        Ok(Some(bytes))
    }

    /// The answer is over.
    fn ended(&mut self) -> Result<()> {
        let incoming = self.incoming.take();
        let reason = format!("it ended after {} of {} bytes", self.offset, self.size);
        match incoming.filter(|_| self.offset < self.size) {
            Some(incoming) => Err(broken(&incoming, reason)),
            None => Ok(()),
        }
    }

    fn finish(&self) -> Result<()> {
        let actual = self.hasher.clone().finish();
        if actual == self.digest {
            return Ok(());
        }
        Err(self.wrong(format!("its digest is {actual}")))
    }

    fn wrong(&self, actual: String) -> Error {
        Error::Content {
            host: self.endpoint().host.clone(),
            expected: self.digest,
            actual,
        }
    }

    /// Waits until it is time for another attempt, or goes on to the next place.
    fn failed(&mut self, error: Error) -> Result<()> {
        self.incoming = None;
        if std::mem::take(&mut self.since_failure) >= PROGRESS {
            self.attempts.progressed();
        }
        let error = match error {
            Error::Http(error) => match self.attempts.failed(error) {
                Ok(()) => return Ok(()),
                Err(error) => error.into(),
            },
            // Another place cannot help: the beginning was given on already. The caller begins anew, with `Places`.
            error @ Error::Content { .. } => return Err(error),
            error => error,
        };
        if error.is_cancelled() || !self.endpoint().is_mirror {
            return Err(self.asked.explain(error));
        }
        self.client.leave_mirror(self.endpoint(), &error);
        let mirror = &self.endpoints[self.place];
        self.asked.note(mirror, &error);
        self.place += 1;
        self.attempts = Attempts::new(&self.client.0.http, self.endpoint().is_mirror);
        self.ranges = true;
        Ok(())
    }

    fn open(&mut self) -> Result<Answer> {
        let endpoint = self.endpoint().clone();
        let mut request = self
            .client
            .blob_request(Method::GET, &endpoint, self.digest)?;
        let ranged = self.ranges && self.offset > 0;
        if ranged && let Ok(range) = HeaderValue::from_str(&format!("bytes={}-", self.offset)) {
            request.http.headers.insert(RANGE, range);
        }
        let hoped = [
            StatusCode::OK,
            StatusCode::PARTIAL_CONTENT,
            StatusCode::RANGE_NOT_SATISFIABLE,
        ];
        let answer = self.client.ask_once(&endpoint, &request, &hoped)?;
        let start = match answer.status() {
            StatusCode::PARTIAL_CONTENT if ranged => first_byte(&answer),
            StatusCode::OK => Some(0),
            _ => None,
        };
        let Some(start) = start.filter(|start| *start <= self.offset) else {
            self.ranges = false;
            let reason = format!(
                "it answers {} to a range, with another one or none",
                answer.status()
            );
            return Err(broken(&answer, reason));
        };
        self.skip = self.offset - start;
        self.check_length(&answer)?;
        Ok(answer)
    }

    /// Whether the answer can have what is missing, and no more.
    fn check_length(&self, answer: &Answer) -> Result<()> {
        let expected = self.size - self.offset + self.skip;
        match answer.length() {
            Some(length) if length != expected => Err(Error::Content {
                host: answer.host(),
                expected: self.digest,
                actual: format!("{length} bytes are announced instead of {expected}"),
            }),
            _ => Ok(()),
        }
    }
}

/// Where a partial answer begins.
fn first_byte(answer: &Answer) -> Option<u64> {
    let range = answer.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    let (start, _) = range.strip_prefix("bytes ")?.split_once('-')?;
    start.parse().ok()
}

fn broken(answer: &Answer, reason: String) -> Error {
    let host = answer.host();
    http::Error::Broken { host, reason }.into()
}

impl Client {
    /// Whether the repository of `reference` has a blob; asked before it is pushed.
    ///
    /// # Errors
    /// [`Error`], when the registry answers neither yes nor no.
    pub fn has_blob(&self, reference: &Reference, digest: Digest) -> Result<bool> {
        let endpoint = self.origin(reference);
        // The token for the push serves this request, too.
        let request = self.blob_request(Method::HEAD, &endpoint, digest)?;
        let request = request.pushing(&endpoint);
        match self.ask(&endpoint, &request, &[StatusCode::OK]) {
            Ok(_) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn blob_request(
        &self,
        method: Method,
        endpoint: &Endpoint,
        digest: Digest,
    ) -> Result<Request<'static>> {
        let path = endpoint.path(&format!("blobs/{digest}"));
        let request = self.request(method, endpoint, &path)?;
        Ok(request.called(digest.to_string()))
    }
}
