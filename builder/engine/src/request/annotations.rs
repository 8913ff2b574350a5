//! `--annotation`: what a manifest or an index says about itself (OCI image specification, "Annotations"). Unaware of how the
//! command line spells it.

use kiln_oci::{Descriptor, Index, Manifest, Platform};
use serde::Serialize;

/// What carries an annotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Level {
    /// The manifest of an image.
    Manifest,
    /// What points to it in an index.
    ManifestDescriptor,
    /// The index.
    Index,
}

/// One annotation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Annotation {
    /// What carries it.
    pub level: Level,
    /// Only the image for this platform; all without it.
    pub platform: Option<Platform>,
    /// Its name.
    pub key: String,
    /// Its text.
    pub value: String,
}

fn of<'a>(
    all: &'a [Annotation],
    level: Level,
    platform: Option<&'a Platform>,
) -> impl Iterator<Item = (String, String)> + 'a {
    let fits = move |annotation: &&Annotation| {
        let fits = |wanted: &Platform| platform.is_some_and(|platform| platform.matches(wanted));
        annotation.level == level && annotation.platform.as_ref().is_none_or(fits)
    };
    all.iter()
        .filter(fits)
        .map(|annotation| (annotation.key.clone(), annotation.value.clone()))
}

/// The manifest with its annotations; its bytes stay as they are without any.
#[must_use]
pub fn manifest(bytes: Vec<u8>, all: &[Annotation], platform: &Platform) -> Vec<u8> {
    let mut found = of(all, Level::Manifest, Some(platform)).peekable();
    if found.peek().is_none() {
        return bytes;
    }
    match Manifest::parse(&bytes) {
        Ok(mut manifest) => {
            manifest.annotations.extend(found);
            manifest.to_bytes()
        }
        Err(_) => bytes,
    }
}

/// Annotates what points to a manifest.
pub fn descriptor(descriptor: &mut Descriptor, all: &[Annotation]) {
    let platform = descriptor.platform.clone();
    let found = of(all, Level::ManifestDescriptor, platform.as_ref());
    descriptor.annotations.extend(found);
}

/// Annotates an index.
pub fn index(index: &mut Index, all: &[Annotation]) {
    index.annotations.extend(of(all, Level::Index, None));
}
