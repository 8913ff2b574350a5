//! Writes images of the store as archives. Unaware of files: it writes to whatever it is given.

use super::ArchiveError;
use kiln_cache::{Store, StoredImage};
use kiln_oci::archive::{self, BlobSource, Format, SaveImage};
use kiln_oci::{Digest, Reference};
use std::io::{self, Read, Write};

struct Blobs<'a>(&'a Store);

impl BlobSource for Blobs<'_> {
    fn open(&self, digest: &Digest) -> io::Result<(u64, Box<dyn Read + '_>)> {
        let file = self
            .0
            .open_blob(digest)
            .map_err(|error| io::Error::other(crate::chain_of_causes(&error)))?;
        let size = file.metadata()?.len();
        Ok((size, Box::new(file)))
    }
}

/// Writes the named images as one archive. An image named by its id is saved without a name; one named twice is saved once.
///
/// # Errors
/// When an image is not there, or `out` fails.
pub fn save(
    store: &Store,
    names: &[String],
    out: &mut dyn Write,
    format: Format,
) -> Result<(), ArchiveError> {
    let mut images: Vec<(Digest, SaveImage)> = Vec::new();
    for name in names {
        let image = store.find_image(name)?;
        let at = match images
            .iter()
            .position(|(digest, _)| *digest == image.manifest_digest)
        {
            Some(at) => at,
            None => {
                images.push((
                    image.manifest_digest,
                    SaveImage {
                        references: Vec::new(),
                        manifest: image.manifest.clone(),
                        config: image.config.clone(),
                    },
                ));
                images.len() - 1
            }
        };
        if let Some(reference) = named_by(&image, name)
            && !images[at].1.references.contains(&reference)
        {
            images[at].1.references.push(reference);
        }
    }
    let images: Vec<SaveImage> = images.into_iter().map(|(_, image)| image).collect();
    Ok(archive::save(out, &images, &Blobs(store), format, &|_| ())?)
}

/// The reference of `image` that `name` means, unless it is the start of an id.
fn named_by(image: &StoredImage, name: &str) -> Option<Reference> {
    let reference = Reference::parse(name).ok()?.with_default_tag();
    image
        .references
        .iter()
        .find(|known| **known == reference)
        .cloned()
}
