//! Objects of a bucket: asked for, read, written, each with some tries. Unaware of what they are.

use crate::exchange::OpenBlob;
use crate::failure::{BackendError, ExportError};
use crate::transfer::remote::Remote;
use jiff::Timestamp;
use kiln_oci::http::header::CONTENT_LENGTH;
use kiln_oci::http::{Answer, Body, Error, Method, Redirects, Request, StatusCode, Upload, Url};
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use std::fs::File;
use std::path::Path;
use std::time::Duration;

/// Bytes of a page of a list: a thousand keys of a kilobyte, and what is said of them.
const MAX_LIST: u64 = 4 << 20;
/// How long a signed address is good. A request that has begun goes on.
const SIGNED: Duration = Duration::from_secs(3600);

/// A bucket, and how to get at it.
#[derive(Clone)]
pub(super) struct Objects {
    bucket: Bucket,
    credentials: Credentials,
}

/// Without the credentials.
impl std::fmt::Debug for Objects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Objects").field(&self.bucket).finish()
    }
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
        let wrong = |problem: &str| ExportError::value("endpoint_url", &endpoint, problem);
        let url = endpoint.parse().map_err(|_| wrong("it is no address"))?;
        let style = match path_style {
            true => UrlStyle::Path,
            false => UrlStyle::VirtualHost,
        };
        let bucket = Bucket::new(url, style, bucket, region);
        Ok(Self {
            bucket: bucket.map_err(|error| wrong(&error.to_string()))?,
            credentials: match token {
                Some(token) => Credentials::new_with_token(key, secret, token),
                None => Credentials::new(key, secret),
            },
        })
    }

    /// An object of at most `most` bytes; `None` when it does not exist.
    pub(super) fn get(
        &self,
        remote: &Remote,
        key: &str,
        most: u64,
    ) -> Result<Option<Vec<u8>>, BackendError> {
        let got = remote.http.repeat(|| {
            let Some(answer) = self.open(remote, key)? else {
                return Ok(None);
            };
            let mut bytes = Vec::new();
            answer.copy(&mut bytes, most, &|_| {})?;
            Ok(Some(bytes))
        });
        got.map_err(|error| failure(key, error))
    }

    /// The size of an object; `None` when it does not exist. To a user who may not list the bucket, S3 says that objects which are not there are
    /// forbidden: then the attempt to write them says what is wrong.
    pub(super) fn size(&self, remote: &Remote, key: &str) -> Result<Option<u64>, BackendError> {
        let url = self.bucket.head_object(Some(&self.credentials), key);
        let url = url.sign(SIGNED);
        let size = remote.http.repeat(|| {
            let answer = remote
                .http
                .send(&request(remote, Method::HEAD, &url), None)?;
            match answer.status() {
                StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => Ok(None),
                status if status.is_success() => {
                    let length = answer.header(CONTENT_LENGTH);
                    Ok(Some(
                        length.and_then(|length| length.parse().ok()).unwrap_or(0),
                    ))
                }
                _ => Err(answer.refused(said)?),
            }
        });
        size.map_err(|error| failure(key, error))
    }

    /// Writes an object to a file, from its start.
    pub(super) fn download(
        &self,
        remote: &Remote,
        key: &str,
        part: &Path,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), BackendError> {
        let downloaded = remote.http.repeat(|| {
            let Some(answer) = self.open(remote, key)? else {
                return Ok(false);
            };
            let mut file = File::create(part).map_err(Error::Write)?;
            answer.copy(&mut file, u64::MAX, progress)?;
            Ok(true)
        });
        match downloaded {
            Ok(true) => Ok(()),
            Ok(false) => Err(refused(key, "it is not there".to_owned())),
            Err(Error::Write(source)) => Err(BackendError::io("write", part)(source)),
            Err(error) => Err(failure(key, error)),
        }
    }

    /// Writes an object of `size` bytes.
    pub(super) fn put(
        &self,
        remote: &Remote,
        key: &str,
        size: u64,
        open: OpenBlob<'_>,
    ) -> Result<(), BackendError> {
        let url = self.bucket.put_object(Some(&self.credentials), key);
        let url = url.sign(SIGNED);
        let body = || Upload::new(open()?, size);
        let put = remote.http.repeat(|| {
            let mut request = request(remote, Method::PUT, &url);
            request.limit = remote.http.settings().patience.commit;
            request.body = match size {
                0 => Body::Empty,
                _ => Body::Stream(&body),
            };
            let answer = remote.http.send(&request, None)?;
            match answer.status().is_success() {
                true => Ok(()),
                false => Err(answer.refused(said)?),
            }
        });
        put.map_err(|error| failure(key, error))
    }

    /// All objects whose keys begin so.
    pub(super) fn list(&self, remote: &Remote, prefix: &str) -> Result<Vec<Object>, BackendError> {
        let (mut objects, mut token) = (Vec::new(), None);
        loop {
            let page = self.page(remote, prefix, token)?;
            objects.extend(page.split("<Contents>").skip(1).filter_map(Object::read));
            token = element(&page, "NextContinuationToken").map(unescaped);
            if token.is_none() {
                return Ok(objects);
            }
        }
    }

    /// To get the bucket itself, with these queries, is to list it (ListObjectsV2).
    fn page(
        &self,
        remote: &Remote,
        prefix: &str,
        token: Option<String>,
    ) -> Result<String, BackendError> {
        let mut action = self.bucket.get_object(Some(&self.credentials), "");
        let query = action.query_mut();
        query.insert("list-type", "2");
        query.insert("prefix", prefix.to_owned());
        if let Some(token) = token {
            query.insert("continuation-token", token);
        }
        let url = action.sign(SIGNED);
        let got = remote.http.repeat(|| {
            let asked = request(remote, Method::GET, &url);
            let mut bytes = Vec::new();
            received(remote.http.send(&asked, None)?)?.copy(&mut bytes, MAX_LIST, &|_| {})?;
            Ok(bytes)
        });
        let page = got.map_err(|error| failure(prefix, error))?;
        Ok(String::from_utf8_lossy(&page).into_owned())
    }

    /// Removes an object. It is no error if it does not exist.
    pub(super) fn remove(&self, remote: &Remote, key: &str) -> Result<(), BackendError> {
        let url = self.bucket.delete_object(Some(&self.credentials), key);
        let url = url.sign(SIGNED);
        let removed = remote.http.repeat(|| {
            let asked = request(remote, Method::DELETE, &url);
            let answer = remote.http.send(&asked, None)?;
            match answer.status() {
                StatusCode::NOT_FOUND => Ok(()),
                _ => received(answer).map(drop),
            }
        });
        removed.map_err(|error| failure(key, error))
    }

    fn open(&self, remote: &Remote, key: &str) -> Result<Option<Answer>, Error> {
        let url = self.bucket.get_object(Some(&self.credentials), key);
        let request = request(remote, Method::GET, &url.sign(SIGNED));
        let answer = remote.http.send(&request, None)?;
        match answer.status() {
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() => Ok(Some(answer)),
            _ => Err(answer.refused(said)?),
        }
    }
}

