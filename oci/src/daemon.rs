//! An engine's daemon as far as images go into it: what it has, loading, names. The calls are those of docker's Engine API ("Image" in its
//! reference), which podman answers too. Unaware of how archives are made and of which daemon is meant.
//!
//! Calls go without a version, which means the newest that the daemon knows: what is used here has been the same since API 1.24.

mod address;
mod error;

pub use address::Address;
pub use error::DaemonError;

use std::io::Read;

use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::http::{Answer, Body, Client, Request, Settings, Upload};
use crate::{Digest, Platform, Reference};

/// Bytes of an answer that are read.
const MOST: usize = 64 << 20;
/// What docker says of a store that names images by their manifests.
const CONTAINERD: &str = "io.containerd.snapshotter.v1";

/// A daemon.
#[derive(Debug)]
pub struct Daemon {
    client: Client,
    address: Address,
    base: Url,
}

/// What a daemon has under a name or an ID.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct HeldImage {
    /// Its ID: the digest of the config, or of the manifest where images are stored as containerd does.
    pub id: String,
    /// When it was made, as its config says it.
    #[serde(default)]
    pub created: String,
    /// Its layers.
    #[serde(default, rename = "RootFS")]
    pub root_fs: HeldLayers,
    /// Its operating system.
    #[serde(default)]
    pub os: String,
    /// Its processor.
    #[serde(default)]
    pub architecture: String,
}

impl HeldImage {
    /// What it is for.
    #[must_use]
    pub fn platform(&self) -> Platform {
        Platform::new(&self.os, &self.architecture)
    }
}

/// The layers of an image, bottom first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct HeldLayers {
    /// Diff IDs.
    #[serde(default)]
    pub layers: Vec<Digest>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Info {
    #[serde(default)]
    driver_status: Option<Vec<(String, String)>>,
}

/// A line of what `load` answers; only failures count.
#[derive(Deserialize)]
struct Progress {
    /// docker's.
    error: Option<String>,
    /// podman's.
    cause: Option<String>,
    message: Option<String>,
}

impl Daemon {
    /// The daemon at an address; nothing is asked yet. A socket of the settings is replaced.
    pub fn at(address: Address, settings: Settings) -> Self {
        let socket = address.socket().map(Into::into);
        let client = Client::new(Settings { socket, ..settings });
        let base = address.url();
        Daemon {
            client,
            address,
            base,
        }
    }

    /// Whether its images are stored as containerd stores them: an ID is then the digest of a manifest.
    ///
    /// # Errors
    /// It does not answer.
    pub fn names_manifests(&self) -> Result<bool, DaemonError> {
        let info: Option<Info> = self.get(&["info"])?;
        let status = info.and_then(|info| info.driver_status).unwrap_or_default();
        Ok(status.iter().any(|(_, value)| value == CONTAINERD))
    }

    /// The IDs of all images, newest first.
    ///
    /// # Errors
    /// It does not answer.
    pub fn images(&self) -> Result<Vec<String>, DaemonError> {
        let listed: Option<Vec<Listed>> = self.get(&["images", "json"])?;
        let listed = listed.unwrap_or_default().into_iter();
        Ok(listed.map(|image| image.id).collect())
    }

    /// What it has under a name or an ID.
    ///
    /// # Errors
    /// It does not answer.
    pub fn find(&self, image: &str) -> Result<Option<HeldImage>, DaemonError> {
        self.get(&["images", image, "json"])
    }

    /// Loads an archive of so many bytes, which names its images.
    ///
    /// # Errors
    /// What the daemon says against it: that stands in the body of an answer whose status is 200.
    pub fn load(&self, archive: &dyn Fn() -> std::io::Result<Upload>) -> Result<(), DaemonError> {
        let mut url = self.path(&["images", "load"]);
        url.set_query(Some("quiet=1"));
        let mut request = Request::new(&self.client, Method::POST, url);
        let tar = HeaderValue::from_static("application/x-tar");
        request.headers.insert(CONTENT_TYPE, tar);
        request.body = Body::Stream(archive);
        request.limit = self.client.settings().patience.commit;
        let mut answer = self.accepted(&request)?;
        let mut text = String::new();
        let limited = answer.by_ref().take(MOST as u64).read_to_string(&mut text);
        limited.map_err(|source| DaemonError::answer(&self.address, source.to_string()))?;
        match text.lines().find_map(failure) {
            Some(message) => Err(DaemonError::refused(&self.address, message)),
            None => Ok(()),
        }
    }

