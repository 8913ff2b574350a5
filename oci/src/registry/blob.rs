//! Blobs as they come: streamed, checked, continued where they broke off. Unaware of where they go.
//!
//! A transfer that breaks is continued with a range request. Whoever ignores the range, or refuses
//! it, sends the beginning again, which is skipped: what counts is the digest of what was given on.

use std::io::{self, Read};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use reqwest::header::{CONTENT_RANGE, HeaderValue, RANGE};
use reqwest::{Method, Response, StatusCode};

use super::Shared;
use super::endpoint::Endpoint;
use super::error::{Error, Result};
use super::exchange::Request;
use super::retry::Attempts;
use super::session::{Incoming, Session};
use super::transport::host_of;
use crate::descriptor::Descriptor;
use crate::digest::{Digest, Hasher};

/// So much is progress: failures before it are forgotten.
const PROGRESS: u64 = 1 << 20;

/// A blob on its way.
pub(super) struct BlobStream {
    endpoints: Vec<Endpoint>,
    /// Which of them is asked.
    place: usize,
    digest: Digest,
    size: u64,
    hasher: Hasher,
    /// Bytes that were given on.
    offset: u64,
    incoming: Option<Incoming>,
    /// Bytes of `incoming` that were given on before.
    skip: u64,
    /// Whether ranges are understood, as far as is known.
    ranges: bool,
    failures: u32,
    since_failure: u64,
}

impl BlobStream {
    /// A blob, of which the first `offset` bytes, digested by `hasher`, are there already.
    pub(super) fn new(
        endpoints: Vec<Endpoint>,
        blob: &Descriptor,
        hasher: Hasher,
        offset: u64,
    ) -> Self {
        Self {
            endpoints,
            place: 0,
            digest: blob.digest,
            size: blob.size,
            hasher,
            offset,
            incoming: None,
            skip: 0,
            ranges: true,
            failures: 0,
            since_failure: 0,
        }
    }

    /// Bytes that were given on.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The next bytes; `None` once all are there and have the right digest.
    pub(super) async fn next(&mut self, session: &Session) -> Result<Option<Bytes>> {
        loop {
            if self.offset == self.size && self.incoming.is_none() {
                return self.finish().map(|()| None);
            }
            match self.step(session).await {
                Ok(Some(bytes)) => return Ok(Some(bytes)),
                Ok(None) => {}
                Err(error) => self.failed(session, error).await?,
            }
        }
    }

