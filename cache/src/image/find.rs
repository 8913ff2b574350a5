//! The image that a person means: a name, or the start of an id.
//!
//! A name wins over an id, as in docker. What is too short to be an id is only ever a name: a Dockerfile that says `b` means
//! the image of that name, here or in a registry, whatever ids the store has. Where a name means several platforms, the one
//! that fits is taken.

use kiln_oci::{Digest, Platform, Reference};

use crate::image::names::stored_name;
use crate::store::database::digest;
use crate::{ImageError, ImageSummary, Images, StoreError, StoredImage};

/// Hex digits that may be an id on the command line, where people type the start of what a list shows.
pub const ID_DIGITS: usize = 4;
/// Hex digits that may be an id in a Dockerfile: as many as lists show.
const ID_DIGITS_IN_DOCKERFILE: usize = 12;
/// Hex digits of a whole id.
const WHOLE: usize = 64;

/// An image or index that is named by the start of a digest.
#[derive(Debug, Clone)]
pub struct MeantById {
    /// The image's id; of an index its digest.
    pub id: Digest,
    /// Its names, and those of the indexes that list it.
    pub names: Vec<Reference>,
}

/// Whether a name can be nothing but an id, which no registry knows: it is a whole one, with or without its algorithm.
#[must_use]
pub fn is_whole_id(name: &str) -> bool {
    hex_digits(name).is_some_and(|digits| digits.len() == WHOLE)
}

/// The digits of what may be an id.
fn hex_digits(name: &str) -> Option<&str> {
    let digits = name.strip_prefix("sha256:").unwrap_or(name);
    let is_hex = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (digits.len() <= WHOLE && digits.bytes().all(is_hex)).then_some(digits)
}

