//! Pushing a blob (OCI distribution specification, "Pushing Blobs"): in one request where that works,
//! continued where the registry remembers a part, in pieces where one request is refused. Unaware of
//! what is in the blob.

use std::io::{self, Read};

use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderValue, RANGE};
use reqwest::{Method, Response, StatusCode, Url};

use super::endpoint::Endpoint;
use super::error::{Error, Result};
use super::exchange::{Payload, Request, location};
use super::retry::Attempts;
use super::session::Session;
use super::upload_body::{Rest, Source, Upload};
use crate::descriptor::Descriptor;
use crate::digest::Digest;

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
    session: &'a Session,
    endpoint: &'a Endpoint,
    blob: &'a Descriptor,
    open: Open<'a>,
    place: Option<Place>,
    /// The reader, between two pieces.
    rest: Rest,
    /// Whether one request was refused.
    in_pieces: bool,
}

impl Session {
    /// Pushes a blob; see [`Client::push_blob`](super::Client::push_blob).
    pub(super) async fn push_blob(
        &self,
        endpoint: &Endpoint,
        blob: &Descriptor,
        open: Open<'_>,
    ) -> Result<()> {
        let permit = self.wait(self.transfers.acquire()).await?;
        let _permit = permit.map_err(|error| Error::Start(io::Error::other(error)))?;
        let mut push = Push {
            session: self,
            endpoint,
            blob,
            open,
            place: None,
            rest: Rest::default(),
            in_pieces: false,
        };
        push.run().await
    }