/// An answer that is no refusal.
fn received(answer: Answer) -> Result<Answer, Error> {
    match answer.status().is_success() {
        true => Ok(answer),
        false => Err(answer.refused(said)?),
    }
}

/// An object in a list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Object {
    pub(super) key: String,
    pub(super) size: u64,
    /// When it was written, seconds since 1970.
    pub(super) changed: u64,
}

impl Object {
    fn read(xml: &str) -> Option<Self> {
        let changed: Timestamp = element(xml, "LastModified")?.parse().ok()?;
        Some(Self {
            key: unescaped(element(xml, "Key")?),
            size: element(xml, "Size")?.parse().ok()?,
            changed: changed.as_second().unsigned_abs(),
        })
    }
}

/// A request whose address is signed, so that no other one may be asked.
fn request(remote: &Remote, method: Method, url: &Url) -> Request<'static> {
    let mut request = Request::new(&remote.http, method, url.clone());
    request.redirects = Redirects::Return;
    request
}

fn failure(key: &str, error: Error) -> BackendError {
    match error {
        Error::Cancelled => BackendError::Cancelled,
        Error::Source(source) => BackendError::io("read", "a layer of the store")(source),
        Error::TooLarge { limit, .. } => refused(key, format!("it has more than {limit} bytes")),
        Error::Status {
            status, message, ..
        } if message.is_empty() => refused(key, status),
        Error::Status {
            status, message, ..
        } => refused(key, format!("{status} ({message})")),
        error => refused(key, crate::failure::chain_of_causes(&error)),
    }
}

fn refused(key: &str, why: String) -> BackendError {
    BackendError::Object {
        key: key.to_owned(),
        why,
    }
}

/// The reason that S3 gives as XML.
fn said(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let said = ["Code", "Message"].map(|name| element(&text, name).unwrap_or_default());
    said.join(": ").trim_matches([':', ' ']).to_owned()
}

/// The text of the first element of this name.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text)
}

fn unescaped(text: &str) -> String {
    let text = text.replace("&lt;", "<").replace("&gt;", ">");
    text.replace("&quot;", "\"").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::{Object, element};

    #[test]
    fn lists_tell_keys_sizes_and_times() {
        let xml = "<Key>a&amp;b/c</Key><LastModified>1970-01-01T00:01:00.000Z</LastModified><ETag>&quot;x&quot;</ETag><Size>7</Size></Contents>";
        let object = Object::read(xml).unwrap();
        assert_eq!(
            (&*object.key, object.size, object.changed),
            ("a&b/c", 7, 60)
        );
        assert!(Object::read("<Key>a</Key>").is_none());
    }

    #[test]
    fn reasons_are_taken_out_of_answers() {
        let xml = "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>no &amp; no</Message></Error>";
        assert_eq!(element(xml, "Code"), Some("AccessDenied"));
        assert_eq!(element(xml, "Message"), Some("no &amp; no"));
        assert_eq!(element("<Code>cut", "Code"), None);
    }
}
