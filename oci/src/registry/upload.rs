//! Pushing a blob (OCI distribution specification, "Pushing Blobs"): in one request where that works, continued where the registry remembers
//! a part, in pieces where one request is refused. Unaware of what is in the blob.

use std::io::{self, Read};

use super::Client;
use super::endpoint::Endpoint;
use super::error::{Error, Result};
use super::exchange::Request;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::http::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderValue, RANGE};
use crate::http::{self, Answer, Attempts, Body, Method, Position, Rest, StatusCode, Upload, Url};
use crate::reference::Reference;

/// Bytes in a request where a registry, or a proxy before it, refuses a whole blob at once.
const PIECE: u64 = 16 << 20;
/// The header in which a registry asks for larger pieces, and the largest that are sent.
const LEAST_PIECE: &str = "oci-chunk-min-length";
const LARGEST_PIECE: u64 = 1 << 30;
/// So much is progress: failures before it are forgotten.
const PROGRESS: u64 = 1 << 20;

/// Gives a blob from its first byte.
type Open<'a> = &'a (dyn Fn() -> io::Result<Box<dyn Read + Send>> + Sync);

/// What the registry remembers of an upload.
struct Place {
    /// Where the next request goes.
    url: Url,
    /// Bytes that it has.
    offset: u64,
    /// The smallest piece that it takes.
    least_piece: u64,
}

/// One upload: the blob, and how it goes so far.
struct Push<'a> {
    client: &'a Client,
    endpoint: Endpoint,
    blob: &'a Descriptor,
    open: Open<'a>,
    place: Option<Place>,
    /// The reader, between two pieces.
    rest: Rest,
    /// Whether one request was refused.
    in_pieces: bool,
}

impl Client {
    /// Pushes a blob into the repository of `reference`: in one request, in pieces where the registry refuses that, continued after a break
    /// where it remembers. `open` gives the blob from its first byte; it may be called several times. At most
    /// [`Patience::transfers`](http::Patience::transfers) run at once. Whether the registry has the blob already is not asked.
    ///
    /// # Errors
    /// [`Error`]; of `open` and its reader as [`Error::Source`].
    pub fn push_blob(
        &self,
        reference: &Reference,
        blob: &Descriptor,
        open: Open<'_>,
    ) -> Result<()> {
        let _permit = self.0.http.wait(self.0.transfers.acquire())?;
        let push = Push {
            client: self,
            endpoint: self.origin(reference),
            blob,
            open,
            place: None,
            rest: Rest::default(),
            in_pieces: false,
        };
        push.run().map_err(|error| match error {
            Error::Http(http::Error::Source(source)) => Error::Source {
                digest: blob.digest,
                source,
            },
            error => error,
        })
    }

