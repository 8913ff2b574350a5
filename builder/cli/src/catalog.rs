//! The images of the store with what lists show and filters ask, and the image that a person names. Unaware of output.

use crate::failure::{Failure, Kind};
use jiff::Timestamp;
use kiln_cache::{ID_DIGITS, ImageError, ImageSummary, Store, StoredImage};
use kiln_oci::{Digest, ImageConfig, Platform, Reference};
use kiln_parser::suggest::nearest;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::Read;

/// Larger configs are refused when images come in.
const MAX_CONFIG: u64 = 4 << 20;

/// An image in a list.
#[derive(Debug)]
pub struct Listed {
    /// What the store knows.
    pub image: ImageSummary,
    /// Its config; empty when it cannot be read, so that a damaged image does not hide the others.
    pub config: ImageConfig,
    /// When it was made, as it says itself, to the nanosecond: two builds often share a second.
    pub created: Option<Timestamp>,
}

/// All images, the latest first, as docker sorts them.
///
/// # Errors
/// When the store cannot be read.
pub fn all(store: &Store) -> Result<Vec<Listed>, Failure> {
    let mut images: Vec<Listed> = store
        .images()
        .list()?
        .into_iter()
        .map(|image| listed(store, image))
        .collect();
    images.sort_by_key(|listed| Reverse((listed.created, listed.image.stored)));
    one_for_each_name(&mut images);
    Ok(images)
}

/// A name of an index stays with the image for this machine, else with the first; images that lose all names so are left out.
fn one_for_each_name(images: &mut Vec<Listed>) {
    let host = Platform::host();
    let mut best: BTreeMap<Reference, (u64, Digest)> = BTreeMap::new();
    for listed in images.iter() {
        let rank = host.rank(&listed.config.platform());
        let rank = rank.map_or(u64::MAX, |rank| rank as u64);
        for name in &listed.image.references {
            let known = best.get(name);
            if known.is_none_or(|(known, _)| rank < *known) {
                best.insert(name.clone(), (rank, listed.image.manifest));
            }
        }
    }
    images.retain_mut(|listed| {
        let image = &mut listed.image;
        let had_names = !image.references.is_empty();
        let is_best = |name: &Reference| {
            best.get(name)
                .is_some_and(|(_, best)| *best == image.manifest)
        };
        let (kept, _): (Vec<_>, Vec<_>) = image.references.drain(..).partition(is_best);
        image.references = kept;
        !had_names || !image.references.is_empty()
    });
}

fn listed(store: &Store, image: ImageSummary) -> Listed {
    let mut bytes = Vec::new();
    let read = store
        .blobs()
        .open(&image.id)
        .is_ok_and(|blob| blob.take(MAX_CONFIG).read_to_end(&mut bytes).is_ok());
    let config = if read {
        ImageConfig::parse(&bytes).ok()
    } else {
        None
    };
    let config = config.unwrap_or_default();
    let created = config.created.as_deref().and_then(|time| time.parse().ok());
    Listed {
        image,
        config,
        created,
    }
}

/// A time in RFC 3339 as seconds since 1970.
pub fn seconds(time: &str) -> Option<i64> {
    time.parse::<Timestamp>().ok().map(Timestamp::as_second)
}

/// The platform of a `--platform`, if there is one.
///
/// # Errors
/// When the text does not name a platform.
pub fn platform(text: Option<&str>) -> Result<Option<Platform>, Failure> {
    let parsed = text.map(Platform::parse).transpose();
    parsed.map_err(|error| Failure::usage(format!("--platform: {error}")))
}

/// The image that a person names.
///
/// # Errors
/// None or several; names that are near are told.
pub fn find(store: &Store, name: &str) -> Result<StoredImage, Failure> {
    store
        .images()
        .find(name)
        .map_err(|error| explained(store, name, error))
}

/// The same, of several platforms the one that is wanted.
///
/// # Errors
/// As for [`find`], or the platform is another.
pub fn find_for(
    store: &Store,
    name: &str,
    platform: Option<&Platform>,
) -> Result<StoredImage, Failure> {
    let Some(platform) = platform else {
        return find(store, name);
    };
    store
        .images()
        .find_for(name, platform)
        .map_err(|error| explained(store, name, error))
}

/// The manifest or index that a person names.
///
/// # Errors
/// As for [`find`].
pub fn named(store: &Store, name: &str) -> Result<Digest, Failure> {
    store
        .images()
        .find_named(name)
        .map_err(|error| explained(store, name, error))
}

/// A name that an image is to get, with its tag.
///
/// # Errors
/// It is not a name, or it has or reads as a digest, which nobody can choose.
pub fn new_name(name: &str) -> Result<Reference, Failure> {
    let has_digest = Reference::parse(name).is_ok_and(|parsed| parsed.digest.is_some());
    if has_digest {
        let message = format!("{name}: the name of an image cannot have a digest");
        return Err(Failure::usage(message).hint("leave out the part that starts with @"));
    }
    Reference::parse_new(name).map_err(|error| Failure::usage(format!("{name}: {error}")))
}

/// What can be done about a name that finds nothing.
fn explained(store: &Store, name: &str, error: ImageError) -> Failure {
    match error {
        ImageError::NotFound { .. } => not_found(store, name, &error),
        ImageError::NoPlatform { .. } => {
            Failure::from(error).hint("name one of them with --platform")
        }
        other => other.into(),
    }
}

fn not_found(store: &Store, name: &str, error: &ImageError) -> Failure {
    const LISTED: &str = "`kiln images` lists what there is";
    let failure = Failure::new(Kind::Build, error.to_string());
    let images = store.images().list().unwrap_or_default();
    let known = || images.iter().flat_map(|image| &image.references);
    let wanted = Reference::parse(name).ok().map(|wanted| wanted.name());
    let tags = known().filter(|known| Some(known.name()) == wanted);
    let tags: Vec<String> = tags.map(Reference::familiar).collect();
    if !tags.is_empty() {
        return failure.hint(format!("there is {}", tags.join(", ")));
    }
    let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if name.len() < ID_DIGITS && name.bytes().all(is_digit) {
        return failure.hint(format!(
            "at least {ID_DIGITS} digits of an ID are needed; {LISTED}"
        ));
    }
    let names: Vec<String> = known()
        .flat_map(|known| [known.familiar(), known.familiar_name()])
        .collect();
    match nearest(name, names.iter().map(String::as_str)) {
        Some(near) => failure.hint(format!("did you mean {near}? {LISTED}")),
        None => failure.hint(LISTED),
    }
}
