//! The cache mounts of a shared cache as an OCI artifact of their own, so that results and mounts are written without each other. Unaware of
//! where it is kept, and of what a listing says.
//!
//! Its manifest has, for each mount, the listing (`kiln_cache::MountListing`, zstd) and after it the packs in their order (zstd). Annotations
//! of a listing tell the mount apart and say what it holds, so that an export which changes nothing reads nothing else; those of a
//! pack say how many bytes it has when it is unpacked.

use crate::exchange::format::NO_CONFIG;
use crate::exchange::prune;
use crate::failure::{BackendError, Foreign};
use kiln_cache::{MountListing, Packs};
use kiln_oci::compression::{Encoding, Limited, decoder};
use kiln_oci::media_type::{self, OCI_EMPTY};
use kiln_oci::{Descriptor, Digest, LayerCompression, Manifest};
use std::io::{Read, Write};
use std::time::SystemTime;

/// The type of the manifest.
const ARTIFACT: &str = "application/vnd.kiln.cache.mounts.v1";
const LISTING: &str = "application/vnd.kiln.cache.mount.v1+zstd";
const PACK: &str = "application/vnd.kiln.cache.pack.v1+zstd";
/// Bytes of a listing, as it travels and as it is read: some hundred thousand files.
const MAX_LISTING: (u64, u64) = (32 << 20, 256 << 20);

const IDENTITY: &str = "vnd.kiln.mount.identity";
const ID: &str = "vnd.kiln.mount.id";
const TREE: &str = "vnd.kiln.mount.tree";
const EXPORTED: &str = "vnd.kiln.mount.exported";
/// Of a listing the bytes of all files, of a pack those of the pack.
const BYTES: &str = "vnd.kiln.mount.bytes";

/// A mount in a shared cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shared {
    /// Which mount it is: its ID, and how its directory begins.
    pub identity: Digest,
    /// What people call it.
    pub id: String,
    /// Digest of what it holds.
    pub tree: Digest,
    /// Bytes of its files.
    pub bytes: u64,
    /// When it was exported, seconds since 1970.
    pub exported: i64,
    /// Where its listing is.
    pub listing: Descriptor,
    /// Its packs in their order.
    pub packs: Vec<Descriptor>,
}

impl Shared {
    /// The sizes of its packs, unpacked.
    pub(super) fn sizes(&self) -> Result<Packs, BackendError> {
        let sizes = self.packs.iter().map(|pack| number(pack, BYTES));
        let sizes = sizes.collect::<Result<Vec<u64>, _>>()?;
        Packs::of(sizes).ok_or_else(|| malformed("its packs are too large"))
    }

    /// Reads the listing.
    pub(super) fn read(&self, listing: &[u8]) -> Result<MountListing, BackendError> {
        let mut bytes = Vec::new();
        let decoded = decoder(listing, Encoding::Zstd);
        let read =
            decoded.and_then(|read| Limited::new(read, MAX_LISTING.1).read_to_end(&mut bytes));
        read.map_err(BackendError::malformed)?;
        Ok(MountListing::decode(&bytes, &self.sizes()?)?)
    }

    fn descriptor(&self) -> Descriptor {
        let annotations = [
            (IDENTITY, self.identity.to_string()),
            (ID, self.id.clone()),
            (TREE, self.tree.to_string()),
            (BYTES, self.bytes.to_string()),
            (EXPORTED, self.exported.to_string()),
        ];
        let annotations = annotations.map(|(key, value)| (key.to_owned(), value));
        Descriptor {
            annotations: annotations.into(),
            ..self.listing.clone()
        }
    }
}

/// A listing as it travels, and what points to it; `None` for one that is too large.
pub(super) fn listing(of: &MountListing) -> std::io::Result<Option<(Descriptor, Vec<u8>)>> {
    let bytes = of.encode();
    if bytes.len() as u64 > MAX_LISTING.1 {
        return Ok(None);
    }
    let mut encoder = LayerCompression::zstd().encoder(Vec::new(), 1)?;
    encoder.write_all(&bytes)?;
    let packed = encoder.finish()?;
    let is_small = packed.len() as u64 <= MAX_LISTING.0;
    Ok(is_small.then(|| (Descriptor::of(LISTING, &packed), packed)))
}

/// What points to a pack of so many bytes.
pub(super) fn pack(digest: Digest, size: u64, bytes: u64) -> Descriptor {
    Descriptor {
        annotations: [(BYTES.to_owned(), bytes.to_string())].into(),
        ..Descriptor::new(PACK, digest, size)
    }
}

/// The manifest of mounts, written at this time.
pub(super) fn manifest(mounts: &[Shared], written: SystemTime) -> Vec<u8> {
    let blobs = mounts.iter().flat_map(|mount| {
        let listing = std::iter::once(mount.descriptor());
        listing.chain(mount.packs.iter().cloned())
    });
    let config = Descriptor::of(OCI_EMPTY, NO_CONFIG);
    let mut manifest = Manifest::for_layers(config, blobs.collect());
    manifest.artifact_type = Some(ARTIFACT.to_owned());
    manifest.annotations = prune::written_at(written);
    manifest.to_bytes()
}

