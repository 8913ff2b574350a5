//! Images of an OCI layout (a folder with `oci-layout`, `index.json` and blobs; OCI image specification, "Image Layout") as
//! bases: the one that a tag or digest names goes into the store, every byte checked against its digest. Unaware of archives
//! and of names of images.

use super::fetch::error::FetchError;
use kiln_cache::Store;
use kiln_oci::manifest::{Index, Manifest};
use kiln_oci::media_type::is_index;
use kiln_oci::{Descriptor, Digest, ImageConfig, Platform};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A document of more bytes is refused.
const MAX_DOCUMENT: u64 = 16 << 20;
/// Indexes in indexes.
const MAX_DEPTH: usize = 4;
/// The tag, as the specification has it; some tools write the whole name.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

struct Layout<'a> {
    folder: &'a Path,
}

/// Takes the image `reference` (a tag, a digest, or nothing for the only one or `latest`) for `platform`; the digest of its
/// manifest.
///
/// # Errors
/// When the layout has no such image, or something is not what its digest says.
pub fn take(
    store: &Store,
    folder: &Path,
    reference: Option<&str>,
    platform: &Platform,
) -> Result<Digest, FetchError> {
    let layout = Layout { folder };
    let descriptor = layout.find(reference, platform)?;
    if store.image(&descriptor.digest).is_ok() {
        return Ok(descriptor.digest);
    }
    let bytes = layout.document(&descriptor)?;
    let wrong = |message: String| layout.wrong(layout.blob(&descriptor.digest), message);
    let manifest = Manifest::parse(&bytes).map_err(|error| wrong(error.to_string()))?;
    let config = layout.document(&manifest.config)?;
    let parsed = ImageConfig::parse(&config).map_err(|error| wrong(error.to_string()))?;
    if parsed.rootfs.diff_ids.len() != manifest.layers.len() {
        return Err(wrong("its config names other layers".to_owned()));
    }
    for (layer, diff_id) in manifest.layers.iter().zip(&parsed.rootfs.diff_ids) {
        let mut blob = layout.open(&layout.blob(&layer.digest))?;
        store.ingest_layer(&mut blob, &layer.digest, layer.size, diff_id)?;
    }
    let (digest, _) = store
        .put_image(&bytes, &config)
        .map_err(|error| wrong(crate::chain_of_causes(&error)))?;
    Ok(digest)
}

impl Layout<'_> {
    fn find(&self, reference: Option<&str>, platform: &Platform) -> Result<Descriptor, FetchError> {
        let path = self.folder.join("index.json");
        let bytes = self.read(&path)?;
        let index = self.parse(&path, &bytes)?;
        let names = |descriptor: &Descriptor, tag: &str| {
            descriptor.annotation(REF_NAME).is_some_and(|name| {
                name == tag || name.rsplit_once(':').is_some_and(|(_, end)| end == tag)
            })
        };
        let found = match reference {
            Some(wanted) => index.manifests.iter().find(|descriptor| {
                descriptor.digest.to_string() == wanted || names(descriptor, wanted)
            }),
            None => match &index.manifests[..] {
                [only] => Some(only),
                several => several.iter().find(|found| names(found, "latest")),
            },
        };
        let Some(found) = found else {
            let wanted = reference.unwrap_or("latest");
            return Err(self.wrong(path, format!("has no image {wanted}")));
        };
        self.descend(found.clone(), platform)
    }

    /// From an index to the manifest that fits the platform.
    fn descend(
        &self,
        mut descriptor: Descriptor,
        platform: &Platform,
    ) -> Result<Descriptor, FetchError> {
        for _ in 0..MAX_DEPTH {
            if !is_index(&descriptor.media_type) {
                return Ok(descriptor);
            }
            let path = self.blob(&descriptor.digest);
            let index = self.parse(&path, &self.document(&descriptor)?)?;
            let fits = |found: &Descriptor| {
                let known = found.platform.as_ref();
                known.is_some_and(|known| known.matches(platform))
            };
            let mut fitting = index.manifests.into_iter().filter(fits);
            descriptor = fitting
                .next()
                .ok_or_else(|| self.wrong(path, format!("has no image for {platform}")))?;
        }
        let path = self.blob(&descriptor.digest);
        Err(self.wrong(path, "has too many indexes inside one another".to_owned()))
    }

    /// A blob that is read as a whole, checked.
    fn document(&self, descriptor: &Descriptor) -> Result<Vec<u8>, FetchError> {
        let path = self.blob(&descriptor.digest);
        let bytes = self.read(&path)?;
        if Digest::of(&bytes) != descriptor.digest {
            return Err(self.wrong(path, "is not what its name says".to_owned()));
        }
        Ok(bytes)
    }

    fn parse(&self, path: &Path, bytes: &[u8]) -> Result<Index, FetchError> {
        Index::parse(bytes).map_err(|error| self.wrong(path.to_owned(), error.to_string()))
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, FetchError> {
        let mut bytes = Vec::new();
        let read = self
            .open(path)?
            .take(MAX_DOCUMENT + 1)
            .read_to_end(&mut bytes);
        read.map_err(|error| self.wrong(path.to_owned(), error.to_string()))?;
        if bytes.len() as u64 > MAX_DOCUMENT {
            return Err(self.wrong(path.to_owned(), "is too large".to_owned()));
        }
        Ok(bytes)
    }

    /// Opens a regular file; never waits for a FIFO.
    fn open(&self, path: &Path) -> Result<File, FetchError> {
        let is_file = path
            .metadata()
            .map_err(|error| self.wrong(path.to_owned(), error.to_string()))?
            .is_file();
        if !is_file {
            return Err(self.wrong(path.to_owned(), "is no regular file".to_owned()));
        }
        File::open(path).map_err(|error| self.wrong(path.to_owned(), error.to_string()))
    }

    fn blob(&self, digest: &Digest) -> PathBuf {
        self.folder.join("blobs/sha256").join(digest.hex())
    }

    fn wrong(&self, path: PathBuf, message: String) -> FetchError {
        FetchError::Layout { path, message }
    }
}