impl Images<'_> {
    /// The image that a person names: a reference, or the start of a config, manifest or index digest, with or without `sha256:`
    /// and of at least [`ID_DIGITS`] digits. Of an index, the image for this machine, or the only one that the store has.
    ///
    /// # Errors
    /// None or several.
    pub fn find(&self, name: &str) -> Result<StoredImage, ImageError> {
        self.settled(name, ID_DIGITS, |found| self.choose_any(name, found))
    }

    /// What `choose` makes of what a name means. A name may have come to mean another image, and what it meant before may be gone, since
    /// it was looked up: then it is looked up again.
    fn settled(
        &self,
        name: &str,
        least: usize,
        choose: impl Fn(&Digest) -> Result<StoredImage, ImageError>,
    ) -> Result<StoredImage, ImageError> {
        let mut found = self.find_digest(name, least)?;
        loop {
            let chosen = choose(&found);
            let Err(ImageError::NotFound { .. } | ImageError::NoPlatform { .. }) = &chosen else {
                return chosen;
            };
            let again = self.find_digest(name, least)?;
            if std::mem::replace(&mut found, again) == again {
                return chosen;
            }
        }
    }

    /// Of an index, the image for this machine, or the only one that the store has.
    fn choose_any(&self, name: &str, found: &Digest) -> Result<StoredImage, ImageError> {
        match self.store.indexes().choose(name, found, &Platform::host()) {
            Err(error @ ImageError::NoPlatform { .. }) => {
                match &self.store.indexes().images_of(found)?[..] {
                    [(_, only)] => self.store.indexes().image_of(found, only),
                    _ => Err(error),
                }
            }
            outcome => outcome,
        }
    }

    /// As [`Images::find`], of an index the image for `platform`. An image that is in no index is found whatever it is for.
    ///
    /// # Errors
    /// None or several, or none for the platform.
    pub fn find_for(&self, name: &str, platform: &Platform) -> Result<StoredImage, ImageError> {
        let indexes = self.store.indexes();
        self.settled(name, ID_DIGITS, |found| {
            indexes.choose(name, found, platform)
        })
    }

    /// The digest of the manifest or index that a person names.
    ///
    /// # Errors
    /// None or several.
    pub fn find_named(&self, name: &str) -> Result<Digest, ImageError> {
        self.find_digest(name, ID_DIGITS)
    }

    /// The image that a Dockerfile names, or a context of it, for `platform`; without one as [`Images::find`] chooses. An id
    /// is a whole one or has at least twelve digits.
    ///
    /// # Errors
    /// As for [`Images::find_for`].
    pub fn find_base(
        &self,
        name: &str,
        platform: Option<&Platform>,
    ) -> Result<StoredImage, ImageError> {
        self.settled(name, ID_DIGITS_IN_DOCKERFILE, |found| match platform {
            Some(platform) => self.store.indexes().choose(name, found, platform),
            None => self.choose_any(name, found),
        })
    }

    fn find_digest(&self, name: &str, least: usize) -> Result<Digest, ImageError> {
        let reference = Reference::parse(name);
        if let Ok(reference) = &reference
            && let Some(manifest) = self.find_reference(reference)?
        {
            return Ok(manifest);
        }
        let may_be_id = |digits: &&str| digits.len() >= least;
        match hex_digits(name).filter(may_be_id) {
            Some(prefix) => self.find_prefix(name, prefix),
            None if reference.is_ok() => Err(ImageError::NotFound { name: name.into() }),
            None => Err(ImageError::BadName { name: name.into() }),
        }
    }

    /// What a Dockerfile names by an id rather than by a name, as [`Images::find_base`] understands it.
    ///
    /// # Errors
    /// Several images, or the database fails.
    pub fn meant_by_id(&self, name: &str) -> Result<Option<MeantById>, ImageError> {
        if let Ok(reference) = Reference::parse(name)
            && self.find_reference(&reference)?.is_some()
        {
            return Ok(None);
        }
        let manifest = match self.find_digest(name, ID_DIGITS_IN_DOCKERFILE) {
            Ok(manifest) => manifest,
            Err(ImageError::NotFound { .. } | ImageError::BadName { .. }) => return Ok(None),
            Err(other) => return Err(other),
        };
        let images = self.list()?;
        let image = images.iter().find(|image| image.manifest == manifest);
        Ok(Some(MeantById {
            id: image.map_or(manifest, |image| image.id),
            names: self.names_of(&manifest)?,
        }))
    }

    fn find_reference(&self, reference: &Reference) -> Result<Option<Digest>, StoreError> {
        if let Some(manifest) = reference.digest {
            return Ok(
                (!self.store.indexes().blobs_of_named(&manifest)?.is_empty()).then_some(manifest),
            );
        }
        let query = "SELECT manifest FROM tags WHERE reference = ?1";
        let name = stored_name(reference);
        self.store.db().row(query, [name], |row| digest(row, 0))
    }

    fn find_prefix(&self, name: &str, prefix: &str) -> Result<Digest, ImageError> {
        let fits = |digest: &Digest| digest.hex().starts_with(prefix);
        let mut fitting = self.list()?;
        fitting.retain(|image| fits(&image.id) || fits(&image.manifest));
        // one image may have several manifests: a named one stands for it
        fitting.sort_by_key(|image| (image.id, image.references.is_empty(), image.manifest));
        let mut candidates: Vec<Digest> = fitting.iter().map(|image| image.id).collect();
        candidates.dedup();
        let mut indexes = self.store.indexes().list()?;
        indexes.retain(fits);
        let name = name.to_owned();
        match (&fitting[..], candidates.len(), &indexes[..]) {
            ([first, ..], 1, []) => {
                let is_exact = |image: &&ImageSummary| fits(&image.manifest) && !fits(&image.id);
                Ok(fitting.iter().find(is_exact).unwrap_or(first).manifest)
            }
            ([], _, [index]) => Ok(*index),
            ([], _, []) => Err(ImageError::NotFound { name }),
            _ => {
                candidates.append(&mut indexes);
                Err(ImageError::Ambiguous { name, candidates })
            }
        }
    }
}