/// The mounts of a manifest.
///
/// # Errors
/// It is of something else, or malformed.
pub(super) fn mounts(manifest: &[u8]) -> Result<Vec<Shared>, BackendError> {
    let manifest = Manifest::parse(manifest).map_err(BackendError::malformed)?;
    if manifest.artifact_type.as_deref() != Some(ARTIFACT) {
        let is_image = media_type::is_config(&manifest.config.media_type);
        return Err(BackendError::Foreign(match is_image {
            true => Foreign::Image,
            false => Foreign::Unknown,
        }));
    }
    let mut mounts: Vec<Shared> = Vec::new();
    for blob in manifest.layers {
        match (blob.media_type.as_str(), mounts.last_mut()) {
            (LISTING, _) => mounts.push(shared(blob)?),
            (PACK, Some(mount)) => mount.packs.push(blob),
            _ => return Err(malformed("a part of it has an unknown type")),
        }
    }
    Ok(mounts)
}

fn shared(listing: Descriptor) -> Result<Shared, BackendError> {
    if listing.size > MAX_LISTING.0 {
        return Err(malformed("a listing is too large"));
    }
    Ok(Shared {
        identity: digest(&listing, IDENTITY)?,
        id: text(&listing, ID)?.to_owned(),
        tree: digest(&listing, TREE)?,
        bytes: number(&listing, BYTES)?,
        exported: text(&listing, EXPORTED)?.parse().unwrap_or(0),
        packs: Vec::new(),
        listing,
    })
}

/// The blobs that a manifest of mounts needs; none of anything else.
pub(crate) fn blobs(manifest: &[u8]) -> Vec<Descriptor> {
    let is_ours = mounts(manifest).is_ok();
    let manifest = Manifest::parse(manifest).ok().filter(|_| is_ours);
    let blobs = |manifest: Manifest| manifest.layers.into_iter().chain([manifest.config]);
    manifest.into_iter().flat_map(blobs).collect()
}

fn text<'a>(blob: &'a Descriptor, key: &str) -> Result<&'a str, BackendError> {
    let value = blob.annotation(key);
    value.ok_or_else(|| malformed(&format!("{key} is missing")))
}

fn number(blob: &Descriptor, key: &str) -> Result<u64, BackendError> {
    let number = text(blob, key)?.parse();
    number.map_err(|_| malformed(&format!("{key} is no number")))
}

fn digest(blob: &Descriptor, key: &str) -> Result<Digest, BackendError> {
    let digest = text(blob, key)?.parse();
    digest.map_err(|_| malformed(&format!("{key} is no digest")))
}

fn malformed(what: &str) -> BackendError {
    BackendError::Malformed(what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(name: &str) -> Shared {
        Shared {
            identity: Digest::of(name.as_bytes()),
            id: name.to_owned(),
            tree: Digest::of(b"tree"),
            bytes: 12,
            exported: 7,
            listing: Descriptor::of(LISTING, name.as_bytes()),
            packs: vec![pack(Digest::of(b"1"), 3, 5), pack(Digest::of(b"2"), 4, 6)],
        }
    }

    #[test]
    fn a_manifest_is_read_again() {
        let all = [mount("apt"), mount("pip")];
        let bytes = manifest(&all, SystemTime::UNIX_EPOCH);
        let found = mounts(&bytes).unwrap();
        let plain = |mount: &Shared| Shared {
            listing: Descriptor {
                annotations: Default::default(),
                ..mount.listing.clone()
            },
            ..mount.clone()
        };
        let found: Vec<Shared> = found.iter().map(plain).collect();
        assert_eq!(found, all);
        assert_eq!(found[0].sizes().unwrap().total(), 11);
        assert_eq!(blobs(&bytes).len(), 7);
        assert!(crate::exchange::format::records(&bytes).is_err());
    }

    #[test]
    fn what_is_no_such_manifest_is_refused() {
        let image = Manifest::for_layers(Descriptor::of(media_type::OCI_CONFIG, b"{}"), vec![]);
        let image = mounts(&image.to_bytes());
        assert!(matches!(image, Err(BackendError::Foreign(Foreign::Image))));
        assert!(mounts(b"nothing").is_err() && blobs(b"nothing").is_empty());
        let bytes = String::from_utf8(manifest(&[mount("apt")], SystemTime::UNIX_EPOCH)).unwrap();
        for (from, to) in [
            (PACK, "application/x"),
            (TREE, "x"),
            (
                "\"vnd.kiln.mount.bytes\":\"12\"",
                "\"vnd.kiln.mount.bytes\":\"-1\"",
            ),
        ] {
            let changed = bytes.replace(from, to);
            assert!(mounts(changed.as_bytes()).is_err(), "{from}");
        }
        let mut large = mount("apt");
        large.packs = vec![
            pack(Digest::of(b"1"), 1, u64::MAX),
            pack(Digest::of(b"2"), 1, 1),
        ];
        assert!(large.sizes().is_err());
    }

    #[test]
    fn a_listing_that_unpacks_to_more_than_may_be_is_refused() {
        let mut encoder = LayerCompression::zstd().encoder(Vec::new(), 1).unwrap();
        let zeros = vec![0; 1 << 20];
        (0..257).for_each(|_| encoder.write_all(&zeros).unwrap());
        assert!(mount("apt").read(&encoder.finish().unwrap()).is_err());
    }
}
