//! The image that a person means: a name, or the start of an id.
//!
//! A name wins over an id, as in docker.

use kiln_oci::{Digest, Reference};
use rusqlite::OptionalExtension;

use crate::image::stored_name;
use crate::store::database::digest;
use crate::{ImageError, Store, StoreError, StoredImage};

impl Store {
    /// The image that a person names: a reference, or the start of a config or manifest digest, with or without `sha256:`.
    ///
    /// # Errors
    /// None or several.
    pub fn find_image(&self, name: &str) -> Result<StoredImage, ImageError> {
        let reference = Reference::parse(name);
        if let Ok(reference) = &reference
            && let Some(manifest) = self.find_reference(reference)?
        {
            return self.image(&manifest);
        }
        let prefix = name.strip_prefix("sha256:").unwrap_or(name);
        let is_hex = (1..=64).contains(&prefix.len())
            && prefix
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !is_hex {
            let name = name.to_owned();
            return Err(if reference.is_ok() {
                ImageError::NotFound { name }
            } else {
                ImageError::BadName { name }
            });
        }
        self.find_prefix(name, prefix)
    }

    fn find_reference(&self, reference: &Reference) -> Result<Option<Digest>, StoreError> {
        if let Some(manifest) = reference.digest {
            return Ok((!self.blobs_of_image(&manifest)?.is_empty()).then_some(manifest));
        }
        let query = "SELECT manifest FROM tags WHERE reference = ?1";
        let name = stored_name(reference);
        self.database().read(|connection| {
            connection
                .prepare_cached(query)?
                .query_row([name], |row| digest(row, 0))
                .optional()
        })
    }

    fn find_prefix(&self, name: &str, prefix: &str) -> Result<StoredImage, ImageError> {
        let images = self.images()?;
        let mut fitting: Vec<_> = images
            .iter()
            .filter(|image| {
                image.id.hex().starts_with(prefix) || image.manifest.hex().starts_with(prefix)
            })
            .collect();
        // one image may have several manifests: a named one stands for it
        fitting.sort_by_key(|image| (image.id, image.references.is_empty(), image.manifest));
        let mut candidates: Vec<Digest> = fitting.iter().map(|image| image.id).collect();
        candidates.dedup();
        match (fitting.first(), candidates.len()) {
            (Some(image), 1) => {
                let exact = fitting.iter().find(|image| {
                    image.manifest.hex().starts_with(prefix) && !image.id.hex().starts_with(prefix)
                });
                self.image(&exact.unwrap_or(image).manifest)
            }
            (None, _) => Err(ImageError::NotFound {
                name: name.to_owned(),
            }),
            _ => Err(ImageError::Ambiguous {
                name: name.to_owned(),
                candidates,
            }),
        }
    }
}