    /// Asks the registry to take a blob of the repository of `from` into that of `to`. False when it does not, for whatever reason, or when
    /// these are two registries: then the blob is pushed.
    ///
    /// # Errors
    /// [`http::Error::Cancelled`], and failures of the connection.
    pub fn mount_blob(&self, to: &Reference, from: &Reference, digest: Digest) -> Result<bool> {
        if to.registry != from.registry {
            return Ok(false);
        }
        let endpoint = self.origin(to);
        let request = self.request(Method::POST, &endpoint, &endpoint.path("blobs/uploads/"))?;
        let mut request = request.pushing(&endpoint);
        let mut query = request.http.url.query_pairs_mut();
        query.append_pair("mount", &digest.to_string());
        query.append_pair("from", &from.repository);
        drop(query);
        request
            .scopes
            .push(format!("repository:{}:pull", from.repository));
        let hoped = [StatusCode::CREATED, StatusCode::ACCEPTED];
        match self.ask(&endpoint, &request, &hoped) {
            Ok(answer) if answer.status() == StatusCode::CREATED => Ok(true),
            Ok(answer) => self.abandon(&endpoint, &answer).map(|()| false),
            Err(error) if error.is_refusal() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Ends an upload that was begun in place of a mount; the registry forgets it by itself if that fails.
    fn abandon(&self, endpoint: &Endpoint, answer: &Answer) -> Result<()> {
        if let Ok(url) = answer.location() {
            let request = self.request_at(Method::DELETE, endpoint, url)?;
            let request = request.pushing(endpoint);
            let _ = self.ask_once(endpoint, &request, &[StatusCode::NO_CONTENT]);
        }
        Ok(self.0.http.check()?)
    }
}

/// A request with a part of a blob.
fn with_content(request: &mut Request<'_>) {
    let kind = HeaderValue::from_static("application/octet-stream");
    request.http.headers.insert(CONTENT_TYPE, kind);
}

impl<'a> Push<'a> {
    fn run(mut self) -> Result<()> {
        let mut attempts = Attempts::new(&self.client.0.http, false);
        let (mut is_first, mut furthest) = (true, 0);
        loop {
            let error = match self.advance() {
                Ok(()) => return Ok(()),
                Err(error) if self.refused(&error) => continue,
                Err(Error::Http(error)) => error,
                Err(error) => return Err(error),
            };
            // Some proxies hang up in place of an answer when a body is too large for them.
            self.in_pieces |= !is_first && matches!(error, http::Error::Broken { .. });
            attempts.failed(error)?;
            self.recover()?;
            let reached = self.place.as_ref().map_or(0, |place| place.offset);
            is_first = reached >= furthest + PROGRESS;
            if is_first {
                attempts.progressed();
                furthest = reached;
            }
        }
    }

    /// Whether a failure means that a whole blob is too much at once: then it goes in pieces.
    fn refused(&mut self, error: &Error) -> bool {
        let Error::Http(http::Error::Status { code, .. }) = error else {
            return false;
        };
        if self.in_pieces || !matches!(code, 400 | 405 | 411 | 413 | 415 | 501) {
            return false;
        }
        self.in_pieces = true;
        self.place = None;
        true
    }

    /// From where the upload stands to its end.
    fn advance(&mut self) -> Result<()> {
        if self.place.is_none() {
            self.place = Some(self.begin()?);
        }
        loop {
            let Some(place) = &self.place else {
                return Ok(());
            };
            let left = self.blob.size - place.offset;
            if left == 0 || (place.offset == 0 && !self.in_pieces) {
                return self.put(place);
            }
            let piece = match self.in_pieces {
                true => left.min(PIECE.max(place.least_piece).min(LARGEST_PIECE)),
                false => left,
            };
            self.place = Some(self.patch(place, piece)?);
        }
    }

    fn begin(&self) -> Result<Place> {
        let path = self.endpoint.path("blobs/uploads/");
        let url = self.client.address(&self.endpoint, &path)?;
        let request = self.request(Method::POST, url)?;
        let answer = self.ask(&request, &[StatusCode::ACCEPTED])?;
        let least = answer.header(LEAST_PIECE);
        Ok(Place {
            url: answer.location()?,
            offset: 0,
            least_piece: least.and_then(|least| least.parse().ok()).unwrap_or(0),
        })
    }

    /// The end of an upload, with all of the blob, or with what was sent before.
    fn put(&self, place: &Place) -> Result<()> {
        let mut url = place.url.clone();
        url.query_pairs_mut()
            .append_pair("digest", &self.blob.digest.to_string());
        let body = || self.body(place.offset, self.blob.size - place.offset);
        let mut request = self.request(Method::PUT, url)?;
        request.http.limit = self.client.0.http.settings().patience.commit;
        with_content(&mut request);
        if place.offset < self.blob.size {
            request.http.body = Body::Stream(&body);
        }
        let hoped = [StatusCode::CREATED, StatusCode::NO_CONTENT];
        self.ask(&request, &hoped).map(drop)
    }

    /// The next `length` bytes.
    fn patch(&self, place: &Place, length: u64) -> Result<Place> {
        let body = || self.body(place.offset, length);
        let mut request = self.request(Method::PATCH, place.url.clone())?;
        request.http.body = Body::Stream(&body);
        with_content(&mut request);
        let last = place.offset + length - 1;
        if let Ok(range) = HeaderValue::from_str(&format!("{}-{last}", place.offset)) {
            request.http.headers.insert(CONTENT_RANGE, range);
        }
        let hoped = [
            StatusCode::ACCEPTED,
            StatusCode::NO_CONTENT,
            StatusCode::CREATED,
        ];
        Ok(Place {
            url: self.ask(&request, &hoped)?.location()?,
            offset: place.offset + length,
            least_piece: place.least_piece,
        })
    }

    /// After a failure: asks what the registry remembers; a new upload where it does not say.
    fn recover(&mut self) -> Result<()> {
        let Some(place) = self.place.take() else {
            return Ok(());
        };
        let request = self.request(Method::GET, place.url.clone())?;
        let answer = match self.ask(&request, &[StatusCode::NO_CONTENT, StatusCode::OK]) {
            Ok(answer) => answer,
            Err(error) if error.is_cancelled() => return Err(error),
            Err(_) => return Ok(()),
        };
        // A single byte looks like none: `0-0` is both.
        let offset = remembered(&answer).filter(|offset| (2..=self.blob.size).contains(offset));
        self.place = offset.map(|offset| Place {
            url: answer.location().unwrap_or(place.url),
            offset,
            least_piece: place.least_piece,
        });
        Ok(())
    }

    fn request<'r>(&self, method: Method, url: Url) -> Result<Request<'r>> {
        let request = self.client.request_at(method, &self.endpoint, url)?;
        Ok(request.pushing(&self.endpoint))
    }

    fn ask(&self, request: &Request<'_>, hoped: &[StatusCode]) -> Result<Answer> {
        self.client.ask_once(&self.endpoint, request, hoped)
    }

    /// The part of the blob from `offset`.
    fn body(&self, offset: u64, length: u64) -> io::Result<Upload> {
        let position = match self.rest.take(offset) {
            Some(position) => position,
            None => {
                let mut reader = (self.open)()?;
                let skipped = io::copy(&mut (&mut reader).take(offset), &mut io::sink())?;
                if skipped < offset {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                Position { reader, offset }
            }
        };
        Upload::part(position, length, self.rest.clone())
    }
}

/// Bytes that an upload has, by the answer's `Range: 0-<last>`.
fn remembered(answer: &Answer) -> Option<u64> {
    let range = answer.headers().get(RANGE)?.to_str().ok()?;
    let (_, last) = range.trim_start_matches("bytes=").split_once('-')?;
    last.parse::<u64>().ok()?.checked_add(1)
}