    /// One step: a connection, or some bytes.
    async fn step(&mut self, session: &Session) -> Result<Option<Bytes>> {
        session.check()?;
        let Some(incoming) = self.incoming.as_mut() else {
            self.incoming = Some(self.open(session).await?);
            return Ok(None);
        };
        let Some(mut bytes) = incoming.next(session).await? else {
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
        let host = self.incoming.take().map(|incoming| incoming.host());
        if self.offset == self.size {
            return Ok(());
        }
        Err(Error::Broken {
            host: host.unwrap_or_default(),
            reason: format!("it ended after {} of {} bytes", self.offset, self.size),
        })
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

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoints[self.place]
    }

    /// Waits until it is time for another attempt, or goes on to the next place.
    async fn failed(&mut self, session: &Session, error: Error) -> Result<()> {
        self.incoming = None;
        if self.since_failure >= PROGRESS {
            self.failures = 0;
        }
        self.since_failure = 0;
        let has_other = self.endpoint().is_mirror;
        let mut attempts = Attempts::after(session, self.failures, has_other);
        self.failures += 1;
        match attempts.failed(error).await {
            Ok(()) => Ok(()),
            Err(Error::Cancelled) => Err(Error::Cancelled),
            // Another place does not mend it: the beginning was given on already. Whoever asks begins anew, with `Places`.
            Err(error @ Error::Content { .. }) => Err(error),
            Err(error) if !self.endpoint().is_mirror => Err(error),
            Err(error) => {
                session.leave_mirror(self.endpoint(), &error);
                self.place += 1;
                (self.failures, self.ranges) = (0, true);
                Ok(())
            }
        }
    }

    async fn open(&mut self, session: &Session) -> Result<Incoming> {
        let endpoint = self.endpoint().clone();
        let path = endpoint.path(&format!("blobs/{}", self.digest));
        let url = session.address(&endpoint, &path).await?;
        let mut request =
            Request::new(Method::GET, url, &endpoint, session).called(self.digest.to_string());
        let ranged = self.ranges && self.offset > 0;
        if ranged && let Ok(range) = HeaderValue::from_str(&format!("bytes={}-", self.offset)) {
            request.headers.insert(RANGE, range);
        }
        let hoped = [
            StatusCode::OK,
            StatusCode::PARTIAL_CONTENT,
            StatusCode::RANGE_NOT_SATISFIABLE,
        ];
        let response = session.ask_once(&endpoint, &request, &hoped).await?;
        self.skip = match response.status() {
            StatusCode::PARTIAL_CONTENT if ranged => self.check_range(&response)?,
            StatusCode::OK => self.offset,
            status => {
                self.ranges = false;
                return Err(Error::Broken {
                    host: host_of(response.url()),
                    reason: format!("it answers {status} to a range"),
                });
            }
        };
        self.check_length(&response)?;
        Ok(Incoming::new(response))
    }

    /// How much of a partial answer is known already.
    fn check_range(&mut self, response: &Response) -> Result<u64> {
        let range = response.headers().get(CONTENT_RANGE);
        let start = range
            .and_then(|range| range.to_str().ok())
            .and_then(|range| range.strip_prefix("bytes "))
            .and_then(|range| range.split_once('-'))
            .and_then(|(start, _)| start.parse::<u64>().ok());
        match start {
            Some(start) if start <= self.offset => Ok(self.offset - start),
            _ => {
                self.ranges = false;
                Err(Error::Broken {
                    host: host_of(response.url()),
                    reason: "it answers with another range than the one asked for".into(),
                })
            }
        }
    }

    /// Whether the answer can have what is missing, and no more.
    fn check_length(&self, response: &Response) -> Result<()> {
        let expected = self.size - self.offset + self.skip;
        match response.content_length() {
            Some(length) if length != expected => Err(Error::Content {
                host: host_of(response.url()),
                expected: self.digest,
                actual: format!("{length} bytes are announced instead of {expected}"),
            }),
            _ => Ok(()),
        }
    }
}

impl Session {
    /// Whether the registry has a blob.
    pub(super) async fn has_blob(&self, endpoint: &Endpoint, digest: Digest) -> Result<bool> {
        let path = endpoint.path(&format!("blobs/{digest}"));
        let url = self.address(endpoint, &path).await?;
        // Asked before a push: the token for that serves both.
        let request = Request::new(Method::HEAD, url, endpoint, self)
            .pushing(endpoint)
            .called(digest.to_string());
        match self.ask(endpoint, &request, &[StatusCode::OK]).await {
            Ok(_) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// A blob to read; an error comes in place of the end when its digest is not what was asked for.
pub struct BlobReader {
    shared: Arc<Shared>,
    stream: BlobStream,
    current: Bytes,
}

impl std::fmt::Debug for BlobReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlobReader")
            .field("digest", &self.stream.digest)
            .field("offset", &self.stream.offset)
            .finish()
    }
}

impl BlobReader {
    pub(super) fn new(shared: Arc<Shared>, stream: BlobStream) -> Self {
        Self {
            shared,
            stream,
            current: Bytes::new(),
        }
    }
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.current.is_empty() {
            let next = self.stream.next(&self.shared.session);
            let next = self
                .shared
                .runtime()
                .and_then(|runtime| runtime.block_on(next));
            match next.map_err(to_io)? {
                None => return Ok(0),
                Some(bytes) => self.current = bytes,
            }
        }
        let length = buffer.len().min(self.current.len());
        buffer[..length].copy_from_slice(&self.current[..length]);
        self.current.advance(length);
        Ok(length)
    }
}

fn to_io(error: Error) -> io::Error {
    // Never `Interrupted`: many readers would try again.
    let kind = match error {
        Error::Content { .. } => io::ErrorKind::InvalidData,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}
