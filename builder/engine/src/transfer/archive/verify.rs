//! Checks archives without a store: every size, digest, diff ID and name, and that the layers can be unpacked. Unaware of who
//! asks.

use super::whole;
use crate::failure::{ArchiveError, chain_of_causes};
use kiln_cache::index_blob;
use kiln_oci::archive::{
    self, Announcement, Contents, Incoming, Input, LoadedImage, Received, Receiver,
};
use kiln_oci::{Descriptor, Digest, Encoding, HashingReader, Reference};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Read};

/// What an archive holds, and what is wrong with it.
#[derive(Debug, Default, Serialize)]
pub struct Verified {
    /// What is wrong, in the order of the archive; empty for a sound one.
    pub problems: Vec<String>,
    /// Its images, as far as they can be read.
    pub images: Vec<CheckedImage>,
    /// What a delta was made against, as its maker named it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bases: Vec<String>,
}

/// An image of an archive.
#[derive(Debug, Serialize)]
pub struct CheckedImage {
    /// Its names, in full.
    pub references: Vec<Reference>,
    /// The digest of its config.
    pub id: Digest,
    /// The digest of its manifest.
    pub digest: Digest,
    /// Its platform.
    pub platform: String,
    /// Its layers, bottom first.
    pub layers: Vec<CheckedLayer>,
}

/// A layer of an archive.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckedLayer {
    /// The digest of its blob.
    pub digest: Digest,
    /// The size of its blob in bytes.
    pub size: u64,
    /// The digest of its tar.
    pub diff_id: Digest,
    /// The size of its tar in bytes; absent when it was not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tar_size: Option<u64>,
    /// Whether the archive has it: a delta leaves layers out.
    pub present: bool,
}

/// Reads a whole archive, and checks all that can be checked.
pub fn verify(input: Input<'_>) -> Verified {
    let mut checker = Checker::default();
    let outcome = archive::receive(input, &whole(None), &mut checker);
    let mut verified = Verified {
        problems: checker.problems,
        ..Verified::default()
    };
    match outcome {
        Ok(contents) => verified.add(&contents, &checker.tar_sizes),
        Err(error) => verified.problems.push(chain_of_causes(&error)),
    }
    verified
}

impl Verified {
    fn add(&mut self, contents: &Contents, tar_sizes: &BTreeMap<Digest, u64>) {
        let receipt = contents.receipt.as_ref();
        self.bases = receipt.map_or_else(Vec::new, |receipt| receipt.bases.clone());
        let mut indexed: BTreeMap<Digest, Vec<Reference>> = BTreeMap::new();
        for index in &contents.indexes {
            for manifest in &index.manifests {
                let names = indexed.entry(*manifest).or_default();
                names.extend(index.references.iter().cloned());
            }
        }
        for image in &contents.images {
            for layer in image.layers.iter().filter(|layer| !layer.present) {
                let digest = layer.descriptor.digest;
                if !receipt.is_some_and(|receipt| receipt.leaves_out(&digest)) {
                    self.problems.push(format!("the layer {digest} is missing"));
                }
            }
            for name in &image.unreadable_references {
                self.problems.push(format!("{name:?} is no image name"));
            }
            let more = indexed.remove(&image.manifest_digest).unwrap_or_default();
            self.images.push(checked(image, more, tar_sizes));
        }
    }
}

fn checked(
    image: &LoadedImage,
    more: Vec<Reference>,
    tar_sizes: &BTreeMap<Digest, u64>,
) -> CheckedImage {
    let layers = image.layers.iter().map(|layer| CheckedLayer {
        digest: layer.descriptor.digest,
        size: layer.descriptor.size,
        diff_id: layer.diff_id,
        tar_size: tar_sizes.get(&layer.diff_id).copied(),
        present: layer.present,
    });
    CheckedImage {
        references: image.references.iter().cloned().chain(more).collect(),
        id: Digest::of(&image.config),
        digest: image.manifest_digest,
        platform: image.platform().to_string(),
        layers: layers.collect(),
    }
}

/// Reads layers and keeps nothing of them.
#[derive(Default)]
struct Checker {
    problems: Vec<String>,
    tar_sizes: BTreeMap<Digest, u64>,
}

impl Checker {
    fn problem(&mut self, incoming: &Incoming, problem: &str) {
        self.problems.push(format!("{}: {problem}", incoming.name));
    }
}

impl Receiver for Checker {
    type Error = ArchiveError;

    fn announce(&mut self, _: &Announcement) -> Result<(), ArchiveError> {
        Ok(())
    }

    fn layer(
        &mut self,
        incoming: &Incoming,
        content: &mut dyn Read,
    ) -> Result<Received, ArchiveError> {
        let (mut received, tar_size) = match read(content, incoming) {
            Ok(found) => found,
            Err(error) => {
                self.problem(incoming, &chain_of_causes(&error));
                return Ok(supposed(incoming));
            }
        };
        self.tar_sizes.insert(received.diff_id, tar_size);
        for (what, expected, actual) in [
            ("digest", incoming.digest, &mut received.digest),
            ("diff ID", incoming.diff_id, &mut received.diff_id),
        ] {
            if let Some(expected) = expected.filter(|expected| expected != actual) {
                let problem = format!("its {what} is {actual} instead of {expected}");
                self.problem(incoming, &problem);
                *actual = expected;
            }
        }
        Ok(received)
    }

    fn companion(&mut self, blob: &Descriptor, content: &mut dyn Read) -> Result<(), ArchiveError> {
        let mut reader = HashingReader::new(content);
        let read = io::copy(&mut reader, &mut io::sink());
        let (_, digest, _) = reader.finish();
        let expected = blob.digest;
        if let Err(error) = read {
            self.problems.push(format!("{expected}: {error}"));
        } else if digest != expected {
            self.problems
                .push(format!("{expected}: its digest is {digest}"));
        }
        Ok(())
    }
}

/// A layer that cannot be read, as it should be, so that the rest is checked too.
fn supposed(incoming: &Incoming) -> Received {
    let nothing = || Digest::of(b"");
    let digest = incoming.digest.or(incoming.diff_id);
    Received {
        digest: digest.unwrap_or_else(nothing),
        size: incoming.size,
        diff_id: incoming.diff_id.or(digest).unwrap_or_else(nothing),
        encoding: Encoding::Plain,
    }
}

/// Digests a layer's blob and what it unpacks to; the size of its tar. As in the store, a blob that no media type can name counts
/// by its tar, unless a manifest names it all the same.
fn read(content: &mut dyn Read, incoming: &Incoming) -> Result<(Received, u64), ArchiveError> {
    let blob = index_blob(content, incoming.size, &mut |_| {}, &mut ())?;
    let mut received = Received {
        digest: blob.digest,
        size: blob.size,
        diff_id: blob.index.diff_id,
        encoding: blob.encoding,
    };
    let has_no_media_type = matches!(blob.encoding, Encoding::Bzip2 | Encoding::Xz);
    if has_no_media_type && incoming.digest.is_none() {
        received.digest = blob.index.diff_id;
        received.size = blob.index.tar_size;
        received.encoding = Encoding::Plain;
    }
    Ok((received, blob.index.tar_size))
}
