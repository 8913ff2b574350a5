//! Which layers a delta may leave out. Unaware of how archives are written.
//!
//! A layer may be left out when every tool that loads the archive finds it on the other side. docker finds a layer by the chain of
//! all layers below it, so only the lowest layers that image and base have in common may go; podman and containerd find it by the
//! digest of its blob, so the blob must be the same as well. A list of digests is believed: it is what the other side says
//! it has.

use super::save::manifest;
use crate::failure::ArchiveError;
use kiln_cache::Store;
use kiln_oci::archive::{self, Input, LeftOut, Receipt, SaveError, SaveImage};
use kiln_oci::{Digest, ImageConfig, LayerCompression, Manifest};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The largest list of digests that is read.
const MAX_LIST: u64 = 1 << 20;

/// What the other side has.
#[derive(Debug, Default)]
pub(crate) struct Base {
    /// As the user named it, or as its images are named.
    names: Vec<String>,
    /// The layers of its images, bottom first: diff ID, and blob unless it finds them without.
    chains: Vec<Vec<(Digest, Option<Digest>)>>,
    /// Diff IDs or digests of blobs, of a list.
    listed: BTreeSet<Digest>,
}

impl Base {
    /// A file is an archive or a list of digests, a folder an OCI layout; all else is an image of the store, which is taken to have been
    /// saved with the same compression.
    pub(super) fn find(
        store: &Store,
        name: &str,
        compression: Option<LayerCompression>,
    ) -> Result<Self, ArchiveError> {
        let path = Path::new(name);
        if path.is_dir() {
            return Self::archive(store, path);
        }
        if path.is_file() {
            let list = Self::list(path)?;
            return list.map_or_else(|| Self::archive(store, path), Ok);
        }
        let image = store.images().find(name)?;
        let saved = SaveImage {
            references: Vec::new(),
            manifest: manifest(store, &image, compression)?,
            config: image.config.clone(),
        };
        Ok(Self {
            names: vec![name.to_owned()],
            chains: vec![with_blobs(chain(&saved)?)],
            ..Self::default()
        })
    }

    /// Adds an image whose layers the other side finds by their diff IDs, whatever their blobs are.
    pub(crate) fn add_image(&mut self, diff_ids: Vec<Digest>) {
        let layers = diff_ids.into_iter().map(|diff_id| (diff_id, None));
        self.chains.push(layers.collect());
    }

    /// One digest a line, as `docker image inspect` can be made to print; lines that begin with `#` are ignored.
    fn list(path: &Path) -> Result<Option<Self>, ArchiveError> {
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(ArchiveError::read(path))?;
        let read = file.take(MAX_LIST + 1).read_to_end(&mut bytes);
        read.map_err(ArchiveError::read(path))?;
        let is_list = |text: &&str| {
            text.len() as u64 <= MAX_LIST && !text.contains('\0') && text.contains("sha256:")
        };
        let Some(text) = std::str::from_utf8(&bytes).ok().filter(is_list) else {
            return Ok(None);
        };
        let lines = text.lines().map(str::trim);
        let digests = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        let listed = digests.map(str::parse).collect::<Result<_, _>>();
        Ok(Some(Self {
            names: vec![path.display().to_string()],
            listed: listed.map_err(|source| ArchiveError::List {
                path: path.to_owned(),
                source,
            })?,
            ..Self::default()
        }))
    }

    fn archive(store: &Store, path: &Path) -> Result<Self, ArchiveError> {
        let scratch = store.scratch().dir("base")?;
        let loaded = archive::load(Input::File(path), &scratch)?;
        let mut base = Self::default();
        for image in &loaded.images {
            let names = image.references.iter().map(ToString::to_string);
            base.names.extend(names);
            let layers = image.layers.iter();
            let layers = layers.map(|layer| (layer.diff_id, layer.descriptor.digest));
            base.chains.push(with_blobs(layers.collect()));
        }
        if base.names.is_empty() {
            base.names.push(path.display().to_string());
        }
        drop(loaded);
        store.scratch().discard(&scratch)?;
        Ok(base)
    }