    /// An archive with an image, which has its names only if one of them is asked for.
    ///
    /// # Errors
    /// There is no such image, or the daemon does not answer.
    pub fn save(&self, image: &str) -> Result<impl Read + Send + use<>, DaemonError> {
        let url = self.path(&["images", image, "get"]);
        self.accepted(&Request::new(&self.client, Method::GET, url))
    }

    /// Gives an image a name.
    ///
    /// # Errors
    /// There is no such image, or the daemon does not answer.
    pub fn tag(&self, image: &str, name: &Reference) -> Result<(), DaemonError> {
        let mut url = self.path(&["images", image, "tag"]);
        let (repository, tag) = (name.familiar_name(), name.tag.clone());
        url.query_pairs_mut()
            .append_pair("repo", &repository)
            .append_pair("tag", &tag.unwrap_or_default());
        let request = Request::new(&self.client, Method::POST, url);
        self.accepted(&request).map(drop)
    }

    /// Takes a name away, and what has no other one.
    ///
    /// # Errors
    /// The daemon does not answer. That there is no such name is none.
    pub fn untag(&self, name: &Reference) -> Result<(), DaemonError> {
        let mut url = self.path(&["images", &name.familiar()]);
        url.set_query(Some("noprune=1"));
        let request = Request::new(&self.client, Method::DELETE, url);
        self.found(&request).map(drop)
    }

    fn path(&self, parts: &[&str]) -> Url {
        let mut url = self.base.clone();
        // it has a host, so it can have a path
        if let Ok(mut path) = url.path_segments_mut() {
            path.clear();
            for part in parts {
                path.extend(part.split('/'));
            }
        }
        url
    }

    fn get<T: DeserializeOwned>(&self, parts: &[&str]) -> Result<Option<T>, DaemonError> {
        let request = Request::new(&self.client, Method::GET, self.path(parts));
        let Some(answer) = self.found(&request)? else {
            return Ok(None);
        };
        let body = answer
            .bytes(MOST)
            .map_err(|error| self.unreachable(error))?;
        let read = serde_json::from_slice(&body);
        let wrong =
            |error: serde_json::Error| DaemonError::answer(&self.address, error.to_string());
        read.map(Some).map_err(wrong)
    }

    /// The answer, unless it says that there is no such thing.
    fn found(&self, request: &Request<'_>) -> Result<Option<Answer>, DaemonError> {
        match self.accepted(request) {
            Err(DaemonError::Status { code: 404, .. }) => Ok(None),
            answer => answer.map(Some),
        }
    }

    fn accepted(&self, request: &Request<'_>) -> Result<Answer, DaemonError> {
        let answer = self
            .client
            .send(request, None)
            .map_err(|error| self.unreachable(error))?;
        let status = answer.status();
        if status.is_success() || status == StatusCode::NOT_MODIFIED {
            return Ok(answer);
        }
        let body = answer.bytes(MOST).unwrap_or_default();
        Err(DaemonError::Status {
            address: self.address.to_string(),
            code: status.as_u16(),
            message: message(&body).unwrap_or_else(|| status.to_string()),
        })
    }

    fn unreachable(&self, source: crate::http::Error) -> DaemonError {
        DaemonError::Unreachable {
            address: self.address.to_string(),
            source: Box::new(source),
        }
    }
}

/// What a line says against a load.
fn failure(line: &str) -> Option<String> {
    let progress: Progress = serde_json::from_str(line).ok()?;
    progress
        .error
        .or_else(|| progress.cause.and(progress.message))
}

/// What an error's body says.
fn message(body: &[u8]) -> Option<String> {
    let progress: Progress = serde_json::from_slice(body).ok()?;
    progress.message.or(progress.error)
}