    /// Mounts a blob of the repository `from`; see [`Client::mount_blob`](super::Client::mount_blob).
    pub(super) async fn mount_blob(
        &self,
        endpoint: &Endpoint,
        from: &str,
        digest: Digest,
    ) -> Result<bool> {
        let mut url = self
            .address(endpoint, &endpoint.path("blobs/uploads/"))
            .await?;
        url.query_pairs_mut()
            .append_pair("mount", &digest.to_string())
            .append_pair("from", from);
        let mut request = Request::new(Method::POST, url, endpoint, self).pushing(endpoint);
        request.scopes.push(format!("repository:{from}:pull"));
        request
            .headers
            .insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        let hoped = [StatusCode::CREATED, StatusCode::ACCEPTED];
        match self.ask(endpoint, &request, &hoped).await {
            Ok(response) if response.status() == StatusCode::CREATED => Ok(true),
            Ok(response) => {
                // An upload was begun in place of the mount; nobody goes on with it.
                if let Ok(url) = location(&response) {
                    let cancel =
                        Request::new(Method::DELETE, url, endpoint, self).pushing(endpoint);
                    let _ = self
                        .ask_once(endpoint, &cancel, &[StatusCode::NO_CONTENT])
                        .await;
                }
                self.check().map(|()| false)
            }
            Err(
                Error::Denied { .. }
                | Error::NotFound { .. }
                | Error::Status { .. }
                | Error::Token { .. },
            ) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Push<'_> {
    async fn run(&mut self) -> Result<()> {
        let (mut failures, mut furthest) = (0, 0);
        loop {
            let error = match self.advance().await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            if self.refused(&error) {
                continue;
            }
            // Some proxies hang up in place of an answer when a body is too large for them.
            self.in_pieces |= failures > 0 && matches!(error, Error::Broken { .. });
            let mut attempts = Attempts::after(self.session, failures, false);
            failures += 1;
            attempts.failed(error).await?;
            self.recover().await?;
            let reached = self.place.as_ref().map_or(0, |place| place.offset);
            if reached >= furthest + PROGRESS {
                (failures, furthest) = (0, reached);
            }
        }
    }

    /// Whether a failure means that a whole blob is too much at once: then it goes in pieces.
    fn refused(&mut self, error: &Error) -> bool {
        let too_much = matches!(
            error,
            Error::Status {
                code: 400 | 405 | 411 | 413 | 415 | 501,
                ..
            }
        );
        if self.in_pieces || !too_much {
            return false;
        }
        self.in_pieces = true;
        self.place = None;
        true
    }

    /// From where the upload stands to its end.
    async fn advance(&mut self) -> Result<()> {
        if self.place.is_none() {
            self.place = Some(self.begin().await?);
        }
        loop {
            let Some(place) = &self.place else {
                return Ok(());
            };
            let left = self.blob.size - place.offset;
            if left == 0 || (place.offset == 0 && !self.in_pieces) {
                return self.put(place).await;
            }
            let piece = match self.in_pieces {
                true => left.min(PIECE.max(place.least_piece).min(LARGEST_PIECE)),
                false => left,
            };
            self.place = Some(self.patch(place, piece).await?);
        }
    }

    async fn begin(&self) -> Result<Place> {
        let path = self.endpoint.path("blobs/uploads/");
        let url = self.session.address(self.endpoint, &path).await?;
        let mut request = self.request(Method::POST, url);
        request
            .headers
            .insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        let response = self
            .session
            .ask_once(self.endpoint, &request, &[StatusCode::ACCEPTED])
            .await?;
        let least = response.headers().get(LEAST_PIECE);
        let least = least.and_then(|least| least.to_str().ok()?.parse().ok());
        Ok(Place {
            url: location(&response)?,
            offset: 0,
            least_piece: least.unwrap_or(0),
        })
    }

    /// The end of an upload, with all of the blob, or with what was sent before.
    async fn put(&self, place: &Place) -> Result<()> {
        let mut url = place.url.clone();
        url.query_pairs_mut()
            .append_pair("digest", &self.blob.digest.to_string());
        let body = || self.body(place.offset, self.blob.size - place.offset);
        let mut request = self.request(Method::PUT, url);
        request.limit = self.session.settings.patience.commit;
        let kind = HeaderValue::from_static("application/octet-stream");
        request.headers.insert(CONTENT_TYPE, kind);
        if place.offset < self.blob.size {
            request.payload = Payload::Stream(&body);
        } else {
            request
                .headers
                .insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let hoped = [StatusCode::CREATED, StatusCode::NO_CONTENT];
        self.session
            .ask_once(self.endpoint, &request, &hoped)
            .await
            .map(drop)
    }

    /// The next `length` bytes.
    async fn patch(&self, place: &Place, length: u64) -> Result<Place> {
        let body = || self.body(place.offset, length);
        let mut request = self.request(Method::PATCH, place.url.clone());
        request.payload = Payload::Stream(&body);
        let kind = HeaderValue::from_static("application/octet-stream");
        request.headers.insert(CONTENT_TYPE, kind);
        let last = place.offset + length - 1;
        if let Ok(range) = HeaderValue::from_str(&format!("{}-{last}", place.offset)) {
            request.headers.insert(CONTENT_RANGE, range);
        }
        let hoped = [
            StatusCode::ACCEPTED,
            StatusCode::NO_CONTENT,
            StatusCode::CREATED,
        ];
        let response = self
            .session
            .ask_once(self.endpoint, &request, &hoped)
            .await?;
        Ok(Place {
            url: location(&response)?,
            offset: place.offset + length,
            least_piece: place.least_piece,
        })
    }

    /// After a failure: asks what the registry remembers; a new upload where it does not say.
    async fn recover(&mut self) -> Result<()> {
        let Some(place) = self.place.take() else {
            return Ok(());
        };
        let request = self.request(Method::GET, place.url.clone());
        let hoped = [StatusCode::NO_CONTENT, StatusCode::OK];
        let asked = self.session.ask_once(self.endpoint, &request, &hoped);
        let response = match asked.await {
            Ok(response) => response,
            Err(Error::Cancelled) => return Err(Error::Cancelled),
            Err(_) => return Ok(()),
        };
        let offset = remembered(&response).filter(|offset| *offset <= self.blob.size);
        // A single byte looks like none: `0-0` is both.
        if let Some(offset) = offset.filter(|offset| *offset > 1) {
            self.place = Some(Place {
                url: location(&response).unwrap_or(place.url),
                offset,
                least_piece: place.least_piece,
            });
        }
        Ok(())
    }

    fn request(&self, method: Method, url: Url) -> Request<'static> {
        Request::new(method, url, self.endpoint, self.session).pushing(self.endpoint)
    }

    /// The part of the blob from `offset`.
    fn body(&self, offset: u64, length: u64) -> Result<Upload> {
        let digest = self.blob.digest;
        let wrong = |source| Error::Source { digest, source };
        if let Some(source) = self.rest.take(offset) {
            return Upload::new(source, digest, length, self.rest.clone());
        }
        let mut reader = (self.open)().map_err(wrong)?;
        let skipped = io::copy(&mut (&mut reader).take(offset), &mut io::sink()).map_err(wrong)?;
        if skipped < offset {
            return Err(wrong(io::ErrorKind::UnexpectedEof.into()));
        }
        let source = Source { reader, offset };
        Upload::new(source, digest, length, self.rest.clone())
    }
}

/// Bytes that an upload has, by the answer's `Range: 0-<last>`.
fn remembered(response: &Response) -> Option<u64> {
    let range = response.headers().get(RANGE)?.to_str().ok()?;
    let (_, last) = range.trim_start_matches("bytes=").split_once('-')?;
    last.parse::<u64>().ok()?.checked_add(1)
}