    /// How many of the lowest layers the other side has.
    pub(crate) fn has_lowest(&self, layers: &[(Digest, Digest)]) -> usize {
        let of_chain = |chain: &Vec<(Digest, Option<Digest>)>| {
            let is_same =
                |((base, blob), layer): &(&(Digest, Option<Digest>), &(Digest, Digest))| {
                    *base == layer.0 && blob.is_none_or(|blob| blob == layer.1)
                };
            chain.iter().zip(layers).take_while(is_same).count()
        };
        let of_list = layers
            .iter()
            .take_while(|(diff_id, blob)| {
                self.listed.contains(diff_id) || self.listed.contains(blob)
            })
            .count();
        let of_chains = self.chains.iter().map(of_chain).max().unwrap_or(0);
        of_list.max(of_chains)
    }
}

fn with_blobs(layers: Vec<(Digest, Digest)>) -> Vec<(Digest, Option<Digest>)> {
    let layers = layers.into_iter();
    layers
        .map(|(diff_id, blob)| (diff_id, Some(blob)))
        .collect()
}

/// The layers of an image, bottom first: diff ID and blob.
pub(crate) fn chain(image: &SaveImage) -> Result<Vec<(Digest, Digest)>, ArchiveError> {
    let (manifest, diff_ids) = parse(image)?;
    let blobs = manifest.layers.iter().map(|layer| layer.digest);
    Ok(diff_ids.into_iter().zip(blobs).collect())
}

fn parse(image: &SaveImage) -> Result<(Manifest, Vec<Digest>), SaveError> {
    let malformed = |source| SaveError::Document {
        image: Digest::of(&image.manifest),
        source,
    };
    let manifest = Manifest::parse(&image.manifest).map_err(malformed)?;
    let config = ImageConfig::parse(&image.config).map_err(malformed)?;
    Ok((manifest, config.rootfs.diff_ids))
}

/// What may be left out of an archive of these images.
pub(crate) fn receipt(images: &[SaveImage], bases: &[Base]) -> Result<Receipt, ArchiveError> {
    let mut left_out: BTreeMap<Digest, LeftOut> = BTreeMap::new();
    let mut needed: BTreeSet<Digest> = BTreeSet::new();
    for image in images {
        let (manifest, _) = parse(image)?;
        let layers = chain(image)?;
        let had = bases.iter().map(|base| base.has_lowest(&layers)).max();
        let (had, others) = layers.split_at(had.unwrap_or(0));
        for (descriptor, (diff_id, digest)) in manifest.layers.iter().zip(had) {
            let layer = LeftOut {
                digest: *digest,
                diff_id: *diff_id,
                size: descriptor.size,
            };
            left_out.insert(*digest, layer);
        }
        needed.extend(others.iter().map(|(_, digest)| digest));
    }
    left_out.retain(|digest, _| !needed.contains(digest));
    Ok(Receipt {
        version: 1,
        bases: bases.iter().flat_map(|base| base.names.clone()).collect(),
        layers: left_out.into_values().collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(name: &str) -> Digest {
        Digest::of(name.as_bytes())
    }

    fn pairs(names: &[&str]) -> Vec<(Digest, Digest)> {
        names
            .iter()
            .map(|name| (digest(name), digest(&format!("{name} blob"))))
            .collect()
    }

    #[test]
    fn only_common_lowest_layers_with_the_same_blobs_are_had() {
        let base = Base {
            chains: [&["a", "b"][..], &["a"]]
                .map(|names| with_blobs(pairs(names)))
                .into(),
            ..Base::default()
        };
        assert_eq!(base.has_lowest(&pairs(&["a", "b", "c"])), 2);
        assert_eq!(base.has_lowest(&pairs(&["b", "a"])), 0);
        let mut other = pairs(&["a", "b"]);
        other[1].1 = digest("compressed otherwise");
        assert_eq!(base.has_lowest(&other), 1);
    }

    #[test]
    fn images_may_be_known_by_diff_ids_alone() {
        let mut base = Base::default();
        base.add_image(vec![digest("a"), digest("b")]);
        let mut other = pairs(&["a", "b", "c"]);
        other[1].1 = digest("compressed otherwise");
        assert_eq!(base.has_lowest(&other), 2);
    }

    #[test]
    fn lists_may_hold_either_digest() {
        let base = Base {
            listed: [digest("a"), digest("b blob")].into(),
            ..Base::default()
        };
        assert_eq!(base.has_lowest(&pairs(&["a", "b", "c"])), 2);
        assert_eq!(base.has_lowest(&pairs(&["c", "a"])), 0);
    }
}
