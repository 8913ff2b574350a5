//! Manifests and indexes, read from and written to a registry, as bytes. Unaware of what they name.

use serde::Deserialize;
use serde_json::Value;

use super::endpoint::Endpoint;
use super::error::{Error, Result};
use super::exchange::Request;
use super::{Client, Fetched};
use crate::digest::Digest;
use crate::document::MAX_DOCUMENT;
use crate::http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use crate::http::{self, Body, Method, StatusCode};
use crate::media_type::{self, DOCKER_MANIFEST, DOCKER_MANIFEST_LIST, OCI_INDEX, OCI_MANIFEST};
use crate::reference::Reference;

/// The digest of what an answer carries.
const CONTENT_DIGEST: &str = "docker-content-digest";
/// All that kiln understands.
const ACCEPTED: [&str; 4] = [
    OCI_INDEX,
    DOCKER_MANIFEST_LIST,
    OCI_MANIFEST,
    DOCKER_MANIFEST,
];
/// How often a manifest with wrong content is fetched.
const TRIES: usize = 2;

/// What decides which kind of document this is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    schema_version: Option<u64>,
    media_type: Option<String>,
    manifests: Option<Value>,
    layers: Option<Value>,
    config: Option<Value>,
}

impl Client {
    /// The manifest or index that `reference` names (by its digest, else its tag, else `latest`), checked against the digest. Mirrors are
    /// asked first.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the registry has none; [`Error`] otherwise.
    pub fn manifest(&self, reference: &Reference) -> Result<Fetched> {
        self.ask_places(reference, |endpoint| self.manifest_at(endpoint, reference))
    }

    /// The digest of what `reference` names now, by a HEAD request where the registry answers it.
    ///
    /// # Errors
    /// As [`Client::manifest`].
    pub fn manifest_digest(&self, reference: &Reference) -> Result<Digest> {
        self.ask_places(reference, |endpoint| {
            let request = self.manifest_request(Method::HEAD, endpoint, reference)?;
            let hoped = [
                StatusCode::OK,
                StatusCode::METHOD_NOT_ALLOWED,
                StatusCode::BAD_REQUEST,
            ];
            let answer = self.ask(endpoint, &request, &hoped)?;
            let told = told_digest(answer.headers()).filter(|_| answer.status() == StatusCode::OK);
            match told.filter(|told| reference.digest.is_none_or(|wanted| wanted == *told)) {
                Some(told) => Ok(told),
                None => Ok(self.manifest_at(endpoint, reference)?.digest),
            }
        })
    }

    fn manifest_at(&self, endpoint: &Endpoint, reference: &Reference) -> Result<Fetched> {
        let request = self.manifest_request(Method::GET, endpoint, reference)?;
        let mut tries = 1;
        loop {
            let answer = self.ask(endpoint, &request, &[StatusCode::OK])?;
            let (headers, host) = (answer.headers().clone(), answer.host());
            let is_last = tries == TRIES;
            tries += 1;
            let bytes = match answer.bytes(MAX_DOCUMENT) {
                // The answer broke off: the same as a wrong one.
                Err(error) if error.is_passing() && !is_last => continue,
                bytes => bytes?,
            };
            match verify(&bytes, &headers, reference, &host) {
                Err(_) if !is_last => {}
                digest => return fetched(digest?, bytes, &headers, reference, &host),
            }
        }
    }

