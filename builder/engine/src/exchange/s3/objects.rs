//! Objects of a bucket: asked for, read, written, each with some tries. Unaware of what they are.

use crate::exchange::OpenBlob;
use crate::failure::{BackendError, ExportError};
use crate::source::fetch::web::{interruptible, reason, wait};
use crate::transfer::remote::Remote;
use reqwest::StatusCode;
use reqwest::blocking::{Body, Client, ClientBuilder, Response};
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

/// How long a signed address is good. A request that has begun goes on.
const SIGNED: Duration = Duration::from_secs(3600);
/// Until a connection is there.
const CONNECT: Duration = Duration::from_secs(20);
/// Until the head of an answer, and for each read after it.
const STALL: Duration = Duration::from_secs(60);
/// Bytes a second that an upload makes at least.
const SLOWEST: u64 = 64 << 10;
/// Tries in all, and the pause before the second, which doubles.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(500);
/// How much of an error's text is read.
const MAX_ERROR: u64 = 16 << 10;
/// How much is read at once.
const PIECE: usize = 256 << 10;

/// A bucket, and how to get at it.
pub(super) struct Objects {
    bucket: Bucket,
    credentials: Credentials,
    client: OnceLock<Client>,
}

/// Without the credentials.
impl std::fmt::Debug for Objects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Objects").field(&self.bucket).finish()
    }
}

/// Why a try failed, and whether another may not.
struct Failed {
    error: BackendError,
    passes: bool,
}

impl Objects {
    /// Of an endpoint (none: Amazon's of the region), bucket, region; key, secret and session token.
    pub(super) fn new(
        endpoint: Option<String>,
        path_style: bool,
        bucket: String,
        region: String,
        (key, secret, token): (String, String, Option<String>),
    ) -> Result<Self, ExportError> {
        let endpoint = endpoint.unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
        let wrong = |problem: String| ExportError::value("endpoint_url", &endpoint, &problem);
        let url = endpoint
            .parse()
            .map_err(|_| wrong("it is no address".to_owned()))?;
        let style = match path_style {
            true => UrlStyle::Path,
            false => UrlStyle::VirtualHost,
        };
        let bucket = Bucket::new(url, style, bucket, region);
        let credentials = match token {
            Some(token) => Credentials::new_with_token(key, secret, token),
            None => Credentials::new(key, secret),
        };
        Ok(Self {
            bucket: bucket.map_err(|error| wrong(error.to_string()))?,
            credentials,
            client: OnceLock::new(),
        })
    }

    /// An object of at most `most` bytes; `None` when there is none.
    pub(super) fn get(
        &self,
        remote: &Remote,
        key: &str,
        most: u64,
    ) -> Result<Option<Vec<u8>>, BackendError> {
        self.tries(remote, || {
            let Some(answer) = self.open(remote, key)? else {
                return Ok(None);
            };
            let mut bytes = Vec::new();
            let read = answer.take(most.saturating_add(1)).read_to_end(&mut bytes);
            read.map_err(|error| broken(key, &crate::failure::chain_of_causes(&error)))?;
            if bytes.len() as u64 > most {
                return Err(refused(key, format!("it has more than {most} bytes")));
            }
            Ok(Some(bytes))
        })
    }

    /// The size of an object; `None` when there is none. Who may not list a bucket is told that objects which are not there are
    /// forbidden: then writing it says what is wrong.
    pub(super) fn size(&self, remote: &Remote, key: &str) -> Result<Option<u64>, BackendError> {
        let url = self
            .bucket
            .head_object(Some(&self.credentials), key)
            .sign(SIGNED);
        self.tries(remote, || {
            let request = self.client(remote, key)?.head(url.clone());
            let answer = self.send(remote, key, request)?;
            match answer.status() {
                StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => Ok(None),
                status if status.is_success() => {
                    let length = answer.headers().get(reqwest::header::CONTENT_LENGTH);
                    let length = length.and_then(|text| text.to_str().ok()?.parse().ok());
                    Ok(Some(length.unwrap_or(0)))
                }
                _ => Err(unwelcome(key, answer)),
            }
        })
    }

    /// Writes an object to a file, from its start.
    pub(super) fn download(
        &self,
        remote: &Remote,
        key: &str,
        part: &Path,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), BackendError> {
        self.tries(remote, || {
            let Some(mut answer) = self.open(remote, key)? else {
                return Err(refused(key, "it is not there".to_owned()));
            };
            let local = |action| {
                move |source| Failed {
                    error: BackendError::io(action, part)(source),
                    passes: false,
                }
            };
            let mut file = File::create(part).map_err(local("write"))?;
            let (mut piece, mut done) = (vec![0; PIECE], 0);
            loop {
                if remote.cancel.requested() {
                    return Err(cancelled());
                }
                let count = answer.read(&mut piece);
                let count =
                    count.map_err(|error| broken(key, &crate::failure::chain_of_causes(&error)))?;
                if count == 0 {
                    return Ok(());
                }
                file.write_all(&piece[..count]).map_err(local("write"))?;
                done += count as u64;
                progress(done);
            }
        })
    }

