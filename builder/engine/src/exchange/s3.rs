//! `type=s3,bucket=NAME,region=…`: a cache in object storage that speaks S3's protocol. Unaware of what objects hold.
//!
//! Keys are BuildKit's: the manifest is `<prefix>manifests/<name>`, a blob `<prefix>blobs/sha256:<hex>`. Requests are signed in their
//! address for an hour, so nothing is read twice to be signed (rusty-s3 does that and no more; reqwest asks). An object is uploaded in
//! one request, which S3 allows up to 5 GiB. Credentials come from whoever calls: libraries never read the environment.

mod objects;

use super::{Kind, OpenBlob, Place, PlaceError, Use};
use crate::image::export::{Attributes, ExportError};
use crate::transfer::remote::{Remote, RemoteError};
use kiln_oci::{Descriptor, Digest};
use objects::Objects;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

pub(super) const KIND: Kind = Kind {
    name: "s3",
    from: &KEYS,
    to: &KEYS,
    make: |attributes, used| Ok(Arc::new(S3::of(attributes, used)?)),
};

const KEYS: [&str; 13] = [
    "access_key_id",
    "blobs_prefix",
    "bucket",
    "endpoint_url",
    "manifests_prefix",
    "name",
    "prefix",
    "region",
    "secret_access_key",
    "session_token",
    "touch_refresh",
    "upload_parallelism",
    "use_path_style",
];

/// Larger manifests are none.
const MAX_MANIFEST: u64 = 4 << 20;

#[derive(Debug)]
struct S3 {
    objects: Objects,
    /// `s3://bucket/prefix`, or the endpoint's address and both.
    address: String,
    /// Keys of the manifests: all are written, the first is read.
    manifests: Vec<String>,
    /// What keys of blobs begin with.
    blobs: String,
}

impl S3 {
    fn of(attributes: &mut Attributes, used: Use) -> Result<Self, ExportError> {
        let bucket = need(attributes, "bucket", "AWS_BUCKET")?;
        let endpoint = attributes.take("endpoint_url");
        let region = match &endpoint {
            None => need(attributes, "region", "AWS_REGION")?,
            Some(_) => attributes
                .take("region")
                .unwrap_or_else(|| "us-east-1".to_owned()),
        };
        let path_style = attributes.flag("use_path_style", false)?;
        // how BuildKit does its work, which says nothing about the cache
        for key in ["touch_refresh", "upload_parallelism"] {
            attributes.take(key);
        }
        let credentials = (
            need(attributes, "access_key_id", "AWS_ACCESS_KEY_ID")?,
            need(attributes, "secret_access_key", "AWS_SECRET_ACCESS_KEY")?,
            attributes.take("session_token"),
        );
        let prefix = attributes.take("prefix").unwrap_or_default();
        let mut part = |key: &str, default: &str| {
            let part = attributes.take(key);
            format!("{prefix}{}", part.unwrap_or_else(|| default.to_owned()))
        };
        let (blobs, manifests) = (
            part("blobs_prefix", "blobs/"),
            part("manifests_prefix", "manifests/"),
        );
        let names = attributes
            .take("name")
            .unwrap_or_else(|| "buildkit".to_owned());
        let names = names.split(';').filter(|name| !name.is_empty());
        let mut manifests: Vec<String> = names.map(|name| format!("{manifests}{name}")).collect();
        if manifests.is_empty() {
            return Err(ExportError::value("name", ";", "expected a name"));
        }
        if used == Use::From {
            manifests.truncate(1);
        }
        for key in manifests.iter().chain([&blobs]) {
            check_key(key)?;
        }
        let address = match &endpoint {
            None => format!("s3://{bucket}/{prefix}"),
            Some(endpoint) => format!("{}/{bucket}/{prefix}", endpoint.trim_end_matches('/')),
        };
        let objects = Objects::new(endpoint, path_style, bucket, region, credentials)?;
        Ok(Self {
            objects,
            address,
            manifests,
            blobs,
        })
    }

    fn blob(&self, digest: &Digest) -> String {
        format!("{}{digest}", self.blobs)
    }
}

/// Addresses would resolve such parts, and mean another object.
fn check_key(key: &str) -> Result<(), ExportError> {
    if key.is_empty() || key.split('/').any(|part| matches!(part, "." | "..")) {
        return Err(ExportError::value(
            "prefix",
            key,
            "it cannot be part of an address",
        ));
    }
    Ok(())
}

fn need(attributes: &mut Attributes, key: &str, variable: &str) -> Result<String, ExportError> {
    attributes.take(key).ok_or_else(|| {
        ExportError::Unsupported(format!(
            "a cache in S3 needs {key}=…, or {variable} in the environment"
        ))
    })
}

fn online(ways: &Remote) -> Result<(), PlaceError> {
    match ways.is_offline() {
        true => Err(RemoteError::Offline.into()),
        false => Ok(()),
    }
}

impl Place for S3 {
    fn name(&self) -> String {
        let name = self.manifests.first().map_or("", String::as_str);
        let name = name.rsplit('/').next().unwrap_or(name);
        format!("{} ({name})", self.address)
    }

    fn origin(&self) -> String {
        let address = self.address.split_once("://");
        format!(
            "s3://{}",
            address.map_or(self.address.as_str(), |(_, rest)| rest)
        )
    }

    fn identity(&self) -> String {
        let manifest = self.manifests.first().map_or("", String::as_str);
        format!("{} {} {manifest}", self.address, self.blobs)
    }

    fn manifest(&self, ways: &Remote) -> Result<Option<Vec<u8>>, PlaceError> {
        online(ways)?;
        let Some(key) = self.manifests.first() else {
            return Ok(None);
        };
        self.objects.get(ways, key, MAX_MANIFEST)
    }

    fn document(&self, ways: &Remote, blob: &Descriptor) -> Result<Vec<u8>, PlaceError> {
        online(ways)?;
        let found = self
            .objects
            .get(ways, &self.blob(&blob.digest), blob.size)?;
        let found = found.unwrap_or_default();
        match Digest::of(&found) == blob.digest {
            true => Ok(found),
            false => Err(PlaceError::Damaged(blob.digest)),
        }
    }

    fn has(&self, ways: &Remote, blob: &Descriptor, _: &[String]) -> Result<bool, PlaceError> {
        online(ways)?;
        let size = self.objects.size(ways, &self.blob(&blob.digest))?;
        Ok(size == Some(blob.size))
    }

    fn fetch(
        &self,
        ways: &Remote,
        blob: &Descriptor,
        part: &Path,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), PlaceError> {
        online(ways)?;
        self.objects
            .download(ways, &self.blob(&blob.digest), part, progress)
    }

    fn send(&self, ways: &Remote, blob: &Descriptor, open: OpenBlob<'_>) -> Result<(), PlaceError> {
        online(ways)?;
        self.objects
            .put(ways, &self.blob(&blob.digest), blob.size, open)
    }

    fn publish(&self, ways: &Remote, manifest: &[u8]) -> Result<(), PlaceError> {
        let open = || -> std::io::Result<Box<dyn Read + Send>> {
            Ok(Box::new(std::io::Cursor::new(manifest.to_vec())))
        };
        for key in &self.manifests {
            self.objects.put(ways, key, manifest.len() as u64, &open)?;
        }
        Ok(())
    }
}
