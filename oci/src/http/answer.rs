//! What a server answers: status, headers, and a body that must keep moving. Unaware of what it means.

use std::fmt;
use std::io::{self, Read, Write};
use std::time::Instant;

use bytes::{Buf, Bytes};
use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap};
use reqwest::{Response, StatusCode, Url};

use super::patience::Window;
use super::retry::retry_after;
use super::{Client, Error, Request, Result, host_of, without_query};
use crate::compression::{self, Encoding};

/// Bytes that are copied at once.
const PIECE: usize = 256 << 10;
/// Bytes of an error's body that are read.
const LARGEST_ERROR: usize = 64 << 10;

/// An answer, whose body comes as it is read.
pub struct Answer {
    client: Client,
    response: Response,
    method: String,
    /// Whether the client asked for gzip.
    accepts_gzip: bool,
    window: Window,
    /// What has come and is not read yet, for readers.
    rest: Bytes,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {}", self.status(), without_query(self.url()))
    }
}

impl Answer {
    pub(super) fn new(client: &Client, request: &Request<'_>, response: Response) -> Self {
        let accepted = request.headers.get(ACCEPT_ENCODING);
        Self {
            client: client.clone(),
            response,
            method: request.method.to_string(),
            accepts_gzip: accepted.is_some_and(|accepted| accepted == "gzip"),
            window: Window::default(),
            rest: Bytes::new(),
        }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// A header as text of at most a kilobyte; `None` when it is absent, empty or longer.
    pub fn header(&self, name: impl reqwest::header::AsHeaderName) -> Option<String> {
        let text = self.headers().get(name)?.to_str().ok()?;
        Some(text.to_owned()).filter(|text| !text.is_empty() && text.len() <= 1024)
    }

    /// The address at the end of all redirects.
    pub fn url(&self) -> &Url {
        self.response.url()
    }

    /// Its host and port.
    pub fn host(&self) -> String {
        host_of(self.url())
    }

    /// Bytes of the body, where the server says so.
    pub fn length(&self) -> Option<u64> {
        self.response.content_length()
    }

    /// The next bytes of the body; `None` at its end.
    ///
    /// # Errors
    /// The connection broke, or too little comes.
    pub fn chunk(&mut self) -> Result<Option<Bytes>> {
        let (client, host) = (self.client.clone(), self.host());
        let (patience, what) = (&client.settings().patience, "more of a transfer");
        let began = Instant::now();
        let left = patience.stall.saturating_sub(self.window.waited);
        let bytes = match client.expect(&host, what, left, self.response.chunk()) {
            Ok(Ok(None)) => return Ok(None),
            Ok(Ok(Some(bytes))) => bytes,
            Ok(Err(error)) => return Err(patience.explain(&error, self.url())),
            Err(Error::Stalled { .. }) => Bytes::new(),
            Err(error) => return Err(error),
        };
        self.window.moved(bytes.len() as u64, began.elapsed());
        self.window.check(patience, &host, what)?;
        Ok(Some(bytes))
    }

    /// The body, which may have `limit` bytes.
    ///
    /// # Errors
    /// It does not come, or is larger.
    pub fn bytes(mut self, limit: usize) -> Result<Vec<u8>> {
        self.check_length(limit as u64)?;
        let mut body = Vec::new();
        while let Some(chunk) = self.chunk()? {
            if chunk.len() > limit - body.len() {
                return Err(self.too_large(limit as u64));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// Copies the body, which may have `limit` bytes, and calls `progress` with the bytes so far; how many there were. If the client asked
    /// for gzip, what the server compressed for the way is copied as it was before.
    ///
    /// # Errors
    /// It does not come, or is larger; of `into` as [`Error::Write`].
    pub fn copy(self, into: &mut dyn Write, limit: u64, progress: &dyn Fn(u64)) -> Result<u64> {
        self.check_length(limit)?;
        let (too_large, host) = (self.too_large(limit), self.host());
        let broken = |error: io::Error| Error::of_reader(error, &host);
        let mut content = self.decoded().map_err(broken)?;
        let (mut done, mut piece) = (0, vec![0; PIECE]);
        loop {
            let count = content.read(&mut piece).map_err(broken)?;
            if count == 0 {
                return Ok(done);
            }
            done += count as u64;
            if done > limit {
                return Err(too_large);
            }
            into.write_all(&piece[..count]).map_err(Error::Write)?;
            progress(done);
        }
    }

    fn decoded(self) -> io::Result<Box<dyn Read>> {
        let encoding = self.header(CONTENT_ENCODING).unwrap_or_default();
        let is_gzip = self.accepts_gzip && encoding.eq_ignore_ascii_case("gzip");
        match is_gzip && self.length() != Some(0) {
            true => compression::decoder(self, Encoding::Gzip),
            false => Ok(Box::new(self)),
        }
    }

    /// This answer as an error; `say` makes words of its body, or none.
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    pub fn refused(self, say: impl Fn(&[u8]) -> String) -> Result<Error> {
        let (status, url, method) = (
            self.status(),
            without_query(self.url()),
            self.method.clone(),
        );
        let retry_after = retry_after(self.headers());
        let message = match self.bytes(LARGEST_ERROR) {
            Ok(body) => say(&body),
            Err(Error::Cancelled) => return Err(Error::Cancelled),
            Err(_) => String::new(),
        };
        Ok(Error::Status {
            method,
            url,
            code: status.as_u16(),
            status: status.to_string(),
            message,
            retry_after,
        })
    }

    fn check_length(&self, limit: u64) -> Result<()> {
        match self.length() {
            Some(length) if length > limit => Err(self.too_large(limit)),
            _ => Ok(()),
        }
    }

    fn too_large(&self, limit: u64) -> Error {
        let url = without_query(self.url());
        Error::TooLarge { url, limit }
    }
}

impl Read for Answer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.chunk().map_err(io::Error::other)? {
                None => return Ok(0),
                Some(bytes) => self.rest = bytes,
            }
        }
        let count = buffer.len().min(self.rest.len());
        self.rest.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}
