//! Images of an OCI layout (a folder with `oci-layout`, `index.json` and blobs; OCI image specification, "Image Layout") as
//! bases: the one that a tag or digest names goes into the store, every byte checked against its digest. Unaware of archives
//! and of names of images.

use crate::failure::{FetchError, Wrong, chain_of_causes};
use kiln_cache::Store;
use kiln_oci::manifest::{Index, Manifest};
use kiln_oci::media_type::{OCI_INDEX, is_index};
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

/// Takes the image `reference` (a tag, a digest, or nothing for the only one or `latest`): the digest of its manifest, or of its
/// index with the manifests for those of `platforms` that it has.
///
/// # Errors
/// When the layout has no such image or none for any of the platforms, or something is not what its digest says.
pub fn take(
    store: &Store,
    folder: &Path,
    reference: Option<&str>,
    platforms: &[Platform],
) -> Result<Digest, FetchError> {
    let layout = Layout { folder };
    let (top, mut indexes) = match &layout.find(reference)?[..] {
        [only] => (only.clone(), Vec::new()),
        // platforms side by side under one name: an index in all but form
        several => {
            let bytes = Index::of(several.to_vec()).to_bytes();
            (Descriptor::of(OCI_INDEX, &bytes), vec![bytes])
        }
    };
    if store.is_read_only() && is_there(store, &top.digest) {
        return Ok(top.digest);
    }
    match is_index(&top.media_type) {
        true => layout.put_platforms(store, &top, platforms, &mut indexes)?,
        false => layout.put(store, &top)?,
    }
    for index in indexes {
        let path = layout.blob(&Digest::of(&index));
        let put = store.indexes().put(&index);
        put.map_err(|error| layout.wrong(path, chain_of_causes(&error)))?;
    }
    Ok(top.digest)
}

fn is_there(store: &Store, image: &Digest) -> bool {
    let is_index = || matches!(store.indexes().get(image), Ok(Some(_)));
    store.images().get(image).is_ok() || is_index()
}

/// Whether an image has this tag.
fn is_called(image: &Descriptor, tag: &str) -> bool {
    image
        .annotation(REF_NAME)
        .is_some_and(|name| name == tag || name.rsplit_once(':').is_some_and(|(_, end)| end == tag))
}

