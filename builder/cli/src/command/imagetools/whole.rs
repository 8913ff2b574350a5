//! All that a registry has under a name: the images of an index with their configs, and what is attested about them. Unaware of how it is shown.

use super::{malformed, refused, under};
use crate::failure::{Failure, Kind};
use kiln_oci::registry::{Client, Fetched};
use kiln_oci::{Descriptor, Digest, ImageConfig, Index, Manifest, Reference, media_type};
use serde_json::Value;
use std::collections::BTreeMap;

/// How an index says which image a manifest is about.
pub const ABOUT: &str = "vnd.docker.reference.digest";
/// The same as it was said before.
const ABOUT_BEFORE: &str = "com.docker.reference.digest";
/// How a layer says what it attests.
const PREDICATE: &str = "in-toto.io/predicate-type";
const SPDX: &str = "https://spdx.dev/Document";
const SLSA: &str = "https://slsa.dev/provenance/";
/// Indexes in each other.
const DEEPEST: usize = 4;

/// An image and what is attested about it.
pub struct Image {
    /// What a container of it is.
    pub config: ImageConfig,
    /// The first list of what is in it, then others.
    pub sboms: Vec<Value>,
    /// How it was made.
    pub provenance: Option<Value>,
}

/// By platform.
pub struct Whole(pub BTreeMap<String, Image>);

struct Reader<'a> {
    registries: &'a Client,
    name: &'a Reference,
    images: BTreeMap<String, (Digest, ImageConfig)>,
    /// The image that they are about, and its attestations.
    about: Vec<(String, Manifest)>,
}

impl Whole {
    /// Reads it; attestations only if they are `wanted`, by the names of buildx's fields.
    pub fn read(
        registries: &Client,
        name: &Reference,
        found: &Fetched,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Whole, Failure> {
        let mut reader = Reader::new(registries, name);
        reader.document(found, None, DEEPEST)?;
        let is_attested = wanted("SBOM") || wanted("Provenance");
        let images = std::mem::take(&mut reader.images).into_iter();
        let images = images.map(|(platform, (digest, config))| {
            let mut image = Image {
                config,
                sboms: Vec::new(),
                provenance: None,
            };
            if is_attested {
                reader.attested(digest, &mut image)?;
            }
            Ok((platform, image))
        });
        images.collect::<Result<_, _>>().map(Whole)
    }
}

impl<'a> Reader<'a> {
    fn new(registries: &'a Client, name: &'a Reference) -> Self {
        Reader {
            registries,
            name,
            images: BTreeMap::new(),
            about: Vec::new(),
        }
    }

    /// A manifest or index, and how an index describes it.
    fn document(
        &mut self,
        found: &Fetched,
        described: Option<&Descriptor>,
        left: usize,
    ) -> Result<(), Failure> {
        if media_type::is_index(&found.media_type) {
            let index = Index::parse(&found.bytes).map_err(malformed)?;
            let below = index.manifests.iter().filter(|_| left > 0);
            return below.into_iter().try_for_each(|described| {
                let found = self
                    .registries
                    .manifest(&under(self.name, described.digest));
                self.document(&found.map_err(refused)?, Some(described), left - 1)
            });
        }
        let manifest = Manifest::parse(&found.bytes).map_err(malformed)?;
        let about = [ABOUT_BEFORE, ABOUT];
        match about.iter().find_map(|key| described?.annotation(key)) {
            Some(about) => self.about.push((about.to_owned(), manifest)),
            None => self.image(found.digest, &manifest, described)?,
        }
        Ok(())
    }

    fn image(
        &mut self,
        digest: Digest,
        manifest: &Manifest,
        described: Option<&Descriptor>,
    ) -> Result<(), Failure> {
        // what is no image has no config of one
        if !media_type::is_config(&manifest.config.media_type) {
            return Ok(());
        }
        let config = self.blob(&manifest.config)?;
        let config = ImageConfig::parse(&config).map_err(malformed)?;
        let platform = described.and_then(|described| described.platform.clone());
        let platform = platform.unwrap_or_else(|| config.platform());
        let platform = platform.normalized().to_string();
        self.images.insert(platform, (digest, config));
        Ok(())
    }

    fn blob(&self, blob: &Descriptor) -> Result<Vec<u8>, Failure> {
        self.registries.document(self.name, blob).map_err(refused)
    }

    fn attested(&self, digest: Digest, image: &mut Image) -> Result<(), Failure> {
        let digest = digest.to_string();
        let about = self.about.iter().filter(|(about, _)| *about == digest);
        for layer in about.flat_map(|(_, manifest)| &manifest.layers) {
            let predicate = layer.annotation(PREDICATE).unwrap_or_default();
            if predicate == SPDX {
                image.sboms.push(self.predicate(layer)?);
            } else if predicate.starts_with(SLSA) && image.provenance.is_none() {
                image.provenance = Some(self.predicate(layer)?);
            }
        }
        Ok(())
    }

    fn predicate(&self, layer: &Descriptor) -> Result<Value, Failure> {
        let read = serde_json::from_slice(&self.blob(layer)?);
        let statement: Value = read.map_err(|error| {
            let message = format!("the attestation {} is no JSON: {error}", layer.digest);
            Failure::new(Kind::Build, message)
        })?;
        Ok(statement.get("predicate").cloned().unwrap_or_default())
    }
}