    /// Writes an object of `size` bytes.
    pub(super) fn put(
        &self,
        remote: &Remote,
        key: &str,
        size: u64,
        open: OpenBlob<'_>,
    ) -> Result<(), BackendError> {
        let url = self
            .bucket
            .put_object(Some(&self.credentials), key)
            .sign(SIGNED);
        let time = STALL + Duration::from_secs(size / SLOWEST);
        self.tries(remote, || {
            let body = open().map_err(|source| Failed {
                error: BackendError::io("read", "a layer of the store")(source),
                passes: false,
            })?;
            let request = self.client(remote, key)?.put(url.clone()).timeout(time);
            let answer = self.send(remote, key, request.body(Body::sized(body, size)))?;
            match answer.status().is_success() {
                true => Ok(()),
                false => Err(unwelcome(key, answer)),
            }
        })
    }

    fn open(&self, remote: &Remote, key: &str) -> Result<Option<Response>, Failed> {
        let url = self
            .bucket
            .get_object(Some(&self.credentials), key)
            .sign(SIGNED);
        let answer = self.send(remote, key, self.client(remote, key)?.get(url))?;
        match answer.status() {
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() => Ok(Some(answer)),
            _ => Err(unwelcome(key, answer)),
        }
    }

    fn send(
        &self,
        remote: &Remote,
        key: &str,
        request: reqwest::blocking::RequestBuilder,
    ) -> Result<Response, Failed> {
        let sent = interruptible(&remote.cancel, move || request.send());
        let sent = sent.map_err(|_| cancelled())?;
        sent.map_err(|error| broken(key, &reason(&error)))
    }

    fn client(&self, remote: &Remote, key: &str) -> Result<&Client, Failed> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let _ = rustls::crypto::ring::default_provider().install_default();
        let proxies = remote.proxies.all();
        let proxies =
            proxies.map_err(|error| refused(key, crate::failure::chain_of_causes(&error)))?;
        let builder = || {
            let builder = Client::builder().user_agent(concat!("kiln/", env!("CARGO_PKG_VERSION")));
            let builder = builder.redirect(reqwest::redirect::Policy::none());
            let builder = builder.connect_timeout(CONNECT).timeout(STALL).no_proxy();
            proxies.iter().cloned().fold(builder, ClientBuilder::proxy)
        };
        // Without any certificate authority http still works, and https says what is wrong.
        let made = builder()
            .build()
            .or_else(|_| builder().tls_certs_only([]).build());
        let client = made.map_err(|error| refused(key, reason(&error)))?;
        Ok(self.client.get_or_init(|| client))
    }

    fn tries<T>(
        &self,
        remote: &Remote,
        attempt: impl Fn() -> Result<T, Failed>,
    ) -> Result<T, BackendError> {
        let mut pause = PAUSE;
        for _ in 1..TRIES {
            match attempt() {
                Err(failed) if failed.passes => {
                    wait(&remote.cancel, pause).map_err(|_| BackendError::Cancelled)?;
                    pause *= 2;
                }
                Err(failed) => return Err(failed.error),
                Ok(done) => return Ok(done),
            }
        }
        attempt().map_err(|failed| failed.error)
    }
}

fn cancelled() -> Failed {
    Failed {
        error: BackendError::Cancelled,
        passes: false,
    }
}

fn broken(key: &str, why: &str) -> Failed {
    Failed {
        passes: true,
        ..refused(key, why.to_owned())
    }
}

fn refused(key: &str, why: String) -> Failed {
    Failed {
        error: BackendError::Object {
            key: key.to_owned(),
            why,
        },
        passes: false,
    }
}

/// An answer that says no: S3 tells the reason as XML.
fn unwelcome(key: &str, answer: Response) -> Failed {
    let status = answer.status();
    let mut text = String::new();
    // without a text the status alone is told
    let _ = answer.take(MAX_ERROR).read_to_string(&mut text);
    let said: Vec<&str> = ["Code", "Message"]
        .iter()
        .filter_map(|name| element(&text, name))
        .collect();
    let why = match said.is_empty() {
        true => status.to_string(),
        false => format!("{status} ({})", said.join(": ")),
    };
    Failed {
        passes: status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS,
        ..refused(key, why)
    }
}

/// The text of the first element of this name.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::element;

    #[test]
    fn reasons_are_taken_out_of_answers() {
        let xml = "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>no &amp; no</Message></Error>";
        assert_eq!(element(xml, "Code"), Some("AccessDenied"));
        assert_eq!(element(xml, "Message"), Some("no &amp; no"));
        assert_eq!(element("<Code>cut", "Code"), None);
    }
}