impl Layout<'_> {
    /// The descriptors that a reference means; several are of several platforms.
    fn find(&self, reference: Option<&str>) -> Result<Vec<Descriptor>, FetchError> {
        let path = self.folder.join("index.json");
        let bytes = self.read(&path)?;
        let index = self.parse(&path, &bytes)?;
        let is_meant = |found: &Descriptor| match reference {
            Some(wanted) => found.digest.to_string() == wanted || is_called(found, wanted),
            None => index.manifests.len() == 1 || is_called(found, "latest"),
        };
        let mut meant = index.manifests.clone();
        meant.retain(is_meant);
        if meant.is_empty() {
            let wanted = reference.unwrap_or("latest");
            return Err(self.wrong(path, format!("has no image {wanted}")));
        }
        if meant.iter().any(|found| found.platform.is_none()) {
            meant.truncate(1);
        }
        Ok(meant)
    }

    /// From an index to the manifest that fits the platform, with the indexes on the way. The inner error is that none fits.
    fn descend(
        &self,
        mut descriptor: Descriptor,
        platform: &Platform,
        indexes: &mut Vec<Vec<u8>>,
    ) -> Result<Result<Descriptor, FetchError>, FetchError> {
        for _ in 0..MAX_DEPTH {
            if !is_index(&descriptor.media_type) {
                return Ok(Ok(descriptor));
            }
            let bytes = self.index(&descriptor, indexes)?;
            let path = self.blob(&descriptor.digest);
            let manifests = self.parse(&path, &bytes)?.manifests.into_iter();
            let rank = |found: &Descriptor| platform.rank(found.platform.as_ref()?);
            let ranked = manifests.filter_map(|found| Some((rank(&found)?, found)));
            match ranked.min_by_key(|(rank, _)| *rank) {
                Some((_, found)) => descriptor = found,
                None => return Ok(Err(self.wrong(path, format!("has no image for {platform}")))),
            }
        }
        let path = self.blob(&descriptor.digest);
        Err(self.wrong(path, "has too many indexes inside one another".to_owned()))
    }

    /// The bytes of an index, which is then among `indexes`.
    fn index(
        &self,
        descriptor: &Descriptor,
        indexes: &mut Vec<Vec<u8>>,
    ) -> Result<Vec<u8>, FetchError> {
        let mut known = indexes.iter();
        if let Some(known) = known.find(|known| Digest::of(known) == descriptor.digest) {
            return Ok(known.clone());
        }
        let bytes = self.document(descriptor)?;
        indexes.push(bytes.clone());
        Ok(bytes)
    }

    /// Puts the images of an index for those of `platforms` that it has; at least one.
    fn put_platforms(
        &self,
        store: &Store,
        top: &Descriptor,
        platforms: &[Platform],
        indexes: &mut Vec<Vec<u8>>,
    ) -> Result<(), FetchError> {
        let (mut taken, mut none) = (0, None);
        for platform in platforms {
            match self.descend(top.clone(), platform, indexes)? {
                Ok(manifest) => {
                    self.put(store, &manifest)?;
                    taken += 1;
                }
                Err(error) => _ = none.get_or_insert(error),
            }
        }
        none.filter(|_| taken == 0).map_or(Ok(()), Err)
    }

    /// Puts an image into the store.
    fn put(&self, store: &Store, descriptor: &Descriptor) -> Result<(), FetchError> {
        if store.images().get(&descriptor.digest).is_ok() {
            return Ok(());
        }
        let bytes = self.document(descriptor)?;
        let wrong = |message: String| self.wrong(self.blob(&descriptor.digest), message);
        let manifest = Manifest::parse(&bytes).map_err(|error| wrong(error.to_string()))?;
        let config = self.document(&manifest.config)?;
        let parsed = ImageConfig::parse(&config).map_err(|error| wrong(error.to_string()))?;
        if parsed.rootfs.diff_ids.len() != manifest.layers.len() {
            return Err(wrong("its config names other layers".to_owned()));
        }
        for (layer, diff_id) in manifest.layers.iter().zip(&parsed.rootfs.diff_ids) {
            let mut blob = self.open(&self.blob(&layer.digest))?;
            store
                .layers()
                .ingest(&mut blob, &layer.digest, layer.size, diff_id)?;
        }
        let put = store.images().put(&bytes, &config);
        put.map_err(|error| wrong(chain_of_causes(&error)))?;
        Ok(())
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
        Index::parse(bytes).map_err(|error| self.wrong(path.to_owned(), error))
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, FetchError> {
        let mut bytes = Vec::new();
        let read = self
            .open(path)?
            .take(MAX_DOCUMENT + 1)
            .read_to_end(&mut bytes);
        read.map_err(|error| self.wrong(path.to_owned(), error))?;
        if bytes.len() as u64 > MAX_DOCUMENT {
            return Err(self.wrong(path.to_owned(), "is too large".to_owned()));
        }
        Ok(bytes)
    }

    /// Opens a regular file; never waits for a FIFO.
    fn open(&self, path: &Path) -> Result<File, FetchError> {
        let is_file = path
            .metadata()
            .map_err(|error| self.wrong(path.to_owned(), error))?
            .is_file();
        if !is_file {
            return Err(self.wrong(path.to_owned(), "is no regular file".to_owned()));
        }
        File::open(path).map_err(|error| self.wrong(path.to_owned(), error))
    }

    fn blob(&self, digest: &Digest) -> PathBuf {
        self.folder.join("blobs/sha256").join(digest.hex())
    }

    fn wrong(&self, path: PathBuf, wrong: impl Into<Wrong>) -> FetchError {
        let wrong = wrong.into();
        FetchError::Layout { path, wrong }
    }
}
