//! `type=s3,bucket=NAME,region=…`: a cache in object storage that speaks S3's protocol. Unaware of what objects hold.
//!
//! Keys are BuildKit's: the manifest is `<prefix>manifests/<name>`, a blob `<prefix>blobs/sha256:<hex>`. Requests are signed in their
//! address for an hour, so nothing is read twice to be signed (rusty-s3 does that and no more; reqwest asks). An object is uploaded in
//! one request, which S3 allows up to 5 GiB. The caller gives the credentials: libraries never read the environment.

mod objects;

use super::backend::MOUNTS;
use super::export::from_memory;
use super::prune::{self, KeptCache, Shrunk};
use super::{Backend, Kind, OpenBlob, Use};
use crate::failure::{BackendError, ExportError, RemoteError};
use crate::transfer::attributes::Attributes;
use crate::transfer::remote::Remote;
use kiln_cache::CacheOrigin;
use kiln_oci::{Descriptor, Digest};
use kiln_parser::redact;
use objects::Objects;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

pub(super) const KIND: Kind = Kind {
    name: "s3",
    from: &KEYS,
    to: &KEYS,
    make: |attributes, used, remote| Ok(Arc::new(S3::of(attributes, used, remote)?)),
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

/// Seconds for which a blob may wait for its manifest.
const YOUNG: u64 = 3600;
/// The most bytes that a manifest may have.
const MAX_MANIFEST: u64 = 4 << 20;

#[derive(Clone, Debug)]
struct S3 {
    objects: Objects,
    /// `s3://bucket/prefix`, or the endpoint's address and both.
    address: String,
    /// Keys of the manifests: all are written, the first is read.
    manifests: Vec<String>,
    /// What keys of blobs begin with.
    blobs: String,
    remote: Remote,
}

impl S3 {
    fn of(attributes: &mut Attributes, used: Use, remote: &Remote) -> Result<Self, ExportError> {
        let bucket = need(attributes, "bucket", "AWS_BUCKET")?;
        let endpoint = attributes.take("endpoint_url");
        let region = match attributes.take("region") {
            Some(region) => region,
            None if endpoint.is_some() => "us-east-1".to_owned(),
            None => need(attributes, "region", "AWS_REGION")?,
        };
        let path_style = attributes.flag("use_path_style", false)?;
        let credentials = credentials(attributes)?;
        let prefix = attributes.take("prefix").unwrap_or_default();
        let (manifests, blobs) = keys(attributes, &prefix, used)?;
        manifests
            .iter()
            .chain([&blobs])
            .try_for_each(|key| check_key(key))?;
        let address = match &endpoint {
            None => format!("s3://{bucket}/{prefix}"),
            // it is shown, and kept in the store
            Some(endpoint) => {
                let endpoint = redact::credentials(endpoint.trim_end_matches('/'));
                format!("{endpoint}/{bucket}/{prefix}")
            }
        };
        Ok(Self {
            objects: Objects::new(endpoint, path_style, bucket, region, credentials)?,
            address,
            manifests,
            blobs,
            remote: remote.clone(),
        })
    }

    fn blob(&self, digest: &Digest) -> String {
        format!("{}{digest}", self.blobs)
    }

    /// Removes the blobs that only removed caches had, and those that no cache names since an hour: a younger one may belong to a cache
    /// that is being written. Returns their bytes.
    fn sweep(&self, removed: &[KeptCache], kept: &[KeptCache]) -> Result<u64, BackendError> {
        let remote = self.online()?;
        let keys = |caches: &[KeptCache]| -> BTreeSet<String> {
            let blobs = caches.iter().flat_map(|cache| cache.blobs.keys());
            blobs.map(|digest| self.blob(digest)).collect()
        };
        let (removed, kept) = (keys(removed), keys(kept));
        let objects = self.objects.list(remote, &self.blobs)?;
        let newest = objects.iter().map(|object| object.changed).max();
        let old = newest.unwrap_or(0).saturating_sub(YOUNG);
        let mut freed = 0;
        for object in objects {
            let is_left = removed.contains(&object.key) || object.changed < old;
            if is_left && !kept.contains(&object.key) {
                self.objects.remove(remote, &object.key)?;
                freed += object.size;
            }
        }
        Ok(freed)
    }

    /// The way to the objects.
    fn online(&self) -> Result<&Remote, BackendError> {
        match self.remote.is_offline() {
            true => Err(RemoteError::Offline.into()),
            false => Ok(&self.remote),
        }
    }
}

/// Key, secret and session token.
fn credentials(
    attributes: &mut Attributes,
) -> Result<(String, String, Option<String>), ExportError> {
    Ok((
        need(attributes, "access_key_id", "AWS_ACCESS_KEY_ID")?,
        need(attributes, "secret_access_key", "AWS_SECRET_ACCESS_KEY")?,
        attributes.take("session_token"),
    ))
}

/// The keys of the manifests, and what those of blobs begin with.
fn keys(
    attributes: &mut Attributes,
    prefix: &str,
    used: Use,
) -> Result<(Vec<String>, String), ExportError> {
    // they say how BuildKit does its work, and nothing about the cache
    for key in ["touch_refresh", "upload_parallelism"] {
        attributes.take(key);
    }
    let mut take = |key: &str, default: &str| {
        let value = attributes.take(key);
        value.unwrap_or_else(|| default.to_owned())
    };
    let blobs = format!("{prefix}{}", take("blobs_prefix", "blobs/"));
    let folder = take("manifests_prefix", "manifests/");
    let names = take("name", "buildkit");
    let names = names.split(';').filter(|name| !name.is_empty());
    let mut manifests: Vec<String> = names
        .map(|name| format!("{prefix}{folder}{name}"))
        .collect();
    if used == Use::From {
        manifests.truncate(1);
    }
    match manifests.is_empty() {
        true => Err(ExportError::value("name", ";", "expected a name")),
        false => Ok((manifests, blobs)),
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

impl Backend for S3 {
    fn name(&self) -> String {
        let name = self.manifests.first().map_or("", String::as_str);
        let name = name.rsplit('/').next().unwrap_or(name);
        format!("{} ({name})", self.address)
    }

    fn origin(&self) -> CacheOrigin {
        let address = self.address.split_once("://");
        let place = address.map_or(self.address.as_str(), |(_, place)| place);
        CacheOrigin::Bucket(format!("s3://{place}"))
    }

    fn identity(&self) -> String {
        let manifest = self.manifests.first().map_or("", String::as_str);
        format!("{} {} {manifest}", self.address, self.blobs)
    }

    fn beside(&self) -> Option<Arc<dyn Backend>> {
        let manifests = self.manifests.iter();
        Some(Arc::new(Self {
            manifests: manifests.map(|key| format!("{key}{MOUNTS}")).collect(),
            ..self.clone()
        }))
    }

    fn manifest(&self) -> Result<Option<Vec<u8>>, BackendError> {
        let remote = self.online()?;
        let Some(key) = self.manifests.first() else {
            return Ok(None);
        };
        self.objects.get(remote, key, MAX_MANIFEST)
    }

    fn document(&self, blob: &Descriptor) -> Result<Vec<u8>, BackendError> {
        let remote = self.online()?;
        let found = self
            .objects
            .get(remote, &self.blob(&blob.digest), blob.size)?;
        let found = found.unwrap_or_default();
        match Digest::of(&found) == blob.digest {
            true => Ok(found),
            false => Err(BackendError::Damaged(blob.digest)),
        }
    }

    fn has(&self, blob: &Descriptor, _: &[CacheOrigin]) -> Result<bool, BackendError> {
        let remote = self.online()?;
        let size = self.objects.size(remote, &self.blob(&blob.digest))?;
        Ok(size == Some(blob.size))
    }

    fn fetch(
        &self,
        blob: &Descriptor,
        part: &Path,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), BackendError> {
        let remote = self.online()?;
        self.objects
            .download(remote, &self.blob(&blob.digest), part, progress)
    }

    fn send(&self, blob: &Descriptor, open: OpenBlob<'_>) -> Result<(), BackendError> {
        let remote = self.online()?;
        self.objects
            .put(remote, &self.blob(&blob.digest), blob.size, open)
    }

    fn shrink(&self, most: u64) -> Result<Shrunk, BackendError> {
        let remote = self.online()?;
        let folder = self.manifests.first().and_then(|key| key.rsplit_once('/'));
        let folder = folder.map_or(String::new(), |(folder, _)| format!("{folder}/"));
        let mut caches = Vec::new();
        for object in self.objects.list(remote, &folder)? {
            let manifest = self.objects.get(remote, &object.key, MAX_MANIFEST)?;
            let blobs = prune::blobs(&manifest.unwrap_or_default());
            if !blobs.is_empty() {
                caches.push(KeptCache {
                    name: object.key,
                    changed: object.changed,
                    blobs,
                });
            }
        }
        let (removed, kept) = prune::split(caches, most);
        for cache in &removed {
            self.objects.remove(remote, &cache.name)?;
        }
        let freed = self.sweep(&removed, &kept)?;
        Ok(Shrunk::of(&removed, freed, &kept))
    }

    fn publish(&self, manifest: &[u8]) -> Result<(), BackendError> {
        let remote = self.online()?;
        let (size, open) = (manifest.len() as u64, || from_memory(manifest));
        let mut keys = self.manifests.iter();
        keys.try_for_each(|key| self.objects.put(remote, key, size, &open))
    }
}