    fn manifest_request(
        &self,
        method: Method,
        endpoint: &Endpoint,
        reference: &Reference,
    ) -> Result<Request<'static>> {
        let request = self.request(method, endpoint, &path(endpoint, reference))?;
        let mut request = request.called(reference.to_string());
        for accepted in ACCEPTED {
            let accepted = HeaderValue::from_static(accepted);
            request.http.headers.append(ACCEPT, accepted);
        }
        Ok(request)
    }

    /// Puts a manifest or index under the tag of `reference`, or its digest where it has one; its digest.
    ///
    /// # Errors
    /// [`Error`], also when the digest of `reference` is another one.
    pub fn push_manifest(
        &self,
        reference: &Reference,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<Digest> {
        let (endpoint, digest) = (self.origin(reference), Digest::of(bytes));
        if let Some(wanted) = reference.digest.filter(|wanted| *wanted != digest) {
            let actual = format!("the manifest to push is {digest}");
            return Err(wrong(&endpoint.host, wanted, actual));
        }
        let request = self.request(Method::PUT, &endpoint, &path(&endpoint, reference))?;
        let mut request = request.pushing(&endpoint).called(reference.to_string());
        let kind = HeaderValue::from_str(media_type);
        let kind = kind.map_err(|_| http::Error::Setting {
            what: "the media type of a manifest",
            reason: format!("{media_type:?} cannot be sent"),
        })?;
        request.http.headers.insert(CONTENT_TYPE, kind);
        request.http.body = Body::Bytes(bytes.to_vec().into());
        let hoped = [StatusCode::CREATED, StatusCode::OK, StatusCode::ACCEPTED];
        let answer = self.ask(&endpoint, &request, &hoped)?;
        match told_digest(answer.headers()).filter(|told| *told != digest) {
            Some(told) => {
                let actual = format!("it says that it stored {told}");
                Err(wrong(&answer.host(), digest, actual))
            }
            None => Ok(digest),
        }
    }
}

impl Client {
    /// Deletes the manifest or index with this digest from the repository of `reference`, and with it all tags that name it (OCI distribution
    /// specification, "Deleting Manifests"). What is not there counts as deleted.
    ///
    /// # Errors
    /// [`Error::NoDeletion`] when the registry deletes nothing; [`Error`] otherwise.
    pub fn delete_manifest(&self, reference: &Reference, digest: Digest) -> Result<()> {
        let endpoint = self.origin(reference);
        let path = endpoint.path(&format!("manifests/{digest}"));
        let request = self.request(Method::DELETE, &endpoint, &path)?;
        let request = request.deleting(&endpoint).called(digest.to_string());
        let hoped = [
            StatusCode::ACCEPTED,
            StatusCode::OK,
            StatusCode::NO_CONTENT,
            StatusCode::NOT_FOUND,
            StatusCode::METHOD_NOT_ALLOWED,
        ];
        let answer = self.ask(&endpoint, &request, &hoped)?;
        match answer.status() {
            StatusCode::METHOD_NOT_ALLOWED => Err(Error::NoDeletion {
                host: answer.host(),
            }),
            _ => Ok(()),
        }
    }
}

fn wrong(host: &str, expected: Digest, actual: String) -> Error {
    Error::Content {
        host: host.into(),
        expected,
        actual,
    }
}

fn path(endpoint: &Endpoint, reference: &Reference) -> String {
    match reference.digest {
        Some(digest) => endpoint.path(&format!("manifests/{digest}")),
        None => endpoint.path(&format!("manifests/{}", reference.tag_or_latest())),
    }
}

/// What the registry says that it has; other algorithms than SHA-256 are no statement.
fn told_digest(headers: &HeaderMap) -> Option<Digest> {
    headers.get(CONTENT_DIGEST)?.to_str().ok()?.parse().ok()
}

fn verify(bytes: &[u8], headers: &HeaderMap, wanted: &Reference, host: &str) -> Result<Digest> {
    let digest = Digest::of(bytes);
    let expected = [wanted.digest, told_digest(headers)];
    match expected.into_iter().flatten().find(|e| *e != digest) {
        None => Ok(digest),
        Some(expected) => Err(wrong(host, expected, format!("its digest is {digest}"))),
    }
}

fn fetched(
    digest: Digest,
    bytes: Vec<u8>,
    headers: &HeaderMap,
    reference: &Reference,
    host: &str,
) -> Result<Fetched> {
    let told = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let media_type = kind(&bytes, told).map_err(|reason| Error::Manifest {
        what: reference.to_string(),
        host: host.into(),
        reason,
    })?;
    Ok(Fetched {
        digest,
        media_type: media_type.into(),
        bytes,
    })
}

