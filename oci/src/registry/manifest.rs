//! Manifests and indexes, read from and written to a registry, as bytes. Unaware of what they name.

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use super::Fetched;
use super::endpoint::Endpoint;
use super::error::{Error, Result};
use super::exchange::{Payload, Request};
use super::session::Session;
use super::transport::host_of;
use crate::digest::Digest;
use crate::document::MAX_DOCUMENT;
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

impl Session {
    /// The manifest or index that `reference` names, checked against its digest.
    pub(super) async fn manifest(
        &self,
        endpoint: &Endpoint,
        reference: &Reference,
    ) -> Result<Fetched> {
        let request = self
            .manifest_request(Method::GET, endpoint, reference)
            .await?;
        let mut tries = 1;
        loop {
            let response = self.ask(endpoint, &request, &[StatusCode::OK]).await?;
            let headers = response.headers().clone();
            let host = host_of(response.url());
            let bytes = self.body(response, MAX_DOCUMENT).await;
            let bytes = match bytes {
                // The answer broke off: the same as a wrong one.
                Err(error) if error.is_passing() && tries < TRIES => {
                    tries += 1;
                    continue;
                }
                bytes => bytes?,
            };
            match verify(&bytes, &headers, reference, &host) {
                Err(_) if tries < TRIES => tries += 1,
                Err(error) => return Err(error),
                Ok(digest) => return fetched(digest, bytes, &headers, reference, &host),
            }
        }
    }

    /// The digest of what `reference` names, without fetching it where the registry tells.
    pub(super) async fn manifest_digest(
        &self,
        endpoint: &Endpoint,
        reference: &Reference,
    ) -> Result<Digest> {
        let request = self
            .manifest_request(Method::HEAD, endpoint, reference)
            .await?;
        let hoped = [
            StatusCode::OK,
            StatusCode::METHOD_NOT_ALLOWED,
            StatusCode::BAD_REQUEST,
        ];
        let response = self.ask(endpoint, &request, &hoped).await?;
        if response.status() == StatusCode::OK
            && let Some(digest) = told_digest(response.headers())
            && reference.digest.is_none_or(|wanted| wanted == digest)
        {
            return Ok(digest);
        }
        Ok(self.manifest(endpoint, reference).await?.digest)
    }

    async fn manifest_request(
        &self,
        method: Method,
        endpoint: &Endpoint,
        reference: &Reference,
    ) -> Result<Request<'static>> {
        let url = self.address(endpoint, &path(endpoint, reference)).await?;
        let mut request = Request::new(method, url, endpoint, self).called(reference.to_string());
        for accepted in ACCEPTED {
            let accepted = HeaderValue::from_static(accepted);
            request.headers.append(ACCEPT, accepted);
        }
        Ok(request)
    }

    /// Writes a manifest or index under the tag or digest of `reference`.
    pub(super) async fn push_manifest(
        &self,
        endpoint: &Endpoint,
        reference: &Reference,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<Digest> {
        let digest = Digest::of(bytes);
        if let Some(wanted) = reference.digest.filter(|wanted| *wanted != digest) {
            return Err(Error::Content {
                host: endpoint.host.clone(),
                expected: wanted,
                actual: format!("the manifest to push is {digest}"),
            });
        }
        let url = self.address(endpoint, &path(endpoint, reference)).await?;
        let mut request = Request::new(Method::PUT, url, endpoint, self)
            .pushing(endpoint)
            .called(reference.to_string());
        let kind = HeaderValue::from_str(media_type).map_err(|_| Error::Setting {
            what: "the media type of a manifest",
            reason: format!("{media_type:?} is none"),
        })?;
        request.headers.insert(CONTENT_TYPE, kind);
        request.payload = Payload::Bytes(bytes.to_vec().into());
        let hoped = [StatusCode::CREATED, StatusCode::OK, StatusCode::ACCEPTED];
        let response = self.ask(endpoint, &request, &hoped).await?;
        check_stored(&response, digest)?;
        Ok(digest)
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

fn check_stored(response: &Response, digest: Digest) -> Result<()> {
    match told_digest(response.headers()) {
        Some(told) if told != digest => Err(Error::Content {
            host: host_of(response.url()),
            expected: digest,
            actual: format!("it says that it stored {told}"),
        }),
        _ => Ok(()),
    }
}

fn verify(bytes: &[u8], headers: &HeaderMap, wanted: &Reference, host: &str) -> Result<Digest> {
    let digest = Digest::of(bytes);
    let expected = [wanted.digest, told_digest(headers)];
    match expected.into_iter().flatten().find(|e| *e != digest) {
        None => Ok(digest),
        Some(expected) => Err(Error::Content {
            host: host.into(),
            expected,
            actual: format!("its digest is {digest}"),
        }),
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

/// The media type of a document: its own, which the answer's must not contradict, else the answer's,
/// else by its shape. A document that could be read as both kinds is refused (CVE-2021-41190).
fn kind(bytes: &[u8], told: Option<&str>) -> std::result::Result<&'static str, String> {
    let shape: Shape =
        serde_json::from_slice(bytes).map_err(|error| format!("it is no manifest: {error}"))?;
    if shape.schema_version == Some(1) {
        return Err("it is of docker's schema 1, which nothing writes since 2019".into());
    }
    let is_index = shape.manifests.is_some();
    let is_image = shape.layers.is_some() || shape.config.is_some();
    if is_index == is_image {
        return Err(match is_index {
            true => "it is a manifest and an index at once".into(),
            false => "it is neither a manifest nor an index".into(),
        });
    }
    let told = told.map(|kind| kind.split(';').next().unwrap_or_default().trim());
    let known = |kind: &str| ACCEPTED.into_iter().find(|known| *known == kind);
    let (own, told) = (shape.media_type.as_deref(), told.and_then(known));
    let chosen = match (own, told) {
        (Some(own), told) => {
            let own = known(own).ok_or_else(|| format!("its type {own:?} is unknown"))?;
            if told.is_some_and(|told| told != own) {
                return Err(format!(
                    "it says that it is {own}, the answer says otherwise"
                ));
            }
            own
        }
        (None, Some(told)) => told,
        (None, None) if is_index => OCI_INDEX,
        (None, None) => OCI_MANIFEST,
    };
    if media_type::is_index(chosen) != is_index {
        return Err(format!("it has not the fields of {chosen}"));
    }
    Ok(chosen)
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