/// The media type of a document: its own, which the answer's must not contradict, else the answer's, else by its shape. A document that
/// could be read as both kinds is refused (CVE-2021-41190).
fn kind(bytes: &[u8], told: Option<&str>) -> std::result::Result<&'static str, String> {
    let shape: Shape = serde_json::from_slice(bytes).map_err(|error| no_manifest(bytes, &error))?;
    let is_index = shape.manifests.is_some();
    let is_image = shape.layers.is_some() || shape.config.is_some();
    match (is_index, is_image) {
        _ if shape.schema_version == Some(1) => {
            return Err("it is of docker's schema 1, which nothing writes since 2019".into());
        }
        (true, true) => return Err("it is a manifest and an index at once".into()),
        (false, false) => return Err("it is neither a manifest nor an index".into()),
        _ => {}
    }
    let told = told.and_then(|kind| known(kind.split(';').next().unwrap_or_default().trim()));
    let by_shape = if is_index { OCI_INDEX } else { OCI_MANIFEST };
    let chosen = match shape.media_type {
        Some(own) => known(&own).ok_or_else(|| format!("its type {own:?} is unknown"))?,
        None => told.unwrap_or(by_shape),
    };
    if told.is_some_and(|told| told != chosen) {
        return Err(format!(
            "it says that it is {chosen}, the answer says otherwise"
        ));
    }
    match media_type::is_index(chosen) == is_index {
        true => Ok(chosen),
        false => Err(format!("it lacks the fields of {chosen}")),
    }
}

fn known(kind: &str) -> Option<&'static str> {
    ACCEPTED.into_iter().find(|known| *known == kind)
}

/// What came in the place of a manifest.
fn no_manifest(bytes: &[u8], error: &serde_json::Error) -> String {
    match bytes.trim_ascii_start().starts_with(b"<") {
        true => "it is a web page: a proxy, or the portal of a network, answers in the place of the registry".to_owned(),
        false => format!("it is no manifest: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_is_the_document_s_own() {
        let image = |own: &str| format!(r#"{{"schemaVersion":2{own},"config":{{}},"layers":[]}}"#);
        let own = format!(r#","mediaType":"{DOCKER_MANIFEST}""#);
        let kind = |text: &str, told| kind(text.as_bytes(), told);
        assert_eq!(kind(&image(&own), None), Ok(DOCKER_MANIFEST));
        let with_charset = format!("{DOCKER_MANIFEST}; charset=utf-8");
        assert_eq!(kind(&image(&own), Some(&with_charset)), Ok(DOCKER_MANIFEST));
        assert_eq!(kind(&image(""), Some(DOCKER_MANIFEST)), Ok(DOCKER_MANIFEST));
        assert_eq!(kind(&image(""), Some("text/plain")), Ok(OCI_MANIFEST));
        assert_eq!(kind(r#"{"manifests":[]}"#, None), Ok(OCI_INDEX));
    }

    #[test]
    fn ambiguous_documents_are_refused() {
        for (text, told, reason) in [
            (r#"{"manifests":[],"layers":[]}"#, None, "at once"),
            (r#"{"manifests":[]}"#, Some(OCI_MANIFEST), "fields"),
            (r#"{"config":{},"mediaType":"x"}"#, None, "unknown"),
            (r#"{"schemaVersion":1,"fsLayers":[]}"#, None, "schema 1"),
            ("{}", None, "neither"),
            ("[]", None, "no manifest"),
        ] {
            let error = kind(text.as_bytes(), told).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
        let own = format!(r#"{{"config":{{}},"mediaType":"{OCI_MANIFEST}"}}"#);
        assert!(kind(own.as_bytes(), Some(DOCKER_MANIFEST)).is_err());
        let deep = format!(r#"{{"config":{}{}}}"#, "[".repeat(200), "]".repeat(200));
        assert!(
            kind(deep.as_bytes(), None)
                .unwrap_err()
                .contains("recursion")
        );
    }
}
